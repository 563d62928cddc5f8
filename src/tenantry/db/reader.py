"""Reads in one round trip: what lets a request in, and what it asks, go out together.

Promises: the statements of one `read` run in their order, and none after one that failed; nothing
of another `read` runs between them. So a read that begins with `enter` sees the organisation that
it entered, or nothing.
Does not promise a connection of its own: reads share a few, and each is sent without waiting for
the answers to those before (pipelining, PostgreSQL's documentation, 55.2.4). A statement here must
be quick, and may change nothing but what it establishes for itself. One organisation's reads keep
to half of the connections, so that the others' do not stand behind a flood of them.

A read costs this process a third of what it costs through the driver.
"""

import asyncio
from collections.abc import Hashable, Sequence

import asyncpg

from tenantry.db.pool import COMMAND_TIMEOUT, Connection, Pool
from tenantry.db.wire import Asked, Raw, Statement, Wire

CONNECTIONS = 4
CONNECTIONS_OF_ONE = CONNECTIONS // 2


class Reader:
    """The connections of one process for reads, opened as they are needed."""

    def __init__(self, pool: Pool) -> None:
        """The pool says how connections are opened; none of its own is used."""
        self._pool = pool
        self._lines: list[_Line] = []
        self._opening: asyncio.Task[None] | None = None

    async def read(self, organisation: Hashable, *statements: Statement) -> list[Raw | None]:
        """The first row of each statement; None where it has none.

        The organisation is whose read it is; the statements enter it themselves.

        Raises:
            OSError, asyncpg.PostgresError: as from the driver.
        """
        mine = [line for line in self._lines if organisation in line.asking]
        line = _quietest(self._lines if len(mine) < CONNECTIONS_OF_ONE else mine)
        if line is None or (
            line.waiting and len(mine) < CONNECTIONS_OF_ONE and len(self._lines) < CONNECTIONS
        ):
            line = await self._another(line)
        return [rows[0] if rows else None for rows in await line.ask(organisation, statements)]

    async def close(self) -> None:
        if self._opening:
            await asyncio.wait([self._opening])
        for line in tuple(self._lines):  # each takes itself out
            line.end()

    async def _another(self, busy: "_Line | None") -> "_Line":
        """One more; of those who want one at once, one opens it. Failing that, the busy one."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
        try:
            await asyncio.shield(self._opening)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if busy is None or busy not in self._lines:
                raise
        line = _quietest(self._lines)
        if line is None:
            raise ConnectionResetError("the database closed the connection")
        return line

    async def _open(self) -> None:
        self._lines.append(_Line(await self._pool.connect(), self._lines))


def _quietest(lines: "list[_Line]") -> "_Line | None":
    return min(lines, key=lambda line: len(line.waiting), default=None)


class _Line(Wire):
    """One connection, kept from the driver, and the reads that wait for its answers."""

    def __init__(self, connection: Connection, lines: "list[_Line]") -> None:
        """It takes itself from `lines` as soon as nothing more may be asked on it."""
        super().__init__(connection._transport)  # type: ignore[attr-defined]  # noqa: SLF001
        self._connection = connection
        self._lines = lines
        self._unsent = bytearray()
        self.asking: dict[Hashable, int] = {}  # how many reads of each
        self.transport.set_protocol(self)
        self._watch(None)

    def ask(
        self, organisation: Hashable, statements: Sequence[Statement]
    ) -> "asyncio.Future[list[list[Raw]]]":
        """Send them, together with what else is asked in this turn of the loop."""
        idle = not self._unsent
        asked = self.put(self._unsent, statements, apart=False)
        if idle:
            self._loop.call_soon(self._send)
        asked.whose = organisation
        self.asking[organisation] = self.asking.get(organisation, 0) + 1
        return asked.answer

    def _send(self) -> None:
        self.transport.write(bytes(self._unsent))
        self._unsent.clear()

    def end(self) -> None:
        self.failed()
        super().end()

    def answered(self, asked: Asked) -> None:
        asking = self.asking[asked.whose] - 1
        if asking:
            self.asking[asked.whose] = asking
        else:
            del self.asking[asked.whose]
        if self not in self._lines and not self.waiting:
            self.end()

    def failed(self) -> None:
        """What else waits here is answered still."""
        if self in self._lines:
            self._lines.remove(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed()
        self._timer.cancel()
        self._connection.terminate()
        super().connection_lost(exc)

    def _watch(self, oldest: Asked | None) -> None:
        """Give up a connection that has not answered its oldest read since the last look."""
        first = self.waiting[0] if self.waiting else None
        if first and first is oldest:
            first.fail(TimeoutError("the database does not answer"))
            self.transport.abort()
        self._timer = self._loop.call_later(COMMAND_TIMEOUT, self._watch, first)
