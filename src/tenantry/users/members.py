"""GET /api/users, PATCH and DELETE /api/users/{id}."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from asyncpg import Record
from litestar import delete, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.errors import (
    BeyondOwnPermissions,
    CannotChangeOwnRole,
    CannotRemoveAdmin,
    CannotRemoveSelf,
    FieldError,
    Invalid,
    LastOwner,
    MemberUnknown,
    OwnersOnly,
    RoleUnknown,
)
from tenantry.inputs import Input, PathId
from tenantry.reply import Reply
from tenantry.tenancy.authority import (
    change_grade,
    check_change,
    check_removal,
    custom_role,
    has_other_owners,
    lock_as,
    member_of,
)
from tenantry.tenancy.guards import allowed
from tenantry.tenancy.leaving import leave
from tenantry.tenancy.permissions import Grade, NamedRole, Permission, Role
from tenantry.tenancy.reading import Reading
from tenantry.tenancy.tenant import Tenant

MEMBER = """
SELECT users.id, users.name, users.email, memberships.role, memberships.owner,
       roles.id AS role_id, roles.name AS role_name, memberships.organisation_id,
       memberships.created_at, greatest(memberships.updated_at, users.updated_at) AS updated_at
  FROM memberships
  JOIN users ON users.id = memberships.user_id
  LEFT JOIN roles ON roles.organisation_id = memberships.organisation_id
                 AND roles.id = memberships.custom_role_id
 WHERE memberships.organisation_id = $1 AND memberships.removed_at IS NULL
"""
ONE_MEMBER = f"{MEMBER} AND memberships.user_id = $2"
# The same as JSON. User ids are time-ordered, so the primary key is also the order of joining.
MEMBERS = """
SELECT json_agg(member)
  FROM (SELECT users.id, users.name, users.email, memberships.role, memberships.owner,
               custom_role AS "customRole", memberships.organisation_id AS "organisationId",
               tenantry.wire_time(memberships.created_at) AS "createdAt",
               tenantry.wire_time(greatest(memberships.updated_at, users.updated_at)) AS "updatedAt"
          FROM memberships
          JOIN users ON users.id = memberships.user_id
          LEFT JOIN LATERAL (
               SELECT roles.id, roles.name
                 FROM roles
                WHERE roles.organisation_id = memberships.organisation_id
                  AND roles.id = memberships.custom_role_id) AS custom_role ON true
         WHERE memberships.organisation_id = $1 AND memberships.removed_at IS NULL
         ORDER BY memberships.user_id) AS member
"""


class Member(msgspec.Struct, frozen=True, rename="camel"):
    """A person as a member of the organisation; `created_at` is when they joined.

    `role` is ADMIN where `owner` is true, and MEMBER where there is a custom role.
    """

    id: UUID
    name: str
    email: str
    role: Role
    owner: bool
    custom_role: NamedRole | None
    organisation_id: UUID
    created_at: datetime
    updated_at: datetime


class Removed(msgspec.Struct, frozen=True):
    removed: bool


class NewRole(StrEnum):
    OWNER = "OWNER"
    ADMIN = "ADMIN"
    MEMBER = "MEMBER"


class RoleInput(Input):
    """Exactly one of the two."""

    role: NewRole | None = None
    custom_role_id: UUID | None = None


@get(
    "/",
    guards=[allowed(Permission.MEMBERS_READ)],
    summary="The members",
    operation_id="listMembers",
)
async def list_members(reading: NamedDependency[Reading]) -> Reply[list[Member]]:
    """Everybody in the organisation, in the order of joining."""
    return Reply("Users fetched", await reading.json(MEMBERS, reading.organisation_id))


@patch(
    "/{user_id:str}",
    guards=[allowed(Permission.MEMBERS_CHANGE_ROLE)],
    answers=(
        CannotChangeOwnRole,
        OwnersOnly,
        BeyondOwnPermissions,
        MemberUnknown,
        RoleUnknown,
        LastOwner,
    ),
    summary="Change a member's role",
    operation_id="changeRole",
)
async def change_role(
    user_id: PathId, data: JSONBody[RoleInput], tenant: NamedDependency[Tenant]
) -> Reply[Member]:
    """Gives a member another role. It takes effect with their next request.

    Nobody gives or takes what they do not have themselves; what an admin becomes is an owner's to
    say. Nobody changes their own role, but an owner who steps down while there is another. Sends
    USER_ROLE_CHANGED.
    """
    if (data.role is None) == (data.custom_role_id is None):
        raise Invalid(fields=(FieldError("role", "Give either role or customRoleId"),))
    target = _user(user_id)
    async with tenant.transaction():
        _, actor = await lock_as(tenant, Permission.MEMBERS_CHANGE_ROLE)
        member = await member_of(tenant, target)
        after = await _wanted(tenant, data)
        check_change(
            actor,
            member.grade,
            after,
            oneself=target == tenant.user_id,
            other_owners=await has_other_owners(tenant, target),
        )
        if after != member.grade:
            await change_grade(tenant, member, after)
        changed = await tenant.fetch_one(_made, ONE_MEMBER, tenant.organisation_id, target)
    assert changed is not None
    return Reply("Role changed", changed)


@delete(
    "/{user_id:str}",
    status_code=200,
    guards=[allowed(Permission.MEMBERS_REMOVE)],
    answers=(CannotRemoveSelf, CannotRemoveAdmin, BeyondOwnPermissions, MemberUnknown),
    summary="Remove a member",
    operation_id="removeMember",
)
async def remove_member(user_id: PathId, tenant: NamedDependency[Tenant]) -> Reply[Removed]:
    """Removes a member. Their access ends with the next request, their sockets close.

    Sends USER_REMOVED. Who is in no other organisation loses the account; the address is free.
    """
    target = _user(user_id)
    if target == tenant.user_id:
        raise CannotRemoveSelf
    async with tenant.transaction():
        _, actor = await lock_as(tenant, Permission.MEMBERS_REMOVE)
        member = await member_of(tenant, target)
        check_removal(actor, member.grade)
        await leave(tenant, target, f"{member.name} was removed from the organisation")
    return Reply("User removed successfully", Removed(removed=True))


def _user(user_id: str) -> UUID:
    try:
        return UUID(user_id)
    except ValueError:
        raise MemberUnknown from None


async def _wanted(tenant: Tenant, data: RoleInput) -> Grade:
    """Raises `RoleUnknown`."""
    grade = tenant.product.permissions.grade
    if data.custom_role_id is not None:
        custom = await custom_role(tenant.connection, tenant.organisation_id, data.custom_role_id)
        return grade(Role.MEMBER, custom=custom)
    if data.role is NewRole.MEMBER:
        return grade(Role.MEMBER)
    return grade(Role.ADMIN, owner=data.role is NewRole.OWNER)


def _made(row: Record) -> Member:
    custom = NamedRole(row["role_id"], row["role_name"]) if row["role_id"] else None
    return Member(
        row["id"],
        row["name"],
        row["email"],
        row["role"],
        row["owner"],
        custom,
        row["organisation_id"],
        row["created_at"],
        row["updated_at"],
    )
