"""Guards: who may call a route. They stand at the route, where the reader sees them.

A guard verifies the token's signature, enters the organisation (one round trip: the session
lives, the membership stands), and checks the permission against the role that the database has.
The `Tenant` is then the handler's `tenant`; its connection goes back to the pool when the answer
begins. `signed_in` enters no organisation: the handler is given a `person`.
"""

from typing import Any, cast
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard, Scope

from tenantry.db.database import Database, Who
from tenantry.errors import Forbidden, TokenInvalid, TokenMissing
from tenantry.tenancy.person import Person
from tenantry.tenancy.product import Product
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import TokenError, Tokens, token_hash

Connection = ASGIConnection[Any, Any, Any, Any]


async def any_member(connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever is in the organisation."""
    await _enter(connection.scope)


async def signed_in(connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever has a session, whatever stands between them and the token's organisation."""
    await _enter_person(connection.scope)


async def signed_in_or_nobody(_: Connection, __: BaseRouteHandler) -> None:
    """Anybody; the handler asks for the `person_or_nobody` where it matters who it is."""


async def person_or_nobody(scope: Scope) -> Person | None:
    """Who is signed in by the token that the request sends; None where it sends none.

    Raises:
        TokenMissing, TokenInvalid: it sends something else.
    """
    if any(name == b"authorization" for name, _ in scope["headers"]):
        return await _enter_person(scope)
    return None


class Allowed:
    """The guard of a route that needs a permission: `guards=[allowed(Permission.PLAN_CHANGE)]`."""

    def __init__(self, permission: str) -> None:
        self.permission = permission

    async def __call__(self, connection: Connection, _: BaseRouteHandler) -> None:
        tenant = await _enter(connection.scope)
        if self.permission not in tenant.permissions:
            raise Forbidden


def allowed(permission: str) -> Guard:
    """Whoever has the permission by their role in the organisation."""
    return Allowed(permission)


async def enter(database: Database, tokens: Tokens, product: Product, token: str) -> Tenant:
    """The tenant that an access token stands for, at this moment.

    Raises:
        TokenInvalid: not a token of ours, expired, logged out, or no member any more.
        SecondFactorRequired: the organisation asks for more than this session has given.
    """
    who = _who(tokens, token)
    entered = await database.enter(who.user, who.session, who.organisation)
    if entered is None:
        raise TokenInvalid
    connection, authority = entered
    return Tenant(
        connection,
        product,
        organisation_id=who.organisation,
        user_id=who.user,
        session_id=who.session,
        role=authority["role"],
        owner=authority["owner"],
        custom_permissions=authority["permissions"],
        last_seq=authority["last_seq"],
    )


async def enter_person(database: Database, tokens: Tokens, token: str) -> Person:
    """The person whose session an access token is of, entered nowhere.

    Raises:
        TokenInvalid: not a token of ours, expired, or logged out.
    """
    who = _who(tokens, token)
    entered = await database.enter_person(who.user, who.session)
    if entered is None:
        raise TokenInvalid
    connection, found = entered
    return Person(
        connection,
        organisation_id=who.organisation,
        user_id=who.user,
        session_id=who.session,
        second_factor=found["second_factor"],
    )


async def enter_by_ticket(database: Database, product: Product, ticket: str) -> Tenant:
    """The tenant that a ticket was issued to; the ticket is spent.

    Raises:
        TokenInvalid: unknown, used or expired, or its session or membership has ended.
    """
    entered = await database.enter_by_ticket(token_hash(ticket))
    if entered is None:
        raise TokenInvalid
    connection, found = entered
    return Tenant(
        connection,
        product,
        organisation_id=found["organisation_id"],
        user_id=found["user_id"],
        session_id=found["session_id"],
        role=found["role"],
        owner=found["owner"],
        custom_permissions=found["permissions"],
        last_seq=found["last_seq"],
    )


def asking(tokens: Tokens, scope: Scope) -> Who:
    """Who sends the request, by its token alone.

    Raises:
        TokenMissing, TokenInvalid.
    """
    return _who(tokens, bearer_token(scope))


def _who(tokens: Tokens, token: str) -> Who:
    try:
        return tokens.read_access(token)
    except TokenError:
        raise TokenInvalid from None


async def _enter(scope: Scope) -> Tenant:
    state = scope["litestar_app"].state
    tenant = await enter(state.database, state.tokens, state.product, bearer_token(scope))
    scope["state"]["tenant"] = tenant
    return tenant


async def _enter_person(scope: Scope) -> Person:
    state = scope["litestar_app"].state
    person = await enter_person(state.database, state.tokens, bearer_token(scope))
    scope["state"]["tenant"] = person
    return person


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


def provide_person(scope: Scope) -> Person:
    """The dependency `person` of a handler for whoever is signed in."""
    return cast(Person, scope["state"]["tenant"])
