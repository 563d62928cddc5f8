"""Connections with pipelining, and a pool of them, the last used first.

In place of asyncpg's pool, whose proxies, timers and a task for each release cost more than half as
much again as entering and a query do (bench/scope.py). What this one leaves out, its user must
know: a connection comes back as it was given, with every setting of the session.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import UUID

import asyncpg

from tenantry.db.wire import FAILED, IDLE, Row, Statement, Wire, rows_of

if TYPE_CHECKING:
    DriverConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:  # generic for the type checker only
    DriverConnection = asyncpg.Connection


BEGIN: Statement = ("BEGIN", ())
COMMIT: Statement = ("COMMIT", ())
ROLLBACK: Statement = ("ROLLBACK", ())


class Connection(DriverConnection):
    """The driver's, with pipelining, and the organisations that got something recorded on it.

    `news` is None where whoever records also notifies, in the same transaction. `share` is the
    number of the organisation or the person that it is a share of; `nowhere` says that no
    organisation is entered.
    """

    news: set[UUID] | None = None
    share: Hashable | None = None
    nowhere: bool = True
    _wire: Wire | None = None
    _later: list[Statement] | None = None  # what waits, in a pipelined transaction
    _open = False  # a transaction of which the driver does not know
    _busy = False

    async def together(self, *statements: Statement) -> list[list[Row]]:
        """The rows of each statement, all in one round trip.

        In a transaction, none runs after one that failed; outside, each is one of its own.

        Raises:
            OSError, asyncpg.PostgresError: as from the driver; the first where several fail.
        """
        super()._check_open()  # type: ignore[misc]
        if self._busy:
            raise asyncpg.InterfaceError("a connection can be asked by one at a time")
        # Of a statement that was given up, the driver waits for the end, before anything else.
        await self._protocol._wait_for_cancellation(COMMAND_TIMEOUT)  # type: ignore[attr-defined]  # noqa: SLF001
        driver, of_driver = self._protocol, super().is_in_transaction()  # type: ignore[attr-defined]
        waiting = self._later or []
        wire = self._wire = self._wire or Wire(self._transport)  # type: ignore[attr-defined]
        message = bytearray()
        apart = self._later is None and not of_driver
        asked = wire.put(message, [*waiting, *statements], apart=apart)
        waiting.clear()
        self._busy = True
        wire.transport.set_protocol(wire)
        silence = TimeoutError("the database does not answer")
        timer = asyncio.get_running_loop().call_later(COMMAND_TIMEOUT, asked.fail, silence)
        try:
            wire.transport.write(bytes(message))
            await asked.answer
        except BaseException as error:
            if not isinstance(error, asyncpg.PostgresError) or wire.transport.is_closing():
                self.terminate()  # what became of it, nobody will know
            raise
        finally:
            timer.cancel()
            self._busy = False
            wire.transport.set_protocol(driver)
            if of_driver:  # which knows how its own stands
                wire.status = IDLE
            self._open = wire.status != IDLE
        return rows_of(asked, len(statements))

    @asynccontextmanager
    async def pipelined(self) -> AsyncIterator[None]:
        """A transaction in which what gives nothing back waits for what is asked next.

        In it, `execute` sends nothing by itself: that goes with the next `fetchrow`, `fetchval` or
        `together`, or with the commit, and there it fails, if it does. What else the driver does
        (transactions within, cursors, copying) it refuses to do.

        Raises:
            asyncpg.InterfaceError: within another transaction.
        """
        if self._later is not None or self.is_in_transaction():
            raise asyncpg.InterfaceError("a pipelined transaction is not part of another one")
        self._later = [BEGIN]
        try:
            yield
            await self._commit()
        except BaseException:
            self._later = []
            if self._open and not self.is_closed():
                await self.together(ROLLBACK)
            raise
        finally:
            self._later = None

    async def _commit(self) -> None:
        if self._wire and self._wire.status == FAILED:  # it would be rolled back, without a word
            raise asyncpg.InFailedSQLTransactionError("a statement failed before the commit")
        await self.together(COMMIT)

    def terminate(self) -> None:
        try:
            super().terminate()
        except RuntimeError:  # uvloop's, of a transport that the server's end has closed already
            super().terminate()  # which now has only to forget what belongs to it

    def _check_open(self) -> None:
        """Each of the driver's calls asks this."""
        super()._check_open()  # type: ignore[misc]
        if self._later is not None or self._busy:
            raise asyncpg.InterfaceError("in a pipelined transaction, this cannot be asked")

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if self._later is None:
            return await super().execute(query, *args, **options)
        assert not options, "nothing but the statement and its arguments"
        self._later.append((query, args))
        return ""

    async def fetchrow(  # type: ignore[override]
        self, query: str, *args: Any, **options: Any
    ) -> asyncpg.Record | None:
        if self._later is None:
            return await super().fetchrow(query, *args, **options)  # type: ignore[no-any-return]
        assert not options, "nothing but the statement and its arguments"
        (rows,) = await self.together((query, args))
        return cast("asyncpg.Record", rows[0]) if rows else None  # it is asked by names only

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        if self._later is None:
            return await super().fetchval(query, *args, **options)
        assert not options, "nothing but the statement and its arguments"
        (rows,) = await self.together((query, args))
        return next(iter(rows[0].values())) if rows else None

    async def fetch(  # type: ignore[override]
        self, query: str, *args: Any, **options: Any
    ) -> list[asyncpg.Record]:
        if self._later is None:
            return await super().fetch(query, *args, **options)
        assert not options, "nothing but the statement and its arguments"
        (rows,) = await self.together((query, args))
        return cast("list[asyncpg.Record]", rows)

    def is_in_transaction(self) -> bool:
        return self._open or super().is_in_transaction()


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
        self._idle: dict[bool, list[Connection]] = {True: [], False: []}  # by whether nowhere
        self._closed = False
        self._open = 0  # those in use and being opened too
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()

    async def acquire(self, *, nowhere: bool = False) -> Connection:
        """A connection, to be given back by `release`; one that is `nowhere`, if that is wanted and
        there is one, which then need not be led there.

        Raises:
            TimeoutError: none became free in time.
            OSError, asyncpg.PostgresError: a new one cannot be opened.
        """
        while True:
            while idle := self._idle[nowhere] or self._idle[not nowhere]:
                connection = idle.pop()
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
            self._idle[connection.nowhere].append(connection)

    async def close(self) -> None:
        """Close what is idle, and what is in use when it is given back."""
        self._closed = True
        idle, self._idle = [*self._idle[True], *self._idle[False]], {True: [], False: []}
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
