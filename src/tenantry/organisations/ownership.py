"""POST /api/organisations/transfer-ownership, POST …/leave."""

from uuid import UUID

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts
from tenantry.errors import CannotChangeOwnRole, LastOwner, MemberUnknown, PasswordWrong
from tenantry.inputs import Input, Password
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.authority import (
    Grade,
    change_grade,
    has_other_owners,
    lock_as,
    member_of,
)
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import allowed, any_member
from tenantry.tenancy.leaving import leave
from tenantry.tenancy.permissions import Permission, Role
from tenantry.tenancy.tenant import Tenant


class TransferInput(Input):
    user_id: UUID
    password: Password


class Transferred(msgspec.Struct, frozen=True, rename="camel"):
    """The new owner."""

    owner_id: UUID


class Left(msgspec.Struct, frozen=True):
    left: bool


@post(
    "/transfer-ownership",
    status_code=200,
    guards=[allowed(Permission.ORGANISATION_OWN)],
    answers=(CannotChangeOwnRole, PasswordWrong, MemberUnknown),
    summary="Hand the organisation over",
    operation_id="transferOwnership",
)
async def transfer_ownership(
    data: JSONBody[TransferInput],
    tenant: NamedDependency[Tenant],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
) -> Reply[Transferred]:
    """Makes another member an owner, and the one asking an admin. Needs one's password.

    Sends USER_ROLE_CHANGED for each of the two.
    """
    if data.user_id == tenant.user_id:
        raise CannotChangeOwnRole("You are an owner already")
    await confirm_password(tenant, attempts, passwords, data.password)
    async with tenant.transaction():
        await lock_as(tenant, Permission.ORGANISATION_OWN)
        heir = await member_of(tenant, data.user_id)
        if not heir.grade.owner:
            await change_grade(tenant, heir, Grade(Role.ADMIN, owner=True))
        myself = await member_of(tenant, tenant.user_id)
        await change_grade(tenant, myself, Grade(Role.ADMIN))
    return Reply("Ownership transferred", Transferred(data.user_id))


@post(
    "/leave",
    status_code=200,
    guards=[any_member],
    answers=(LastOwner,),
    summary="Leave the organisation",
    operation_id="leaveOrganisation",
)
async def leave_organisation(tenant: NamedDependency[Tenant]) -> Reply[Left]:
    """Ends one's own membership, at once. The last owner cannot.

    Sends USER_REMOVED. Who is in no other organisation loses the account; the address is free.
    """
    async with tenant.transaction():
        _, grade = await lock_as(tenant, None)
        if grade.owner and not await has_other_owners(tenant, tenant.user_id):
            raise LastOwner
        myself = await member_of(tenant, tenant.user_id)
        await leave(tenant, tenant.user_id, f"{myself.name} left the organisation")
    return Reply("You left the organisation", Left(left=True))
