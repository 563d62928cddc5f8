"""WebSockets: the protocol that uvicorn hands a connection to when it asks for the upgrade.

The handshake is one call of the application (handshake.py), so that limits, ids and the log treat
it as any request. Once it is accepted there is no task and no queue: what comes in is answered
here, and what goes out is written by the hub. The `websockets` library does the protocol (RFC
6455); what it leaves to its user is here: bounds, timeouts, UTF-8.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from uvicorn.config import Config
from uvicorn.protocols.utils import is_ssl
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from tenantry.realtime.audience import Audience
from tenantry.realtime.handshake import Handshake
from tenantry.realtime.heartbeat import Heartbeat, Pinged
from tenantry.realtime.hub import Hub
from tenantry.realtime.stream import Event, text_frame, websocket_frames
from tenantry.realtime.subscriber import (
    BUFFER,
    CLOSE_TIMEOUT,
    SILENT,
    TOO_MANY_MESSAGES,
    TOO_SLOW,
    WINDOW,
    Closing,
    Subscriber,
)

log = structlog.get_logger("tenantry.websocket")
library_log = logging.getLogger("websockets.server")

PING = Frame(Opcode.PING, b"").serialize(mask=False)
PONG = text_frame(b'{"type":"PONG"}')


class Said(msgspec.Struct):
    """What a client says."""

    type: str = ""


_said = msgspec.json.Decoder(Said)


class WebSocketProtocol(asyncio.Protocol, Subscriber):
    """One connection. Slots, as there are many."""

    __slots__ = (
        "_abort_timer",
        "_closed_as",
        "_fragments",
        "_handshake",
        "_hub",
        "_is_text",
        "_message_limit",
        "_messages",
        "_opened_at",
        "_paused",
        "_pinged_by",
        "_second",
        "_server_state",
        "_stalled_at",
        "_unanswered",
        "_websocket",
        "transport",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__()
        self._handshake: Handshake | None = Handshake(self, config, app_state)
        self._server_state = server_state
        self._websocket = ServerProtocol(max_size=config.ws_max_size, logger=library_log)
        self._hub: Hub = app_state["hub"]
        self._pinged_by: set[Pinged] | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._closed_as: Closing | None = None
        self._fragments: bytearray | None = None
        self._opened_at = self._second = 0.0
        self._messages = 0
        self._stalled_at = -1
        self._is_text = self._paused = self._unanswered = False

    @staticmethod
    def encode(events: Sequence[Event]) -> bytes:
        return websocket_frames(events)

    # What the gateway, the hub and the heartbeat call.

    def open(self, greeting: list[Event], heartbeat: Heartbeat, message_limit: int) -> None:
        """After the handshake was accepted: greet, and begin to listen."""
        if self.transport.is_closing():
            return
        self._message_limit = message_limit
        self._pinged_by = heartbeat.add(self)
        self.transport.set_write_buffer_limits(high=WINDOW)
        self.transport.write(websocket_frames(greeting))
        self.transport.resume_reading()

    @property
    def ready(self) -> bool:
        return not self._paused

    def write(self, data: bytes) -> None:
        self.transport.write(data)
        if self.audience and self.transport.get_write_buffer_size() > BUFFER:
            self.close(TOO_SLOW)

    def go_live(self, audience: Audience) -> None:
        if not (self.transport.is_closing() or is_ssl(self.transport)):
            self.descriptor = self.transport.get_extra_info("socket").fileno()
        super().go_live(audience)
        self.transport.set_write_buffer_limits(high=0)  # to be told of anything that is unsent

    def close(self, closing: Closing) -> None:
        if self._closed_as:
            return
        self._closed_as = closing
        self._leave()
        if self._websocket.state is OPEN:
            self._websocket.send_close(closing.code, closing.reason)
            self._flush()
        self._abort_later()

    def ping(self) -> None:
        if self._paused and not self.audience:  # it is not heard, so that it reads must do
            unread = self.transport.get_write_buffer_size()
            if unread == self._stalled_at:
                self.close(SILENT)
            self._stalled_at = unread
        elif self._unanswered:
            self.close(SILENT)
        else:
            self._unanswered = True
            self.transport.write(PING)

    # What uvicorn and asyncio call.

    def shutdown(self) -> None:
        self._hub.drain()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._server_state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._unanswered = False
        self._websocket.receive_data(data)
        self._handle_events()

    def eof_received(self) -> None:
        self._websocket.receive_eof()
        self._handle_events()

    def pause_writing(self) -> None:
        self._paused = True
        if self.audience:
            self.audience.hold(self)
        else:
            self.transport.pause_reading()  # or the answers to its pings would pile up

    def resume_writing(self) -> None:
        self._paused = self._unanswered = False
        self._stalled_at = -1
        if self.audience:
            self.audience.release(self)
        else:
            self.transport.resume_reading()
            self._hub.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._server_state.connections.discard(self)
        if self._abort_timer:
            self._abort_timer.cancel()
        if self._opened_at:
            self._log()

    # The handshake.

    def _begin(self, request: Request) -> None:
        assert self._handshake
        response = self._websocket.accept(request)
        if response.status_code != 101:  # no valid handshake: the library says why
            if request.headers.get("Sec-WebSocket-Version") not in (None, "13"):  # RFC 6455, 4.4
                response.status_code, response.reason_phrase = 426, "Upgrade Required"
                response.headers["Sec-WebSocket-Version"] = "13"
            self.answer(response)
            return
        self.transport.pause_reading()
        task = self._handshake.begin(request, response)
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def answer(self, response: Response) -> None:
        """The handshake's answer: 101, or the connection ends with it."""
        self._handshake = None
        if self.transport.is_closing():
            return
        self._websocket.send_response(response)
        if response.status_code == 101:
            self._opened_at = time.monotonic()
        self._flush()

    # What the client sends.

    def _handle_events(self) -> None:
        self._flush()  # pongs and the close, before any answer to what follows them
        for event in self._websocket.events_received():
            if isinstance(event, Request):
                self._begin(event)
            elif isinstance(event, Frame) and self._websocket.state is OPEN:
                if self._too_many():
                    self.close(TOO_MANY_MESSAGES)
                else:
                    self._handle_frame(event)
        self._flush()
        if self._websocket.state is not OPEN and self._opened_at:
            self._leave()

    def _too_many(self) -> bool:
        """Counts a frame: a message, a part of one, a ping or a pong."""
        now = time.monotonic()
        if now - self._second >= 1:
            self._second = now
            self._messages = 0
        self._messages += 1
        return self._messages > self._message_limit

    def _handle_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._handle_message(bytes(frame.data))
            else:
                self._fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                message, self._fragments = bytes(self._fragments), None
                self._handle_message(message)

    def _handle_message(self, message: bytes) -> None:
        if self._is_text:
            try:
                message.decode()
            except UnicodeDecodeError:
                self._websocket.fail(CloseCode.INVALID_DATA, "Text must be UTF-8.")
                return
        try:
            said = _said.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # what is no JSON is ignored
        if said.type == "PING":
            self.write(PONG)

    # The end.

    def _flush(self) -> None:
        for data in self._websocket.data_to_send():
            if data:
                self.write(data)
            else:  # the end of the stream: a server closes first (RFC 6455, 7.1.1)
                self.transport.close()
                self._abort_later()

    def _leave(self) -> None:
        """Nothing more is to be delivered here."""
        if self._pinged_by is not None:
            self._pinged_by.discard(self)
        self._hub.dismiss(self)

    def _abort_later(self) -> None:
        """A client that does not read, or does not answer the close, is not waited for long."""
        if self._abort_timer is None:
            loop = asyncio.get_running_loop()
            self._abort_timer = loop.call_later(CLOSE_TIMEOUT, self.transport.abort)

    def _log(self) -> None:
        log.info(
            "websocket closed",
            code=self._closed_as.code if self._closed_as else self._websocket.close_code,
            seconds=round(time.monotonic() - self._opened_at, 1),
            organisation=self.organisation_id,
            user=self.user_id,
        )
