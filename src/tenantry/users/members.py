"""GET /api/users, DELETE /api/users/{id}."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from tenantry.errors import CannotRemoveAdmin, CannotRemoveSelf, MemberUnknown
from tenantry.feed import ActivityType
from tenantry.reply import Reply
from tenantry.tenancy.guards import allowed
from tenantry.tenancy.permissions import Permission, Role
from tenantry.tenancy.tenant import Tenant, row_of

# User ids are time-ordered, so the primary key is also the order of joining.
MEMBERS = """
SELECT users.id, users.name, users.email, memberships.role, memberships.owner,
       memberships.organisation_id,
       memberships.created_at, greatest(memberships.updated_at, users.updated_at) AS updated_at
  FROM memberships
  JOIN users ON users.id = memberships.user_id
 WHERE memberships.organisation_id = $1 AND memberships.removed_at IS NULL
 ORDER BY memberships.user_id
"""
MEMBER = """
SELECT memberships.role, users.name
  FROM memberships
  JOIN users ON users.id = memberships.user_id
 WHERE memberships.organisation_id = $1 AND memberships.user_id = $2
   AND memberships.removed_at IS NULL
"""
REMOVE = """
UPDATE memberships SET removed_at = now(), updated_at = now()
 WHERE organisation_id = $1 AND user_id = $2
"""
COUNT_OUT = """
UPDATE organisations SET member_count = member_count - 1, updated_at = now() WHERE id = $1
"""
CLOSE_ACCOUNT = "SELECT tenantry.close_account_without_organisation($1)"


class Member(msgspec.Struct, frozen=True, rename="camel"):
    """A person as a member of the organisation; `created_at` is when they joined."""

    id: UUID
    name: str
    email: str
    role: str
    owner: bool
    organisation_id: UUID
    created_at: datetime
    updated_at: datetime


class Removed(msgspec.Struct, frozen=True):
    removed: bool


@get(
    "/",
    guards=[allowed(Permission.MEMBERS_READ)],
    summary="The members",
    operation_id="listMembers",
)
async def list_members(tenant: NamedDependency[Tenant]) -> Reply[list[Member]]:
    """Everybody in the organisation, in the order of joining."""
    members = await tenant.fetch(row_of(Member), MEMBERS, tenant.organisation_id)
    return Reply("Users fetched", members)


@delete(
    "/{user_id:str}",
    status_code=200,
    guards=[allowed(Permission.MEMBERS_REMOVE)],
    answers=(CannotRemoveSelf, CannotRemoveAdmin, MemberUnknown),
    summary="Remove a member",
    operation_id="removeMember",
)
async def remove_member(user_id: FromPath[str], tenant: NamedDependency[Tenant]) -> Reply[Removed]:
    """Removes a member. Their access ends with the next request, their sockets close.

    Sends USER_REMOVED. Who is in no other organisation loses the account; the address is free.
    """
    try:
        target = UUID(user_id)
    except ValueError:
        raise MemberUnknown from None
    if target == tenant.user_id:
        raise CannotRemoveSelf
    async with tenant.transaction():
        await tenant.lock_seats()
        member = await tenant.connection.fetchrow(MEMBER, tenant.organisation_id, target)
        if member is None:
            raise MemberUnknown
        if member["role"] == Role.ADMIN:
            raise CannotRemoveAdmin
        await tenant.execute(REMOVE, tenant.organisation_id, target)
        await tenant.execute(COUNT_OUT, tenant.organisation_id)
        await tenant.record(
            ActivityType.USER_REMOVED,
            f"{member['name']} was removed from the organisation",
            {"userId": target, "removedBy": tenant.user_id},
            target=target,
        )
        await tenant.execute(CLOSE_ACCOUNT, target)
    return Reply("User removed successfully", Removed(removed=True))
