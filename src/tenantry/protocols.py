"""uvicorn's protocols, with the bounds that it leaves to a proxy.

A request's head may be 64 KiB and take ten seconds; what is no HTTP is refused in the envelope.
"""

import asyncio
from functools import partial

import msgspec
from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from tenantry.asgi import ABORT, ANSWER
from tenantry.errors import BadRequest, HeadTooLarge, TenantryError
from tenantry.reply import error_reply

MAX_HEAD = 64 * 1024  # bytes of the request line and the headers
HEAD_TIMEOUT = 10.0  # seconds from the connection, or from a head's first byte, to its end


class _Answer:
    """The transport of one answer: its head leaves with what follows in the same turn of the loop.

    That is one system call and one packet where uvicorn has two, and calls cost the most here.
    """

    __slots__ = ("_head", "_loop", "_started", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._started = False
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._started:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._started = True
            self._head = data
            self._loop.call_soon(self._flush)

    def write_whole(self, answer: bytes) -> None:
        """Its head and its body, behind what has been written before (100 Continue)."""
        self._flush()
        self._transport.write(answer)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose heads are bounded in size and time."""

    _in_head = False
    _head_size = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self.app_state["hub"].drain()  # or an event stream under way would not end
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return  # a head that comes in one piece, as nearly all do, needs no timer
        self._head_size += len(data)
        if self._head_timer is None:
            self._start_timer()
        if self._head_size > MAX_HEAD and not self.transport.is_closing():
            self._refuse(HeadTooLarge())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][ABORT] = self.transport.abort
        self._in_head = True
        self._head_size = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # it is no upgrade
            transport = _Answer(self.transport, self.loop)
            self.cycle.transport = transport  # type: ignore[assignment]
            self.scope["state"][ANSWER] = partial(self._answer, self.cycle, transport)

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(msg))

    async def _answer(
        self,
        cycle: RequestResponseCycle,
        transport: _Answer,
        status: int,
        head: bytes,
        body: bytes,
    ) -> None:
        """Send an answer whole: a third of what it costs in messages. Nobody checks its lines."""
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        lines = [b"%b: %b\r\n" % header for header in cycle.default_headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        if cycle.scope["method"] == "HEAD":
            body = b""
        transport.write_whole(b"".join((STATUS_LINE[status], *lines, head, b"\r\n", body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, error: TenantryError) -> None:
        request_id = uuid7().hex
        body = msgspec.json.encode(error_reply(error, request_id))
        head = (
            f"HTTP/1.1 {error.status} {error.code}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
