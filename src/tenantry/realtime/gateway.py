"""The gateway: who may open /ws, settled before the handshake is answered."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency

from tenantry.activities.routes import MAX_SEQ
from tenantry.asgi import Receive, Scope, Send
from tenantry.db.database import Database, unreachable
from tenantry.errors import (
    FieldError,
    Invalid,
    NotFound,
    OriginNotAllowed,
    TokenInvalid,
    Unavailable,
)
from tenantry.origins import may_ask, own_origin
from tenantry.realtime.handshake import EXTENSION
from tenantry.realtime.heartbeat import Heartbeat
from tenantry.realtime.hub import Hub
from tenantry.realtime.websocket import WebSocketProtocol
from tenantry.settings import Settings
from tenantry.tenancy.guards import enter, enter_by_ticket
from tenantry.tenancy.product import Product
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import Tokens

BEARER = "bearer"  # the subprotocol; the access token is offered right after it


class Refused(Exception):
    """The handshake is answered 401 with this text, which is the contract's."""


class Gateway:
    """The ASGI application of every WebSocket. It is done when the connection is open."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        product: Product,
        hub: Hub,
        heartbeat: Heartbeat,
        settings: Settings,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._product = product
        self._hub = hub
        self._heartbeat = heartbeat
        self._settings = settings
        self._origins = own_origin(settings.public_url) | {
            origin.lower() for origin in settings.cors_origins
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: WebSocketProtocol = scope["extensions"][EXTENSION]
        try:
            check_origin(scope, self._origins)
            after = read_after(scope)
            tenant = await authenticate(self._database, self._tokens, self._product, scope)
            scope["state"].update(user_id=tenant.user_id, organisation_id=tenant.organisation_id)
            self._database.release(tenant.connection)  # it was needed to find out who this is
            greeting = await self._hub.welcome(connection, tenant, after)
        except BaseException as error:
            self._hub.dismiss(connection)
            if not isinstance(error, Refused | TokenInvalid):
                raise
            await _refuse(send, str(error))
            return
        subprotocol = BEARER if BEARER in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
        connection.open(greeting, self._heartbeat, self._settings.messages_per_second)
        self._hub.follow(connection)


def check_origin(scope: Mapping[str, Any], allowed: set[str]) -> None:
    """A browser says which page asks (RFC 6455, 10.2). Raises `OriginNotAllowed`."""
    if not may_ask(scope, allowed):
        raise OriginNotAllowed


def read_after(scope: Mapping[str, Any]) -> int | None:
    """The last seq that the client has. Raises `Invalid`."""
    given = parse_qs(scope["query_string"].decode("latin-1")).get("after")
    if not given:
        return None
    if not re.fullmatch(r"[0-9]{1,16}", given[0]) or int(given[0]) > MAX_SEQ:
        raise Invalid(fields=(FieldError("after", "after must be the seq of an event"),))
    return int(given[0])


async def authenticate(
    database: Database, tokens: Tokens, product: Product, scope: Mapping[str, Any]
) -> Tenant:
    """Who connects, by the query's ticket or token. Raises `Refused`, `TenantryError`."""
    if scope["path"] != "/ws":
        raise NotFound("There is no WebSocket at this address")
    query = parse_qs(scope["query_string"].decode("latin-1"))
    ticket = query.get("ticket")
    try:
        if ticket:
            return await enter_by_ticket(database, product, ticket[0])
        if token := query.get("token", _offered(scope)):
            return await enter(database, tokens, product, token[0])
    except TokenInvalid:
        raise Refused(f"Invalid or expired {'ticket' if ticket else 'token'}") from None
    except Exception as error:
        if not unreachable(error):
            raise
        raise Unavailable(headers={"retry-after": "2"}) from error
    raise Refused("Missing token")


def _offered(scope: Mapping[str, Any]) -> list[str]:
    """The token of `new WebSocket(url, ["bearer", token])`."""
    offered: list[str] = scope.get("subprotocols", [])
    return offered[1:2] if offered[:1] == [BEARER] else []


async def _refuse(send: Send, text: str) -> None:
    start: Any = {
        "type": "websocket.http.response.start",
        "status": 401,
        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
    }
    body: Any = {"type": "websocket.http.response.body", "body": text.encode()}
    await send(start)
    await send(body)


@get("/ws", public="The ticket or token is in the query string.", include_in_schema=False)
async def plain_request(
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    tokens: NamedDependency[Tokens],
    product: NamedDependency[Product],
) -> Response[str]:
    """What somebody sees who asks for /ws without a WebSocket: the handshake's own answers."""
    try:
        request.scope["state"]["tenant"] = await authenticate(
            database, tokens, product, request.scope
        )
    except Refused as refused:
        return Response(str(refused), status_code=401, media_type=MediaType.TEXT)
    return Response(
        "This address speaks WebSocket: connect to it with a WebSocket client",
        status_code=426,
        media_type=MediaType.TEXT,
        headers={"upgrade": "websocket"},
    )
