"""The opening handshake: one call of the ASGI application, which accepts or answers otherwise."""

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

import structlog
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tenantry.asgi import Message, Scope

log = structlog.get_logger()

EXTENSION = "tenantry.websocket"  # where the scope has the connection that the gateway opens


class Asking(Protocol):
    """The connection that asks for it."""

    transport: asyncio.Transport

    def answer(self, response: Response) -> None:
        """Send it; without 101 it is the last."""


class Handshake:
    """Lives from the request to its answer."""

    def __init__(self, connection: Asking, config: Config, app_state: dict[str, Any]) -> None:
        self._connection = connection
        self._app = config.loaded_app
        self._root_path = config.root_path
        self._state = app_state.copy()
        self._accepted: Response
        self._refusal: tuple[int, Headers] | None = None
        self.answered = False

    def begin(self, request: Request, accepted: Response) -> asyncio.Task[None]:
        """`accepted` is the answer that the protocol gives if the application agrees."""
        self._accepted = accepted
        return asyncio.get_running_loop().create_task(self._run(self._scope(request)))

    async def _run(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except Exception:
            log.exception("a WebSocket handshake failed")
        if not self.answered:
            self._answer(Response(500, "Internal Server Error", Headers(), b""))

    async def _receive(self) -> Message:
        return {"type": "websocket.connect"}

    async def _send(self, message: Message) -> None:
        match message["type"]:
            case "websocket.accept":
                response = self._accepted
                _extend(response.headers, message["headers"])
                if subprotocol := message.get("subprotocol"):
                    response.headers["Sec-WebSocket-Protocol"] = subprotocol
                self._answer(response)
            case "websocket.http.response.start":
                headers = Headers()
                _extend(headers, message["headers"])
                self._refusal = message["status"], headers
            case "websocket.http.response.body":
                assert self._refusal
                status, headers = self._refusal
                headers["Date"] = formatdate(usegmt=True)
                headers["Content-Length"] = str(len(message["body"]))
                headers["Connection"] = "close"
                phrase = HTTPStatus(status).phrase
                self._answer(Response(status, phrase, headers, message["body"]))

    def _answer(self, response: Response) -> None:
        self.answered = True
        self._connection.answer(response)

    def _scope(self, request: Request) -> Scope:
        transport = self._connection.transport
        path, _, query = request.path.partition("?")
        offered = request.headers.get_all("Sec-WebSocket-Protocol")
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "root_path": self._root_path,
            "path": self._root_path + unquote(path),
            "raw_path": (self._root_path + path).encode(),
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode("utf-8", "surrogateescape"))
                for name, value in request.headers.raw_items()
            ],
            "subprotocols": [
                item.strip() for header in offered for item in header.split(",") if item.strip()
            ],
            "state": self._state,
            "extensions": {"websocket.http.response": {}, EXTENSION: self._connection},
        }


def _extend(headers: Headers, more: list[tuple[bytes, bytes]]) -> None:
    for name, value in more:
        headers[name.decode("latin-1")] = value.decode("latin-1")
