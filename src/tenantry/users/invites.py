"""POST /api/users/invite, POST /api/users/accept-invite."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from uuid_utils.compat import uuid7

from tenantry import feed
from tenantry.attempts import Attempt, Attempts, Purpose, attempt_of
from tenantry.db.database import Database
from tenantry.db.pool import Connection
from tenantry.errors import (
    AccountExists,
    AlreadyInvited,
    AlreadyMember,
    FieldError,
    Invalid,
    InviteExpired,
    InviteForSomebodyElse,
    InviteUnknown,
    SeatLimitReached,
    TooManyAuthAttempts,
)
from tenantry.feed import ActivityType
from tenantry.inputs import Email, Input, Name, NewPassword, Token
from tenantry.mail import Action, Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.guards import allowed, note_identity, signed_in_or_nobody
from tenantry.tenancy.joining import join, join_as_new
from tenantry.tenancy.permissions import Permission, Role
from tenantry.tenancy.person import Person
from tenantry.tenancy.plans import Plan
from tenantry.tenancy.seats import lock_seats
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import Tokens, new_nonce, token_hash

LIFETIME = timedelta(hours=24)

IS_MEMBER = """
SELECT EXISTS (
    SELECT FROM memberships
      JOIN users ON users.id = memberships.user_id
     WHERE memberships.organisation_id = $1 AND memberships.removed_at IS NULL
       AND lower(users.email) = lower($2))
"""
OPEN_INVITE = """
SELECT expires_at > now() AS open
  FROM invites
 WHERE organisation_id = $1 AND lower(email) = lower($2)
   AND accepted_at IS NULL AND revoked_at IS NULL
"""
RESERVED = """
SELECT count(*)
  FROM invites
 WHERE organisation_id = $1
   AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()
"""
SUPERSEDE = """
UPDATE invites SET revoked_at = now()
 WHERE organisation_id = $1 AND lower(email) = lower($2)
   AND accepted_at IS NULL AND revoked_at IS NULL
"""
INVITE = """
INSERT INTO invites (organisation_id, id, email, role, token_hash, invited_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + $7)
RETURNING expires_at
"""
ENTER_BY_INVITE = """
SELECT organisation_id, id, email, role, state, account_exists
  FROM tenantry.enter_by_invite($1)
"""
IS_INSIDE = """
SELECT EXISTS (
    SELECT FROM memberships
     WHERE organisation_id = $1 AND user_id = $2 AND removed_at IS NULL)
"""
INVITER = """
SELECT users.name AS inviter, organisations.name AS organisation
  FROM organisations, users
 WHERE organisations.id = $1 AND users.id = $2
