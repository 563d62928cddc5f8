"""POST /api/users/invite, POST /api/users/accept-invite."""

from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from uuid_utils.compat import uuid7

from tenantry import feed
from tenantry.attempts import Attempts, Guess
from tenantry.db.database import Database
from tenantry.db.pool import Connection
from tenantry.db.wire import Row
from tenantry.errors import (
    AccountExists,
    AlreadyInvited,
    AlreadyMember,
    BeyondOwnPermissions,
    FieldError,
    Invalid,
    InviteExpired,
    InviteForSomebodyElse,
    InviteUnknown,
    RoleUnknown,
    SeatLimitReached,
    TooManyInvites,
)
from tenantry.events import InviteAccepted
from tenantry.inputs import Email, Input, Name, NewPassword, Token
from tenantry.mail import Mail
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.guards import (
    allowed,
    note_identity,
    person_or_nobody,
    signed_in_or_nobody,
)
from tenantry.tenancy.joining import join, join_as_new, without_account
from tenantry.tenancy.permissions import Permission, Role
from tenantry.tenancy.plans import Plans
from tenantry.tenancy.product import Product
from tenantry.tenancy.seats import Seats
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import Tokens, token_hash
from tenantry.users.inviting import Invite, lock_to_invite, seat_limit_reached

ENTER_BY_INVITE = """
SELECT organisation_id, id, email, role, custom_role_id, state, account_exists
  FROM tenantry.enter_by_invite($1)
"""
LOCK_BY_INVITE = """
SELECT organisation_id, id, email, role, custom_role_id, state, subscription_plan, member_count
  FROM tenantry.lock_by_invite($1)
"""
IS_INSIDE = """
SELECT EXISTS (
    SELECT FROM memberships
     WHERE organisation_id = $1 AND user_id = $2 AND removed_at IS NULL)
"""
SET_CUSTOM_ROLE = """
UPDATE memberships SET custom_role_id = $3 WHERE organisation_id = $1 AND user_id = $2
"""
EMAIL_PROVEN = "SELECT tenantry.email_proven($1)"
ACCEPT = "UPDATE invites SET accepted_at = now() WHERE organisation_id = $1 AND id = $2"


class InviteInput(Input):
    """As `role`, a MEMBER where it is left out; or with a custom role of the organisation."""

    email: Email
    role: Role | None = None
    custom_role_id: UUID | None = None


class AcceptInviteInput(Input):
    """`name` and `password` make the account; somebody who is signed in sends the token alone."""

    token: Token
    name: Name | None = None
    password: NewPassword | None = None

    def __post_init__(self) -> None:
        self.name = self.name and self.name.strip(" ")


class AcceptedInvite(msgspec.Struct, frozen=True, rename="camel"):
    """The new member."""

    id: UUID
    name: str
    email: str
    role: Role
    organisation_id: UUID


@post(
    "/invite",
    guards=[allowed(Permission.MEMBERS_INVITE)],
    answers=(
        SeatLimitReached,
        BeyondOwnPermissions,
        RoleUnknown,
        AlreadyMember,
        AlreadyInvited,
        TooManyInvites,
    ),
    summary="Invite somebody",
    operation_id="inviteMember",
)
async def invite(
    data: JSONBody[InviteInput],
    tenant: NamedDependency[Tenant],
    tokens: NamedDependency[Tokens],
    mail: NamedDependency[Mail],
) -> Reply[Invite]:
    """Makes an invite for an address, and mails it: a token that works once, for 24 hours.

    An open invite holds a seat. An expired one is superseded. Sends INVITE_SENT.
    """
    async with tenant.pipelined():
        inviting, grade = await lock_to_invite(
            tenant, tokens, mail, [data.email], data.role, data.custom_role_id
        )
        sent = await inviting.invite(data.email, grade)
    return Reply("Invite sent successfully", sent)


