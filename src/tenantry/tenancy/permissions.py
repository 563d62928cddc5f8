"""Who may do what: the one table from role to permission. Guards name a permission.

    MEMBER         reads the organisation, its feed and its stream
    custom role    a MEMBER with the permissions that the organisation gave the role
    ADMIN          everything but what is the owners'
    OWNER          everything; in the contract's fields an ADMIN, with `owner` beside it

A feature's permissions say themselves whether members have them too. Nobody gives or takes what
they do not have themselves.
"""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import msgspec


class Role(StrEnum):
    """The contract's roles, which everybody has one of."""

    ADMIN = "ADMIN"
    MEMBER = "MEMBER"


class Permission(StrEnum):
    """Tenantry's own permissions; a feature's are text of the same form."""

    MEMBERS_READ = "members:read"
    MEMBERS_INVITE = "members:invite"
    MEMBERS_REMOVE = "members:remove"
    MEMBERS_CHANGE_ROLE = "members:change-role"
    ROLES_MANAGE = "roles:manage"
    ORGANISATION_UPDATE = "organisation:update"
    PLAN_CHANGE = "plan:change"
    BROADCAST_SEND = "broadcast:send"
    ORGANISATION_OWN = "organisation:own"  # owners and admins, deletion, who must use what factor


class CustomRole(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    permissions: list[str]


class NamedRole(msgspec.Struct, frozen=True):
    """A custom role, as it stands beside a person or an invite."""

    id: UUID
    name: str


class Grade(msgspec.Struct, frozen=True):
    """What somebody is, or is to be, in the organisation; see `Permissions.grade`."""

    role: Role
    owner: bool
    custom: CustomRole | None
    permissions: frozenset[str]

    @property
    def name(self) -> str:
        if self.owner:
            return "OWNER"
        return self.custom.name if self.custom else self.role

    @property
    def custom_id(self) -> UUID | None:
        return self.custom.id if self.custom else None

    @property
    def custom_name(self) -> str | None:
        return self.custom.name if self.custom else None

    @property
    def named_role(self) -> NamedRole | None:
        return NamedRole(self.custom.id, self.custom.name) if self.custom else None


class Permissions:
    """The table: what each role has by itself. `more` are the features' permissions, each with the
    lowest role that has it.
    """

    def __init__(self, more: Mapping[str, Role]) -> None:
        self._of_owners = frozenset([*Permission, *more])
        self._of_admins = self._of_owners - {Permission.ORGANISATION_OWN}
        self._of_members = frozenset(name for name, role in more.items() if role is Role.MEMBER)

    @property
    def grantable(self) -> list[str]:
        """What a custom role can have, in the order of the alphabet."""
        return sorted(self._of_admins)

    def of(self, role: str, *, owner: bool, custom: list[str] | None) -> frozenset[str]:
        """What a membership may do; `custom` are the permissions of its custom role."""
        if role == Role.ADMIN:
            return self._of_owners if owner else self._of_admins
        if custom is None:
            return self._of_members
        return self._of_members | self._of_admins.intersection(custom)

    def grade(self, role: Role, *, owner: bool = False, custom: CustomRole | None = None) -> Grade:
        given = custom.permissions if custom else None
        return Grade(role, owner, custom, self.of(role, owner=owner, custom=given))
