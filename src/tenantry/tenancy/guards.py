"""Guards: who may call a route. They stand at the route, where the reader sees them.

A guard verifies the token's signature, enters the organisation (one round trip: the session
lives, the membership stands), and checks the role that the database has. The `Tenant` is then
the handler's `tenant`; its connection goes back to the pool when the answer begins.
"""

from typing import Any, cast
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from tenantry.db.database import Database
from tenantry.errors import Forbidden, TokenInvalid, TokenMissing
from tenantry.tenancy.tenant import Role, Tenant
from tenantry.tenancy.tokens import TokenError, Tokens, token_hash

Connection = ASGIConnection[Any, Any, Any, Any]


async def any_member(connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever is in the organisation."""
    await _enter(connection.scope)


async def admin(connection: Connection, _: BaseRouteHandler) -> None:
    """The organisation's admins."""
    tenant = await _enter(connection.scope)
    if tenant.role != Role.ADMIN:
        raise Forbidden


async def enter(database: Database, tokens: Tokens, token: str) -> Tenant:
    """The tenant that an access token stands for, at this moment.

    Raises:
        TokenInvalid: not a token of ours, expired, logged out, or no member any more.
    """
    try:
        claims = tokens.read_access(token)
    except TokenError:
        raise TokenInvalid from None
    entered = await database.enter(claims.user, claims.session, claims.organisation)
    if entered is None:
        raise TokenInvalid
    connection, authority = entered
    return Tenant(
        connection,
        organisation_id=claims.organisation,
        user_id=claims.user,
        session_id=claims.session,
        role=authority["role"],
        last_seq=authority["last_seq"],
    )


async def enter_by_ticket(database: Database, ticket: str) -> Tenant:
    """The tenant that a ticket was issued to; the ticket is spent.

    Raises:
        TokenInvalid: unknown, used or expired, or its session or membership has ended.
    """
    entered = await database.enter_by_ticket(token_hash(ticket))
    if entered is None:
        raise TokenInvalid
    connection, found = entered
    return Tenant(connection, **found)


async def _enter(scope: Scope) -> Tenant:
    state = scope["litestar_app"].state
    tenant = await enter(state.database, state.tokens, bearer_token(scope))
    scope["state"]["tenant"] = tenant
    return tenant


def note_identity(scope: Scope, user: UUID, organisation: UUID) -> None:
    """For the log: who a public route found the client to be."""
    scope["state"].update(user_id=user, organisation_id=organisation)


def bearer_token(scope: Scope) -> str:
    """The token of the Authorization header (RFC 6750)."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and token.strip():
                return token.strip()
            break
    raise TokenMissing


def provide_tenant(scope: Scope) -> Tenant:
    """The dependency `tenant` of a guarded handler."""
    return cast(Tenant, scope["state"]["tenant"])
