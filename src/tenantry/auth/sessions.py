"""Sessions: opened by a login, carried on by refreshes, ended by a logout or a stolen token.

A session is one login on one device. Its refresh tokens are generations of families: one of the
login, and one of each switch to another organisation, so that tabs do not disturb each other.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from msgspec import UNSET, UnsetType
from uuid_utils.compat import uuid7

from tenantry.auth.devices import Device
from tenantry.db.pool import Connection
from tenantry.db.wire import Row
from tenantry.errors import NoOrganisation, NotAMember, RefreshTokenInvalid
from tenantry.mail import Mail, Template
from tenantry.tenancy.permissions import Role
from tenantry.tenancy.person import Person
from tenantry.tenancy.tokens import Claims, TokenError, Tokens, first_refresh_id, token_hash

log = structlog.get_logger()

# How long the same refresh may be asked again: for tabs, and answers that got lost.
GRACE = timedelta(seconds=10)

OPEN = """
SELECT organisation_id, opened_at FROM tenantry.open_session($1, $2, $3, $4, $5, $6, $7, $8)
"""
OPEN_FAMILY = "SELECT tenantry.open_family($1, $2, $3, $4, $5, $6, $7) AS opened_at"
WHO = """
SELECT users.id, users.name, users.email, memberships.role, memberships.owner,
       organisations.id AS organisation_id, organisations.name AS organisation_name,
       organisations.slug, organisations.subscription_plan
  FROM users
  JOIN memberships ON memberships.user_id = users.id
  JOIN organisations ON organisations.id = memberships.organisation_id
 WHERE users.id = $1 AND memberships.organisation_id = tenantry.current_organisation()
"""
ROTATE = """
SELECT outcome, rotated_at
  FROM tenantry.rotate_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
SESSIONS = """
SELECT id, device, address, second_factor, created_at, used_at FROM tenantry.sessions_of($1)
"""
REUSED = "SELECT name, email, device FROM tenantry.reused_session($1)"
END = "SELECT tenantry.end_sessions($1, $2, $3, $4)"


