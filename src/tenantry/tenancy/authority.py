"""Authority: what somebody is in the organisation, and what they may change about somebody else.

The rules are here and nowhere else:

- nobody gives or takes what they do not have themselves;
- who is an admin or an owner is the owners' to say, but for an admin making another;
- nobody changes their own role, but an owner who steps down;
- an organisation always has an owner.

They are asked under the organisation's lock, of what is in the database then: whoever waits for
the lock may have been demoted or removed meanwhile.
"""

from uuid import UUID

import msgspec
from asyncpg import Record

from tenantry.db.pool import Connection
from tenantry.db.wire import Row, Statement
from tenantry.errors import (
    BeyondOwnPermissions,
    CannotChangeOwnRole,
    CannotRemoveAdmin,
    Forbidden,
    LastOwner,
    MemberUnknown,
    OwnersOnly,
    RoleUnknown,
    TokenInvalid,
)
from tenantry.events import UserRoleChanged
from tenantry.tenancy.permissions import CustomRole, Grade, Permission, Role
from tenantry.tenancy.seats import LOCK, Seats, seats_of
from tenantry.tenancy.tenant import Tenant

MEMBERSHIP = """
SELECT users.name AS person, memberships.role, memberships.owner,
       roles.id AS role_id, roles.name AS role_name, roles.permissions
  FROM memberships
  JOIN users ON users.id = memberships.user_id
  LEFT JOIN roles ON roles.organisation_id = memberships.organisation_id
                 AND roles.id = memberships.custom_role_id
 WHERE memberships.organisation_id = $1 AND memberships.user_id = $2
   AND memberships.removed_at IS NULL
"""
OTHER_OWNERS = """
SELECT EXISTS (
    SELECT FROM memberships
     WHERE organisation_id = $1 AND user_id <> $2 AND owner AND removed_at IS NULL)
"""
SET_GRADE = """
UPDATE memberships SET role = $3, owner = $4, custom_role_id = $5, updated_at = now()
 WHERE organisation_id = $1 AND user_id = $2
"""
CUSTOM_ROLE = "SELECT id, name, permissions FROM roles WHERE organisation_id = $1 AND id = $2"


class Member(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    grade: Grade


def check_grant(actor: Grade, *given: Grade) -> None:
    """Raises `BeyondOwnPermissions`."""
    if not all(grade.permissions <= actor.permissions for grade in given):
        raise BeyondOwnPermissions


def check_change(
    actor: Grade, before: Grade, after: Grade, *, oneself: bool, other_owners: bool
) -> None:
    """Whether the actor may make somebody who is `before` into `after`.

    `other_owners`: whether there is an owner besides the one whom it is about.

    Raises:
        CannotChangeOwnRole, OwnersOnly, BeyondOwnPermissions, LastOwner.
    """
    if oneself and not before.owner:
        raise CannotChangeOwnRole
    of_owners = before.role is Role.ADMIN or after.owner
    if of_owners and Permission.ORGANISATION_OWN not in actor.permissions:
        raise OwnersOnly
    check_grant(actor, before, after)
    if before.owner and not after.owner and not other_owners:
        raise LastOwner


def check_removal(actor: Grade, target: Grade) -> None:
    """Raises `CannotRemoveAdmin`, `BeyondOwnPermissions`."""
    if target.role is Role.ADMIN:
        raise CannotRemoveAdmin  # by an owner either: they demote them first
    check_grant(actor, target)


async def lock_as(tenant: Tenant, permission: Permission | None) -> tuple[Seats, Grade]:
    """Lock the organisation's row, and see what the one asking is now that we hold it.

    Raises:
        Forbidden: they have lost the permission while they waited.
        TokenInvalid: they, or the organisation, are gone.
    """
    seats, grade, _ = await lock_and_see(tenant, permission)
    return seats, grade


async def lock_and_see(
    tenant: Tenant, permission: Permission | None, *seen: Statement
) -> tuple[Seats, Grade, list[list[Row]]]:
    """The same, and what else there is to see under the lock: the rows of each statement."""
    locked, found, *rows = await tenant.connection.together(
        (LOCK, (tenant.organisation_id,)),
        (MEMBERSHIP, (tenant.organisation_id, tenant.user_id)),
        *seen,
    )
    seats = seats_of(locked[0] if locked else None, tenant.product.plans)
    if not found:
        raise TokenInvalid
    grade = _grade(tenant, found[0])
    if permission is not None and permission not in grade.permissions:
        raise Forbidden
    return seats, grade, rows


async def member_of(tenant: Tenant, user: UUID) -> Member:
    """Raises `MemberUnknown`."""
    row = await tenant.connection.fetchrow(MEMBERSHIP, tenant.organisation_id, user)
    if row is None:
        raise MemberUnknown
    return Member(user, row["person"], _grade(tenant, row))


async def has_other_owners(tenant: Tenant, than: UUID) -> bool:
    found: bool = await tenant.connection.fetchval(OTHER_OWNERS, tenant.organisation_id, than)
    return found


async def change_grade(tenant: Tenant, member: Member, after: Grade) -> None:
    """Make the member what `after` says, within the caller's transaction. Sends USER_ROLE_CHANGED.

    Whether it may be is the caller's to check.
    """
    await tenant.execute(
        SET_GRADE, tenant.organisation_id, member.id, after.role, after.owner, after.custom_id
    )
    before = member.grade.name
    await tenant.record(
        UserRoleChanged(member.id, before, after.name, tenant.user_id),
        f"{member.name} is now {after.name}, and was {before}",
        target=member.id,
    )


async def custom_role(connection: Connection, organisation: UUID, role: UUID) -> CustomRole:
    """Raises `RoleUnknown`."""
    row = await connection.fetchrow(CUSTOM_ROLE, organisation, role)
    if row is None:
        raise RoleUnknown
    return CustomRole(**row)


def _grade(tenant: Tenant, row: Record | Row) -> Grade:
    custom = None
    if row["role_id"] is not None:
        custom = CustomRole(row["role_id"], row["role_name"], row["permissions"])
    permissions = tenant.product.permissions
    return permissions.grade(Role(row["role"]), owner=row["owner"], custom=custom)
