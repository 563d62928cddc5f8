"""The event stream, as tests listen to it: over a WebSocket, and as server-sent events."""

import asyncio
import contextlib
import json
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tenantry.testing.answers import PATIENCE


class Socket:
    """An open socket and what arrives on it; `connected` is its first message."""

    connected: dict[str, Any]

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def next(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def until(self, type_: str) -> list[dict[str, Any]]:
        """All messages up to the first of this type."""
        messages: list[dict[str, Any]] = []
        while not messages or messages[-1]["type"] != type_:
            messages.append(await self.next())
        return messages

    async def closed(self) -> tuple[int | None, str | None]:
        """The code and reason of the close, whatever comes before it."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.connection.recv()
        return self.connection.close_code, self.connection.close_reason


class Source:
    """A stream of server-sent events."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The fields of the next event."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if line.startswith(":"):
                    continue
                if not line and fields:
                    return fields
                name, _, value = line.partition(": ")
                fields[name] = value
        return fields


def connect_socket(url: str, path: str) -> connect:
    """A WebSocket to the server of this URL; `path` is `/ws` with its query."""
    # A client that leaves messages unread does not read the answer to its close either.
    return connect(url.replace("http", "ws", 1) + path, proxy=None, close_timeout=0.2)