class TokenPair(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`refresh_token` is left out where the answer has it as a cookie."""

    access_token: str
    refresh_token: str | UnsetType = UNSET


class SignedInUser(msgspec.Struct, frozen=True):
    """`owner` is whether they are an owner of the organisation; `role` is ADMIN then."""

    id: UUID
    name: str
    email: str
    role: Role
    owner: bool


class SignedInOrganisation(msgspec.Struct, frozen=True, rename="camel"):
    id: UUID
    name: str
    slug: str
    subscription_plan: str


class SignedIn(TokenPair, frozen=True, kw_only=True, rename="camel"):
    """Tokens, and of whom and for what they are."""

    user: SignedInUser
    organisation: SignedInOrganisation


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """One login. `device` is the client's User-Agent, `used_at` when its tokens were last renewed,
    `current` whether it is the one that asks.
    """

    id: UUID
    device: str
    address: str
    second_factor: bool
    created_at: datetime
    used_at: datetime
    current: bool


async def open_session(
    connection: Connection,
    tokens: Tokens,
    user: UUID,
    device: Device,
    *,
    second_factor: bool = False,
) -> SignedIn:
    """Sign the user in, within the caller's transaction.

    Raises:
        NoOrganisation: the user is in no organisation that stands.
    """
    session, refresh_id = uuid7(), first_refresh_id()
    opening = (
        session,
        user,
        token_hash(refresh_id),
        tokens.refresh_lifetime,
        tokens.session_lifetime,
        device.name,
        device.address,
        second_factor,
    )
    (opened,), found = await connection.together((OPEN, opening), (WHO, (user,)))
    if opened["organisation_id"] is None:
        raise NoOrganisation
    claims = Claims(user, session, opened["organisation_id"], refresh_id, session)
    return _signed_in(tokens, claims, opened["opened_at"], *found)


async def switch(
    connection: Connection, tokens: Tokens, person: Person, organisation: UUID
) -> SignedIn:
    """Tokens of the same session for another organisation, within the caller's transaction.

    Raises:
        NotAMember: they are not in that organisation.
    """
    family, refresh_id = uuid7(), first_refresh_id()
    opening = (
        family,
        person.session_id,
        person.user_id,
        organisation,
        token_hash(refresh_id),
        tokens.refresh_lifetime,
        tokens.session_lifetime,
    )
    (opened,), found = await connection.together((OPEN_FAMILY, opening), (WHO, (person.user_id,)))
    if opened["opened_at"] is None:
        raise NotAMember
    claims = Claims(person.user_id, person.session_id, organisation, refresh_id, family)
    return _signed_in(tokens, claims, opened["opened_at"], *found)


async def rotate(
    connection: Connection, tokens: Tokens, mail: Mail, refresh_token: str, device: Device
) -> tuple[TokenPair, Claims]:
    """The next generation of tokens and whose they are.

    Outside any transaction, as a revocation must stand although the request fails.

    Raises:
        RefreshTokenInvalid: forged, expired, ended, or used before; the last ends the session, and
            its owner is told.
    """
    try:
        claims = tokens.read_refresh(refresh_token)
    except TokenError:
        raise RefreshTokenInvalid from None
    successor = tokens.successor(claims)
    row = await connection.fetchrow(
        ROTATE,
        claims.session,
        claims.family,
        claims.user,
        claims.organisation,
        token_hash(claims.id),
        token_hash(successor.id),
        tokens.refresh_lifetime,
        tokens.session_lifetime,
        GRACE,
        device.name,
        device.address,
    )
    if row is None or row["outcome"] != "rotated":
        if row is not None and row["outcome"] == "reused":
            log.warning(
                "a refresh token was used twice; its session has ended",
                user=claims.user,
                session=claims.session,
                client=device.address,
            )
            await _tell_owner(connection, mail, claims.session, device)
        raise RefreshTokenInvalid
    return _pair(tokens, successor, row["rotated_at"]), successor


async def _tell_owner(connection: Connection, mail: Mail, session: UUID, device: Device) -> None:
    """By mail, of a session that has ended because `device` brought a used token."""
    owner = await connection.fetchrow(REUSED, session)
    if owner is not None and owner["email"] is not None:
        await mail.send(
            connection,
            Template.SESSION_REVOKED,
            owner["email"],
            name=owner["name"],
            device=owner["device"] or "an unnamed device",
            address=device.address,
            time=datetime.now(UTC),
        )


async def list_sessions(person: Person) -> list[Session]:
    """The living ones, the last used first."""
    rows = await person.connection.fetch(SESSIONS, person.user_id)
    return [Session(**row, current=row["id"] == person.session_id) for row in rows]


async def end_sessions(
    connection: Connection,
    user: UUID,
    sessions: set[UUID] | None,
    reason: str,
    *,
    keep: UUID | None = None,
) -> int:
    """End these sessions of the user, all where None, but for the one to keep; gives how many.

    Their access tokens, refresh tokens and sockets end at once, on every node.
    """
    ended: Any = await connection.fetchval(
        END, user, None if sessions is None else list(sessions), keep, reason
    )
    return int(ended)


def _signed_in(tokens: Tokens, claims: Claims, issued: datetime, who: Row) -> SignedIn:
    pair = _pair(tokens, claims, issued)
    return SignedIn(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        user=SignedInUser(who["id"], who["name"], who["email"], who["role"], who["owner"]),
        organisation=SignedInOrganisation(
            who["organisation_id"], who["organisation_name"], who["slug"], who["subscription_plan"]
        ),
    )


def _pair(tokens: Tokens, claims: Claims, issued: datetime) -> TokenPair:
    return TokenPair(
        access_token=tokens.access(
            claims.user, claims.session, claims.organisation, datetime.now(UTC)
        ),
        refresh_token=tokens.refresh(claims, issued),
    )