@post(
    "/accept-invite",
    guards=[signed_in_or_nobody],
    answers=(
        InviteUnknown,
        InviteExpired,
        InviteForSomebodyElse,
        AccountExists,
        AlreadyMember,
        SeatLimitReached,
    ),
    summary="Accept an invite",
    operation_id="acceptInvite",
)
async def accept_invite(
    request: Request[Any, Any, Any],
    data: JSONBody[AcceptInviteInput],
    product: NamedDependency[Product],
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    attempts: NamedDependency[Attempts],
    mail: NamedDependency[Mail],
) -> Reply[AcceptedInvite]:
    """Makes the account of an invited person, who then signs in. Sends USER_JOINED.

    Who has an account already signs in first, and accepts with the token alone; the invite must
    be for that account's address. With a name and a password, nobody is asked who they are.
    """
    hashed = token_hash(data.token)
    alone = data.name is None or data.password is None
    somebody = await person_or_nobody(request.scope) if alone else None
    if somebody is not None:
        await attempts.count(somebody.connection, Guess.TOKEN)
        async with somebody.connection.pipelined():
            member = await _accept(somebody.connection, product.plans, hashed, somebody.user_id)
            await _proven(somebody.connection, member, attempts, mail)
    else:
        name, password = _account_of(data)
        passwords.check_new(password)
        async with database.system() as connection:
            look = (ENTER_BY_INVITE, (hashed,))
            found = _opened(await attempts.count_and_look(connection, Guess.TOKEN, look))
        if found["account_exists"]:
            raise AccountExists  # before we hash: nobody makes us do that with a made-up token
        passwords.check_new(password, found["email"], name)
        password_hash = await passwords.hash(password)
        account = (uuid7(), name, password_hash)
        async with database.system() as connection:
            with without_account(AccountExists):
                async with connection.pipelined():
                    member = await _accept(connection, product.plans, hashed, *account)
                    await _proven(connection, member, attempts, mail)
    note_identity(request.scope, member.id, member.organisation_id)
    return Reply("Invite accepted successfully", member)


def _account_of(data: AcceptInviteInput) -> tuple[str, str]:
    """The name and password that a new account needs. Raises `Invalid`."""
    if data.name is None or data.password is None:
        missing = {"name": data.name, "password": data.password}
        raise Invalid(
            fields=tuple(
                FieldError(field, f"{field} is required, unless you are signed in")
                for field, value in missing.items()
                if value is None
            )
        )
    return data.name, data.password


async def _accept(
    connection: Connection,
    plans: Plans,
    hashed: bytes,
    user: UUID,
    name: str | None = None,
    password_hash: str | None = None,
) -> AcceptedInvite:
    """Join by the invite, within the caller's transaction; with a hash, as a new account."""
    found = _opened(await connection.fetchrow(LOCK_BY_INVITE, hashed))
    organisation = found["organisation_id"]
    seats = Seats(plans.named(found["subscription_plan"]), found["member_count"])
    if not seats.free():
        raise seat_limit_reached(seats.plan)
    if name is not None and password_hash is not None:
        await join_as_new(
            connection,
            organisation,
            user=user,
            email=found["email"],
            name=name,
            password_hash=password_hash,
            role=found["role"],
        )
    else:
        name = await join(connection, organisation, user=user, role=found["role"])
        if name is None:
            inside = await connection.fetchval(IS_INSIDE, organisation, user)
            raise AlreadyMember if inside else InviteForSomebodyElse
    if found["custom_role_id"] is not None:
        await connection.execute(SET_CUSTOM_ROLE, organisation, user, found["custom_role_id"])
    await connection.execute(ACCEPT, organisation, found["id"])
    await feed.record_later(
        connection,
        organisation,
        InviteAccepted(found["id"], found["email"], found["role"]),
        f"{name} accepted the invite",
        actor=user,
    )
    return AcceptedInvite(user, name, found["email"], found["role"], organisation)


async def _proven(
    connection: Connection, member: AcceptedInvite, attempts: Attempts, mail: Mail
) -> None:
    """The token was right; and where it can only have come by mail, so is the address."""
    await attempts.succeeded(connection, Guess.TOKEN)
    if mail.configured:
        await connection.execute(EMAIL_PROVEN, member.id)


async def open_invite(connection: Connection, hashed: bytes) -> Record | Row:
    """What the token opens. Raises `InviteUnknown`, `InviteExpired`."""
    return _opened(await connection.fetchrow(ENTER_BY_INVITE, hashed))


def _opened(found: Record | Row | None) -> Record | Row:
    if found is None or found["state"] in (None, "accepted", "revoked"):
        raise InviteUnknown
    if found["state"] == "expired":
        raise InviteExpired
    return found
