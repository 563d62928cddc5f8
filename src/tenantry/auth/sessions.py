"""Sessions: opened by a login, carried on by refreshes, ended by a logout or a stolen token."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from asyncpg import Record
from uuid_utils.compat import uuid7

from tenantry.db.pool import Connection
from tenantry.errors import CredentialsInvalid, RefreshTokenInvalid
from tenantry.tenancy.tokens import Claims, TokenError, Tokens, first_refresh_id, token_hash

# How long the same refresh may be asked again: for tabs, and answers that got lost.
GRACE = timedelta(seconds=10)

OPEN = "SELECT organisation_id, opened_at FROM tenantry.open_session($1, $2, $3, $4)"
WHO = """
SELECT users.id, users.name, users.email, memberships.role,
       organisations.id AS organisation_id, organisations.name AS organisation_name,
       organisations.slug, organisations.subscription_plan
  FROM users
  JOIN memberships ON memberships.user_id = users.id
  JOIN organisations ON organisations.id = memberships.organisation_id
 WHERE users.id = $1 AND memberships.organisation_id = $2
"""
ROTATE = """
SELECT outcome, rotated_at FROM tenantry.rotate_session($1, $2, $3, $4, $5, $6, $7)
"""
CLOSE = "SELECT tenantry.close_session($1, $2)"


class TokenPair(msgspec.Struct, frozen=True, rename="camel"):
    access_token: str
    refresh_token: str


class SignedInUser(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    email: str
    role: str


class SignedInOrganisation(msgspec.Struct, frozen=True, rename="camel"):
    id: UUID
    name: str
    slug: str
    subscription_plan: str


class SignedIn(msgspec.Struct, frozen=True, rename="camel"):
    access_token: str
    refresh_token: str
    user: SignedInUser
    organisation: SignedInOrganisation


async def open_session(connection: Connection, tokens: Tokens, user: UUID) -> SignedIn:
    """Sign the user in, within the caller's transaction.

    Raises:
        CredentialsInvalid: the user is in no organisation any more.
    """
    session = uuid7()
    refresh_id = first_refresh_id()
    opened = await connection.fetchrow(
        OPEN, session, user, token_hash(refresh_id), tokens.refresh_lifetime
    )
    if opened is None or opened["organisation_id"] is None:
        raise CredentialsInvalid
    who = await connection.fetchrow(WHO, user, opened["organisation_id"])
    assert who is not None
    claims = Claims(user, session, opened["organisation_id"], refresh_id)
    return _signed_in(_pair(tokens, claims, opened["opened_at"]), who)


async def rotate(
    connection: Connection, tokens: Tokens, refresh_token: str
) -> tuple[TokenPair, Claims]:
    """The next generation of tokens and whose they are.

    Outside any transaction, as a revocation must stand although the request fails.

    Raises:
        RefreshTokenInvalid: forged, expired, ended, or used before; the last ends the session.
    """
    try:
        claims = tokens.read_refresh(refresh_token)
    except TokenError:
        raise RefreshTokenInvalid from None
    successor = tokens.successor(claims)
    row = await connection.fetchrow(
        ROTATE,
        claims.session,
        claims.user,
        claims.organisation,
        token_hash(claims.id),
        token_hash(successor.id),
        tokens.refresh_lifetime,
        GRACE,
    )
    if row is None or row["outcome"] != "rotated":
        raise RefreshTokenInvalid
    return _pair(tokens, successor, row["rotated_at"]), successor


async def close_sessions(
    connection: Connection, tokens: Tokens, user: UUID, session: UUID, refresh_token: str
) -> None:
    """End the session, and the refresh token's too where it is another of the same user."""
    ended = {session}
    try:
        claims = tokens.read_refresh(refresh_token)
    except TokenError:
        pass  # expired or foreign: there is nothing more to end
    else:
        if claims.user == user:
            ended.add(claims.session)
    for one in ended:
        await connection.execute(CLOSE, one, user)


def _pair(tokens: Tokens, claims: Claims, issued: datetime) -> TokenPair:
    return TokenPair(
        access_token=tokens.access(
            claims.user, claims.session, claims.organisation, datetime.now(UTC)
        ),
        refresh_token=tokens.refresh(claims, issued),
    )


def _signed_in(pair: TokenPair, who: Record) -> SignedIn:
    return SignedIn(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        user=SignedInUser(who["id"], who["name"], who["email"], who["role"]),
        organisation=SignedInOrganisation(
            who["organisation_id"],
            who["organisation_name"],
            who["slug"],
            who["subscription_plan"],
        ),
    )
