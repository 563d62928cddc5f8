"""Who may do what: the one table from role to permission. Guards name a permission.

    MEMBER         reads the organisation, its feed and its stream
    custom role    a MEMBER with the permissions that the organisation gave the role
    ADMIN          everything but what is the owners'
    OWNER          everything; in the contract's fields an ADMIN, with `owner` beside it

Nobody gives or takes what they do not have themselves.
"""

from enum import StrEnum


class Role(StrEnum):
    """The contract's roles, which everybody has one of."""

    ADMIN = "ADMIN"
    MEMBER = "MEMBER"


class Permission(StrEnum):
    MEMBERS_READ = "members:read"
    MEMBERS_INVITE = "members:invite"
    MEMBERS_REMOVE = "members:remove"
    MEMBERS_CHANGE_ROLE = "members:change-role"
    ROLES_MANAGE = "roles:manage"
    ORGANISATION_UPDATE = "organisation:update"
    PLAN_CHANGE = "plan:change"
    BROADCAST_SEND = "broadcast:send"
    ORGANISATION_OWN = "organisation:own"  # owners and admins, deletion, who must use what factor


OF_OWNERS = frozenset(Permission)
OF_ADMINS = OF_OWNERS - {Permission.ORGANISATION_OWN}
OF_MEMBERS: frozenset[Permission] = frozenset()


def permissions_of(role: str, *, owner: bool, custom: list[str] | None) -> frozenset[str]:
    """What a membership may do; `custom` are the permissions of its custom role."""
    if role == Role.ADMIN:
        return OF_OWNERS if owner else OF_ADMINS
    return OF_MEMBERS if custom is None else OF_ADMINS.intersection(custom)
