"""GET /api/auth/me/export, DELETE /api/auth/me: what is held about a person, and its end."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts
from tenantry.auth.cookies import RefreshCookie
from tenantry.auth.factors import require_strong
from tenantry.errors import LastOwner, PasswordWrong, StepUpRequired, TokenInvalid
from tenantry.inputs import Input, Password
from tenantry.mail import Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.authority import has_other_owners
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.leaving import leave
from tenantry.tenancy.permissions import Role
from tenantry.tenancy.person import Person
from tenantry.tenancy.product import Product
from tenantry.tenancy.tenant import Tenant

EXPORT = "SELECT tenantry.export_person($1)"
OWN_ORGANISATIONS = "SELECT tenantry.own_organisations($1)"
ENTER_OWN = "SELECT role, owner, last_seq, deleted FROM tenantry.enter_own($1, $2)"
ORGANISATION_NAME = "SELECT name FROM organisations WHERE id = $1"
# Nobody is left who could restore it, so it need not wait for thirty days.
ABANDON = """
UPDATE organisations SET deleted_at = now() - interval '30 days', updated_at = now() WHERE id = $1
"""
NAME = "SELECT name, email FROM tenantry.person($1)"
ERASE = "SELECT tenantry.erase_person($1)"


class ExportedAccount(msgspec.Struct, frozen=True, rename="camel"):
    id: UUID
    name: str
    email: str
    email_verified_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ExportedPasskey(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    created_at: datetime
    used_at: datetime | None


class ExportedSecondFactors(msgspec.Struct, frozen=True, rename="camel"):
    totp_since: datetime | None
    recovery_codes_left: int
    passkeys: list[ExportedPasskey]


class ExportedSession(msgspec.Struct, frozen=True, rename="camel"):
    device: str
    address: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None


class ExportedLink(msgspec.Struct, frozen=True, rename="camel"):
    """A link that was mailed, until it is swept: to what address, and what for."""

    purpose: str
    email: str
    created_at: datetime
    expires_at: datetime


class ExportedMembership(msgspec.Struct, frozen=True, rename="camel"):
    organisation_id: UUID
    organisation_name: str
    role: Role
    owner: bool
    custom_role: str | None
    joined_at: datetime
    left_at: datetime | None


class ExportedActivity(msgspec.Struct, frozen=True, rename="camel"):
    organisation_id: UUID
    seq: int
    type: str
    message: str
    metadata: dict[str, Any]
    created_at: datetime


class Export(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that is held about a person, but for secrets: of those the server has hashes."""

    account: ExportedAccount
    second_factors: ExportedSecondFactors
    sessions: list[ExportedSession]
    mailed_links: list[ExportedLink]
    memberships: list[ExportedMembership]
    activities: list[ExportedActivity]


class EraseInput(Input):
    password: Password


class Erased(msgspec.Struct, frozen=True):
    erased: bool


@get(
    "/me/export",
    guards=[signed_in],
    answers=(StepUpRequired,),
    summary="Everything held about oneself",
    operation_id="exportMe",
)
async def export_me(person: NamedDependency[Person]) -> Reply[Export]:
    """One's account, second factors, sessions and memberships, former ones too, and every line of
    a feed that one did or that is about one.
    """
    await require_strong(person)
    exported = await person.connection.fetchval(EXPORT, person.user_id)
    if exported is None:
        raise TokenInvalid
    return Reply("Account exported", msgspec.json.decode(exported, type=Export))


@delete(
    "/me",
    status_code=200,
    guards=[signed_in],
    answers=(PasswordWrong, StepUpRequired, LastOwner),
    summary="Delete one's account",
    operation_id="eraseMe",
)
async def erase_me(
    data: JSONBody[EraseInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    mail: NamedDependency[Mail],
    product: NamedDependency[Product],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[Erased]]:
    """Leaves every organisation, ends every session, and erases who one was: the feeds keep
    "Former member". It cannot be taken back. Needs one's password, and a session that has given
    the second factor, if there is one.

    An organisation that one owns alone with others in it must be handed over or deleted first; one
    that nobody else is in goes with the account. Sends USER_REMOVED.
    """
    await require_strong(person)
    await confirm_password(person, attempts, passwords, data.password)
    connection = person.connection
    async with connection.transaction():
        account = await connection.fetchrow(NAME, person.user_id)
        if account is None or account["name"] is None:
            raise TokenInvalid
        organisations = await connection.fetchval(OWN_ORGANISATIONS, person.user_id)
        orphaned = [
            await connection.fetchval(ORGANISATION_NAME, organisation)
            for organisation in organisations
            if not await _leave(person, product, organisation, account["name"])
        ]
        if orphaned:
            raise LastOwner(
                f"You are the only owner of {' and '.join(orphaned)}, where there are others: "
                "hand it over, or delete it first"
            )
        await mail.send(connection, Template.ACCOUNT_ERASED, account["email"], name=account["name"])
        if not await connection.fetchval(ERASE, person.user_id):
            raise TokenInvalid  # they have joined another one at this very moment
    return cookie.clear(Reply("Account deleted", Erased(erased=True)))


async def _leave(person: Person, product: Product, organisation: UUID, name: str) -> bool:
    """Take the person out. False: they are the only owner, and others are there."""
    entered = await person.connection.fetchrow(ENTER_OWN, person.user_id, organisation)
    if entered is None or entered["role"] is None:
        return True  # removed a moment ago
    tenant = Tenant(
        person.connection,
        product,
        organisation_id=organisation,
        user_id=person.user_id,
        session_id=person.session_id,
        role=entered["role"],
        owner=entered["owner"],
        custom_permissions=None,
        last_seq=entered["last_seq"],
    )
    seats = await tenant.lock_seats()
    alone = seats.members == 1
    needed = entered["owner"] and not (alone or entered["deleted"])
    if needed and not await has_other_owners(tenant, person.user_id):
        return False
    await leave(tenant, person.user_id, f"{name} left the organisation")
    if alone:
        await tenant.execute(ABANDON, organisation)
    return True