"""
EMAIL_PROVEN = "SELECT tenantry.email_proven($1)"
ACCEPT = "UPDATE invites SET accepted_at = now() WHERE organisation_id = $1 AND id = $2"


class InviteInput(Input):
    email: Email
    role: Role = Role.MEMBER


class AcceptInviteInput(Input):
    """`name` and `password` make the account; somebody who is signed in sends the token alone."""

    token: Token
    name: Name | None = None
    password: NewPassword | None = None

    def __post_init__(self) -> None:
        self.name = self.name and self.name.strip(" ")


class Invite(msgspec.Struct, frozen=True, rename="camel"):
    """An invite as its sender sees it, once: the token is not kept.

    Where the server sends mail, the token leaves only by mail and is null here.
    """

    id: UUID
    email: str
    role: str
    token: str | None
    expires_at: datetime


class AcceptedInvite(msgspec.Struct, frozen=True, rename="camel"):
    """The new member."""

    id: UUID
    name: str
    email: str
    role: str
    organisation_id: UUID


@post(
    "/invite",
    guards=[allowed(Permission.MEMBERS_INVITE)],
    answers=(SeatLimitReached, AlreadyMember, AlreadyInvited),
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
    nonce, invite_id = new_nonce(), uuid7()
    token = tokens.derived(Action.ACCEPT_INVITE, nonce)
    organisation = tenant.organisation_id
    async with tenant.transaction():
        seats = await tenant.lock_seats()
        if await tenant.connection.fetchval(IS_MEMBER, organisation, data.email):
            raise AlreadyMember
        if await tenant.connection.fetchval(OPEN_INVITE, organisation, data.email):
            raise AlreadyInvited
        reserved = await tenant.connection.fetchval(RESERVED, organisation)
        if not seats.free(reserved=reserved):
            raise _seat_limit_reached(seats.plan)
        await tenant.execute(SUPERSEDE, organisation, data.email)
        expires_at = await tenant.connection.fetchval(
            INVITE,
            organisation,
            invite_id,
            data.email,
            data.role,
            token_hash(token),
            tenant.user_id,
            LIFETIME,
        )
        await tenant.record(
            ActivityType.INVITE_SENT,
            f"{data.email} was invited as {data.role}",
            {"inviteId": invite_id, "email": data.email, "role": data.role},
        )
        if mail.sends:
            named = await tenant.connection.fetchrow(INVITER, organisation, tenant.user_id)
            assert named is not None
            await mail.send(
                tenant.connection,
                Template.INVITE,
                data.email,
                **named,
                role=data.role,
                nonce=nonce,
                expires_at=expires_at,
            )
    shown = None if mail.configured else token
    return Reply(
        "Invite sent successfully", Invite(invite_id, data.email, data.role, shown, expires_at)
    )


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
        TooManyAuthAttempts,
    ),
    summary="Accept an invite",
    operation_id="acceptInvite",
)
async def accept_invite(
    request: Request[Any, Any, Any],
    data: JSONBody[AcceptInviteInput],
    somebody: NamedDependency[Person | None],
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    attempts: NamedDependency[Attempts],
    mail: NamedDependency[Mail],
) -> Reply[AcceptedInvite]:
    """Makes the account of an invited person, who then signs in. Sends USER_JOINED.

    Who has an account already signs in first, and accepts with the token alone; the invite must
    be for that account's address.
    """
    hashed, attempt = token_hash(data.token), attempt_of(request.scope, Purpose.TOKEN)
    if somebody is not None:
        await attempts.count(somebody.connection, attempt)
        async with somebody.connection.transaction():
            member = await _accept(somebody.connection, hashed, somebody.user_id)
            await _proven(somebody.connection, member, attempts, attempt, mail)
    else:
        name, password = _account_of(data)
        passwords.check_new(password)
        async with database.system() as connection:
            await attempts.count(connection, attempt)
            found = await _open_invite(connection, hashed)
        if found["account_exists"]:
            raise AccountExists  # before we hash: nobody makes us do that with a made-up token
        passwords.check_new(password, found["email"], name)
        password_hash = await passwords.hash(password)
        async with database.system() as connection, connection.transaction():
            member = await _accept(connection, hashed, uuid7(), name, password_hash)
            await _proven(connection, member, attempts, attempt, mail)
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
    hashed: bytes,
    user: UUID,
    name: str | None = None,
    password_hash: str | None = None,
) -> AcceptedInvite:
    """Join by the invite, within the caller's transaction; with a hash, as a new account."""
    organisation = (await _open_invite(connection, hashed))["organisation_id"]
    seats = await lock_seats(connection, organisation)
    found = await _open_invite(connection, hashed)  # as it is now that we hold the lock
    if not seats.free():
        raise _seat_limit_reached(seats.plan)
    if name is not None and password_hash is not None:
        joined = await join_as_new(
            connection,
            organisation,
            user=user,
            email=found["email"],
            name=name,
            password_hash=password_hash,
            role=found["role"],
        )
        if not joined:
            raise AccountExists
    else:
        name = await join(connection, organisation, user=user, role=found["role"])
        if name is None:
            inside = await connection.fetchval(IS_INSIDE, organisation, user)
            raise AlreadyMember if inside else InviteForSomebodyElse
    await connection.execute(ACCEPT, organisation, found["id"])
    await feed.record(
        connection,
        ActivityType.INVITE_ACCEPTED,
        f"{name} accepted the invite",
        {"inviteId": found["id"], "email": found["email"], "role": found["role"]},
        actor=user,
    )
    return AcceptedInvite(user, name, found["email"], found["role"], organisation)


async def _proven(
    connection: Connection, member: AcceptedInvite, attempts: Attempts, attempt: Attempt, mail: Mail
) -> None:
    """The token was right; and where it can only have come by mail, so is the address."""
    await attempts.succeeded(connection, attempt)
    if mail.configured:
        await connection.execute(EMAIL_PROVEN, member.id)


async def _open_invite(connection: Connection, hashed: bytes) -> Record:
    """What the token opens. Raises `InviteUnknown`, `InviteExpired`."""
    found: Record | None = await connection.fetchrow(ENTER_BY_INVITE, hashed)
    if found is None or found["state"] in (None, "accepted", "revoked"):
        raise InviteUnknown
    if found["state"] == "expired":
        raise InviteExpired
    return found


def _seat_limit_reached(plan: Plan) -> SeatLimitReached:
    return SeatLimitReached(f"Member limit reached for {plan} plan. Please upgrade.")
