"""uvicorn's protocols, with the bounds that it leaves to a proxy.

A request's head may be 64 KiB and take ten seconds; what is no HTTP is refused in the envelope.
Whatever a client keeps us waiting for between two requests ends by a timer.
"""

import asyncio
from functools import partial

import httptools
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

MAX_HEAD = 64 * 1024  # bytes of the request line and the headers; and of what frames a body
HEAD_TIMEOUT = 10.0  # seconds to a head, from the connection or the first byte after an answer
UNREAD_TIMEOUT = 60.0  # seconds in which some of what was answered must be read


class _Answer:
    """The transport of one answer: its head leaves with what follows in the same turn of the loop.

    That is one system call and one packet where uvicorn has two, and calls cost the most here.
    """

    __slots__ = ("_head", "_protocol", "_started", "_transport")

    def __init__(self, protocol: "BoundedHttpProtocol") -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._started = False
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._started:
            self._write(self._head + data)
            self._head = b""
        else:
            self._started = True
            self._head = data
            self._protocol.loop.call_soon(self._flush)

    def write_whole(self, answer: bytes) -> None:
        """Its head and its body, behind what has been written before (100 Continue)."""
        self._flush()
        self._write(answer)

    def close(self) -> None:
        self._flush()
        self._protocol.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head:
            self._write(self._head)
            self._head = b""

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():  # as where the client has gone meanwhile
            self._transport.write(data)


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose heads are bounded in size and time."""

    _over = False  # what still comes is no request of ours
    _in_head = False
    _reading = 0  # bytes of the data that is being read
    _unfinished = 0  # bytes since a head was whole, or something of a body came
    _timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_watching()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self.app_state["hub"].drain()  # or an event stream under way would not end
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        self._unset_keepalive_if_required()
        self._reading = len(data)
        try:
            if not self._parse(data):
                return
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(BadRequest("Invalid HTTP request received."))
            return
        self._unfinished += self._reading
        if self._unfinished > MAX_HEAD:
            self._refuse(HeadTooLarge())
        elif self._timer is None and (self._in_head or self._idle()):
            self._start_timer()  # a head that comes in one piece, as nearly all do, needs none

    def _parse(self, data: bytes | memoryview) -> bool:
        """Whether the connection speaks HTTP still."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return False
                data = memoryview(data)[upgrade.args[0] :]
                self._read_head_again()
            else:
                return True

    def _should_upgrade(self) -> bool:
        """Not while an answer is to come, which would come in between."""
        return self._idle() and super()._should_upgrade()

    def _read_head_again(self) -> None:
        """Without the upgrade that it asks for, for whose sake the parser reads no body."""
        start = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.parser.feed_data(b"".join((start, *lines, b"\r\n")))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][ABORT] = self.transport.abort
        self._in_head = True

    def on_body(self, body: bytes) -> None:
        self._unfinished = -self._reading
        super().on_body(body)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            return  # it is read again
        self._in_head = False
        self._unfinished = -self._reading
        self._stop_timer()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # it is no upgrade
            self.headers = []  # what follows the body is no header (RFC 9110, 6.5.1)
            transport = _Answer(self)
            self.cycle.transport = transport  # type: ignore[assignment]
            self.scope["state"][ANSWER] = partial(self._answer, self.cycle, transport)

    def on_message_complete(self) -> None:
        if not self._in_head:  # one that is read again
            super().on_message_complete()

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
            self.close()
        cycle.on_response()

    def close(self) -> None:
        """Close, and answer nothing that waits; who still sends a body is given time to read."""
        self._over = True
        self.pipeline.clear()
        if self.cycle.more_body:
            self._linger()
        else:
            self._end()

    def _refuse(self, error: TenantryError) -> None:
        """Answer what cannot be read, and close; but what came whole is answered, and first."""
        self._over = True
        self._stop_timer()
        cycle = self.cycle
        if self._idle():
            self._write_refusal(error)
        elif not cycle.more_body:
            cycle.keep_alive = False
        elif self.pipeline:  # it waits for its turn
            self.pipeline[0] = (cycle, partial(self._give_up, cycle, error))
        else:
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
            if cycle.response_started:
                self._end()
            else:
                self._write_refusal(error)

    async def _give_up(self, cycle: RequestResponseCycle, error: TenantryError, *_: object) -> None:
        """In place of the application, which will not have the body."""
        cycle.disconnected = True
        self._write_refusal(error)

    def _write_refusal(self, error: TenantryError) -> None:
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
        self._linger()

    def _idle(self) -> bool:
        """Whether all that was asked is answered."""
        return self.cycle is None or self.cycle.response_complete

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():  # which waits for the rest of it
            self._stop_watching()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        self._end()

    def _end(self) -> None:
        """Close once all is read that was written, if something of it is read now and then."""
        if not self.transport.is_closing():
            self.transport.close()
            if self._unread_timer is None and self.transport.get_write_buffer_size():
                self._watch_reading()

    def _watch_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(UNREAD_TIMEOUT, self._check_reading, unread)

    def _check_reading(self, unread_before: int) -> None:
        if self.transport.get_write_buffer_size() < unread_before:
            self._watch_reading()
        elif self.transport.get_protocol() is self:  # a WebSocket looks after itself
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        if self._over or self._idle():
            self._end()
        else:
            self._start_timer()  # an answer is to come, for which reading has been paused

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _linger(self) -> None:
        """Say that this is the end, but drop what comes for a while before closing: the client
        would be told of a reset connection, before it has read the answer.
        """
        if not self.transport.is_closing():
            self.transport.write_eof()
            self._stop_timer()
            self._start_timer()
