"""The gateway: /ws, from the handshake to the close, as plain ASGI."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency

from tenantry.asgi import Receive, Scope, Send
from tenantry.db.database import Database, unreachable
from tenantry.errors import NotFound, TokenInvalid, Unavailable
from tenantry.realtime.hub import Hub
from tenantry.tenancy.guards import enter, enter_by_ticket
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import Tokens

BUFFER = 256  # events that a socket may lag behind before it is cut off
TRY_AGAIN_LATER = 1013  # RFC 6455 registry: the server is too busy for this client

CONNECTED = '{"type":"CONNECTED","payload":{"message":"Connected to real-time channel"}}'
PONG = '{"type":"PONG"}'


class Refused(Exception):
    """The handshake is answered 401 with this text, which is the contract's."""


class QueuedSocket:
    """A socket whose frames wait in a bounded queue for its sender."""

    def __init__(self, organisation_id: UUID, user_id: UUID, session_id: UUID, seq: int) -> None:
        self.organisation_id = organisation_id
        self.user_id = user_id
        self.session_id = session_id
        self.seq = seq
        self.frames: asyncio.Queue[str] = asyncio.Queue(BUFFER)
        self.closing: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def deliver(self, frame: str) -> None:
        if self.closing.done():
            return
        try:
            self.frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.close(TRY_AGAIN_LATER, "Reading too slowly. Connect again.")

    def close(self, code: int, reason: str) -> None:
        if not self.closing.done():
            self.closing.set_result((code, reason))


class Gateway:
    """The ASGI application of every WebSocket."""

    def __init__(self, database: Database, tokens: Tokens, hub: Hub) -> None:
        self._database = database
        self._tokens = tokens
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            tenant = await authenticate(self._database, self._tokens, scope)
        except Refused as refused:
            await _refuse(send, refused)
            return
        scope["state"]["tenant"] = tenant  # its connection goes back when the handshake is answered
        socket = QueuedSocket(
            tenant.organisation_id, tenant.user_id, tenant.session_id, tenant.last_seq
        )
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        await send({"type": "websocket.send", "text": CONNECTED, "bytes": None})
        self._hub.attach(socket)
        try:
            await converse(socket, receive, send)
        finally:
            self._hub.detach(socket)
        if socket.closing.done():
            code, reason = socket.closing.result()
            with contextlib.suppress(RuntimeError, OSError):  # the client was faster
                await send({"type": "websocket.close", "code": code, "reason": reason})


async def authenticate(database: Database, tokens: Tokens, scope: Mapping[str, Any]) -> Tenant:
    """Who connects, by the query's ticket or token. Raises `Refused`, `TenantryError`."""
    if scope["path"] != "/ws":
        raise NotFound("There is no WebSocket at this address")
    query = parse_qs(scope["query_string"].decode("latin-1"))
    try:
        if ticket := query.get("ticket"):
            return await enter_by_ticket(database, ticket[0])
        if token := query.get("token"):
            return await enter(database, tokens, token[0])
    except TokenInvalid:
        raise Refused(f"Invalid or expired {'ticket' if ticket else 'token'}") from None
    except Exception as error:
        if not unreachable(error):
            raise
        raise Unavailable(headers={"retry-after": "2"}) from error
    raise Refused("Missing token")


async def _refuse(send: Send, refused: Refused) -> None:
    start: Any = {
        "type": "websocket.http.response.start",
        "status": 401,
        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
    }
    body: Any = {"type": "websocket.http.response.body", "body": str(refused).encode()}
    await send(start)
    await send(body)


async def converse(socket: QueuedSocket, receive: Receive, send: Send) -> None:
    """Send what is queued and answer what comes in, until either side closes."""
    tasks: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(_send_frames(socket, send)),
        asyncio.ensure_future(_answer(socket, receive)),
        socket.closing,
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks[:2]:
            task.cancel()
        await asyncio.gather(*tasks[:2], return_exceptions=True)


async def _send_frames(socket: QueuedSocket, send: Send) -> None:
    while True:
        frame = await socket.frames.get()
        await send({"type": "websocket.send", "text": frame, "bytes": None})


async def _answer(socket: QueuedSocket, receive: Receive) -> None:
    while True:
        message: Any = await receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            said = msgspec.json.decode(message.get("text") or message.get("bytes") or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # what is no JSON is ignored
        if isinstance(said, dict) and said.get("type") == "PING":
            socket.deliver(PONG)


@get("/ws", public="The ticket or token is in the query string.", include_in_schema=False)
async def plain_request(
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    tokens: NamedDependency[Tokens],
) -> Response[str]:
    """What somebody sees who asks for /ws without a WebSocket: the handshake's own answers."""
    try:
        request.scope["state"]["tenant"] = await authenticate(database, tokens, request.scope)
    except Refused as refused:
        return Response(str(refused), status_code=401, media_type=MediaType.TEXT)
    return Response(
        "This address speaks WebSocket: connect to it with a WebSocket client",
        status_code=426,
        media_type=MediaType.TEXT,
        headers={"upgrade": "websocket"},
    )
