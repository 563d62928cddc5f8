"""A pool of connections, the last used first.

In place of asyncpg's, whose proxies, timers and a task for each release cost more than half as
much again as entering and a query do (bench/scope.py). What this one leaves out, its user must
know: a connection comes back as it was given, with every setting of the session.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import asyncpg

if TYPE_CHECKING:
    DriverConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:  # generic for the type checker only
    DriverConnection = asyncpg.Connection


class Connection(DriverConnection):
    """The driver's, and the organisations that got something recorded since it was taken.

    `news` is None where whoever records also notifies, in the same transaction. `share` is the
    organisation that it is a share of; `nowhere` says that no organisation is entered.
    """

    news: set[UUID] | None = None
    share: UUID | None = None
    nowhere: bool = True


CONNECT_TIMEOUT = 5.0
CLOSE_TIMEOUT = 5.0
ACQUIRE_TIMEOUT = 10.0  # seconds until a request gives up waiting for a connection
COMMAND_TIMEOUT = 60.0  # seconds until an answer is given up, should the network swallow it


class Pool:
    """At most `size` connections, opened when they are needed."""

    def __init__(
        self, url: str, size: int, server_settings: dict[str, str], *, collects_news: bool = False
    ) -> None:
        self._url = url
        self._collects_news = collects_news
        self._size = size
        self._server_settings = server_settings
        self._idle: list[Connection] = []
        self._closed = False
        self._open = 0  # those in use and being opened too
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()

    async def acquire(self) -> Connection:
        """A connection, to be given back by `release`.

        Raises:
            TimeoutError: none became free in time.
            OSError, asyncpg.PostgresError: a new one cannot be opened.
        """
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
                self._open -= 1
            if self._open < self._size:
                return await self._opened()
            if (connection_or_none := await self._next_free()) is not None:
                return connection_or_none

    def release(self, connection: Connection) -> None:
        """Give it back; a closed one makes room for another."""
        if self._closed:
            connection.terminate()
        elif connection.is_closed():
            self._open -= 1
            self._hand_over(None)
        elif not self._hand_over(connection):
            self._idle.append(connection)

    async def close(self) -> None:
        """Close what is idle, and what is in use when it is given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        closing = [connection.close(timeout=CLOSE_TIMEOUT) for connection in idle]
        await asyncio.gather(*closing, return_exceptions=True)

    async def connect(self) -> Connection:
        """A connection as the pool's are, to keep."""
        connection: Connection = await asyncpg.connect(
            self._url,
            connection_class=Connection,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=self._server_settings,
        )
        if self._collects_news:
            connection.news = set()
        return connection

    async def _opened(self) -> Connection:
        self._open += 1
        try:
            return await self.connect()
        except BaseException:
            self._open -= 1
            self._hand_over(None)
            raise

    async def _next_free(self) -> Connection | None:
        """Wait in line; None means that there is room to open one."""
        place: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT):
                return await place
        except BaseException:
            if place.done() and not place.cancelled():  # it came as we gave up: pass it on
                connection = place.result()
                if connection is None:
                    self._hand_over(None)
                else:
                    self.release(connection)
            raise

    def _hand_over(self, connection: Connection | None) -> bool:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return True
        return False
