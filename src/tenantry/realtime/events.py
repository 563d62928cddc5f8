"""GET /api/events: the event stream as server-sent events (WHATWG HTML, 9.2)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs

from litestar import Request, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from tenantry.activities.routes import MAX_SEQ
from tenantry.asgi import ABORT
from tenantry.db.database import Database
from tenantry.errors import TokenInvalid, TooManyConnections
from tenantry.realtime.hub import Hub
from tenantry.realtime.stream import Event, server_sent_events
from tenantry.realtime.subscriber import (
    BUFFER,
    CLOSE_TIMEOUT,
    TOO_SLOW,
    WINDOW,
    Closing,
    Subscriber,
)
from tenantry.tenancy.guards import any_member, enter_by_ticket, note_identity
from tenantry.tenancy.tenant import Tenant

FROM_NOW = -1
KEEP_ALIVE = 20.0  # seconds of silence after which a comment says that the stream is there


class EventSource(Subscriber):
    """What is to be sent, until the client has read it. `abort` ends the connection at once."""

    __slots__ = ("_abort", "_abort_timer", "_closing", "_hub", "_news", "_size", "_unread")

    def __init__(self, hub: Hub, abort: Callable[[], None]) -> None:
        super().__init__()
        self._hub = hub
        self._abort = abort
        self._abort_timer: asyncio.TimerHandle | None = None
        self._unread: list[bytes] = []
        self._size = 0
        self._news = asyncio.Event()
        self._closing: Closing | None = None

    @staticmethod
    def encode(events: Sequence[Event]) -> bytes:
        return server_sent_events(events)

    @property
    def ready(self) -> bool:
        return self._size < WINDOW

    def write(self, data: bytes) -> None:
        self._unread.append(data)
        self._size += len(data)
        self._news.set()
        if self.audience and self._size > BUFFER:
            self.close(TOO_SLOW)

    def close(self, closing: Closing) -> None:
        if self._closing:
            return
        self._closing = closing
        self._hub.dismiss(self)
        self._news.set()
        # A client that does not read is not waited for long.
        loop = asyncio.get_running_loop()
        self._abort_timer = loop.call_later(CLOSE_TIMEOUT, self._abort)

    def ended(self) -> None:
        """The answer is over, whoever ended it."""
        self._hub.dismiss(self)
        if self._abort_timer:
            self._abort_timer.cancel()

    async def sent(self) -> AsyncIterator[bytes]:
        while True:
            if self._unread:
                unread, self._unread = b"".join(self._unread), []
                yield unread
                self._size -= len(unread)
                self._hub.go_on()
            elif self._closing:
                yield b"event: close\ndata: %d %s\n\n" % (
                    self._closing.code,
                    self._closing.reason.encode(),
                )
                return
            else:
                self._news.clear()
                try:
                    async with asyncio.timeout(KEEP_ALIVE):
                        await self._news.wait()
                except TimeoutError:
                    yield b": still here\n\n"


async def any_member_or_ticket(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Whoever is in the organisation, by access token or, as in an EventSource, by ticket."""
    query = parse_qs(connection.scope["query_string"].decode("latin-1"))
    if "ticket" not in query:
        await any_member(connection, handler)
        return
    state = connection.scope["litestar_app"].state
    try:
        tenant = await enter_by_ticket(state.database, state.product, query["ticket"][0])
    except TokenInvalid:
        raise TokenInvalid("Invalid or expired ticket") from None
    connection.scope["state"]["tenant"] = tenant


@get(
    "/",
    guards=[any_member_or_ticket],
    answers=(TooManyConnections,),
    summary="The event stream (server-sent events)",
    operation_id="listen",
    media_type="text/event-stream",
)
async def listen(
    request: Request[Any, Any, Any],
    tenant: NamedDependency[Tenant],
    database: NamedDependency[Database],
    hub: NamedDependency[Hub],
    last_event_id: Annotated[
        int,
        HeaderParameter(
            name="last-event-id",
            ge=FROM_NOW,
            le=MAX_SEQ,
            description="The last `seq` that the client has; browsers send it by themselves.",
        ),
    ] = FROM_NOW,
    after: Annotated[
        int,
        QueryParameter(
            ge=FROM_NOW, le=MAX_SEQ, description="The same, where no header can be set."
        ),
    ] = FROM_NOW,
    ticket: Annotated[
        str | None,
        QueryParameter(description="A ticket, where no header can be set. It works once."),
    ] = None,
) -> Stream:
    """The organisation's events as they are committed, and first what was missed since
    `Last-Event-ID`. The messages are those of `/ws`, and each one's `id` is its `seq`; before the
    server ends the stream it sends a `close` event with the code and reason of the WebSocket's.
    """
    scope = request.scope
    if scope["state"].get("head"):
        return Stream(iter(()), media_type="text/event-stream")
    note_identity(scope, tenant.user_id, tenant.organisation_id)
    database.release(scope["state"].pop("tenant").connection)
    source = EventSource(hub, scope["state"][ABORT])
    scope["state"]["at_end"] = source.ended
    has = after if last_event_id == FROM_NOW else last_event_id
    greeting = await hub.welcome(source, tenant, None if has == FROM_NOW else has)
    source.write(server_sent_events(greeting))
    hub.follow(source)
    # nginx would collect the events before it passes them on.
    return Stream(
        source.sent(), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )
