"""Reads in one round trip: what lets a request in, and what it asks, go out together.

Promises: the statements of one `read` run in their order, and none after one that failed; nothing
of another `read` runs between them. So a read that begins with `enter` sees the organisation that
it entered, or nothing.
Does not promise a connection of its own: reads share a few, and each is sent without waiting for
the answers to those before (pipelining, PostgreSQL's documentation, 55.2.4). A statement here must
be quick, and may change nothing but what it establishes for itself. One organisation's reads keep
to half of the connections, so that the others' do not stand behind a flood of them.

The driver opens and authenticates the connections; it has no pipelining, so what goes over them
then is ours. A read costs this process a third of what it costs through the driver.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from struct import Struct
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from tenantry.db.pool import COMMAND_TIMEOUT, Connection, Pool

CONNECTIONS = 4
CONNECTIONS_OF_ONE = CONNECTIONS // 2

Statement: TypeAlias = tuple[str, Sequence[object]]  # and its arguments, as PostgreSQL writes them
Row: TypeAlias = tuple[bytes | None, ...]  # its columns, as PostgreSQL writes them

# Messages of https://www.postgresql.org/docs/current/protocol-message-formats.html
_HEAD = Struct("!cI")  # the kind, and the length without the kind
_SHORT = Struct("!H")
_INT = Struct("!i")
_EXECUTE = b"E\0\0\0\x09\0\0\0\0\0"
_SYNC = b"S\0\0\0\x04"
_TERMINATE = b"X\0\0\0\x04"
_NULL = _INT.pack(-1)


class Reader:
    """The connections of one process for reads, opened as they are needed."""

    def __init__(self, pool: Pool) -> None:
        """The pool says how connections are opened; none of its own is used."""
        self._pool = pool
        self._lines: list[_Line] = []
        self._opening: asyncio.Task[None] | None = None

    async def read(self, organisation: UUID, *statements: Statement) -> list[Row | None]:
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
        return await line.ask(organisation, statements)

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


class _Read:
    """One that waits for its answer."""

    __slots__ = ("answer", "organisation", "row", "rows")

    def __init__(self, organisation: UUID, answer: "asyncio.Future[list[Row | None]]") -> None:
        self.organisation = organisation
        self.answer = answer
        self.row: Row | None = None
        self.rows: list[Row | None] = []

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def finish(self) -> None:
        if not self.answer.done():
            self.answer.set_result(self.rows)


class _Line(asyncio.Protocol):
    """One connection, and the reads that wait for its answers, in their order."""

    def __init__(self, connection: Connection, lines: "list[_Line]") -> None:
        """It takes itself from `lines` as soon as nothing more may be asked on it."""
        self._connection = connection
        self._lines = lines
        self._names: dict[str, bytes] = {}
        self._unsent = bytearray()
        self._received = bytearray()
        self.waiting: deque[_Read] = deque()
        self.asking: Counter[UUID] = Counter()  # whose they are
        self._loop = asyncio.get_running_loop()
        # Between statements the driver's protocol has nothing to say, so ours takes its place.
        self._transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001
        self._transport.set_protocol(self)
        self._watch(None)

    def ask(
        self, organisation: UUID, statements: Sequence[Statement]
    ) -> "asyncio.Future[list[Row | None]]":
        """Send them, together with what else is asked in this turn of the loop."""
        bound = [(sql, _bound(arguments)) for sql, arguments in statements]  # or nothing is sent
        message = self._unsent
        if not message:
            self._loop.call_soon(self._send)
        for sql, arguments in bound:
            name = self._names.get(sql)
            if name is None:
                name = self._names[sql] = b"read%d\0" % len(self._names)
                message += _message(b"P", name + sql.encode() + b"\0\0\0")
            message += _message(b"B", b"\0" + name + arguments)
            message += _EXECUTE
        message += _SYNC
        read = _Read(organisation, self._loop.create_future())
        self.waiting.append(read)
        self.asking[organisation] += 1
        return read.answer

    def _send(self) -> None:
        self._transport.write(bytes(self._unsent))
        self._unsent.clear()

    def end(self) -> None:
        self._retire()
        self._transport.write(_TERMINATE)
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        at, size = 0, len(received)
        while at + 5 <= size:
            kind, length = _HEAD.unpack_from(received, at)
            end = at + 1 + length
            if end > size:
                break
            self._take(kind, received, at + 5, end)
            at = end
        del received[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        self._retire()
        self._timer.cancel()
        self._connection.terminate()
        for read in self.waiting:
            read.fail(exc or ConnectionResetError("the database closed the connection"))
        self.waiting.clear()

    def _take(self, kind: bytes, message: bytearray, start: int, end: int) -> None:
        if kind == b"D":  # DataRow
            read = self.waiting[0]
            read.row = read.row or _row(message, start)
        elif kind == b"C":  # CommandComplete: a statement is done
            read = self.waiting[0]
            read.rows.append(read.row)
            read.row = None
        elif kind == b"Z":  # ReadyForQuery: a read is done
            read = self.waiting.popleft()
            read.finish()
            self.asking[read.organisation] -= 1
            if not self.asking[read.organisation]:
                del self.asking[read.organisation]
            if self not in self._lines and not self.waiting:
                self.end()
        elif kind == b"E":  # ErrorResponse
            self._retire()  # what else waits here is answered still
            if self.waiting:
                self.waiting[0].fail(_error(bytes(message[start:end])))
        # The rest says that something went as it should, or notices something.

    def _retire(self) -> None:
        if self in self._lines:
            self._lines.remove(self)

    def _watch(self, oldest: _Read | None) -> None:
        """Give up a connection that has not answered its oldest read since the last look."""
        first = self.waiting[0] if self.waiting else None
        if first and first is oldest:
            first.fail(TimeoutError("the database does not answer"))
            self._transport.abort()
        self._timer = self._loop.call_later(COMMAND_TIMEOUT, self._watch, first)


def _message(kind: bytes, body: bytes) -> bytes:
    return _HEAD.pack(kind, len(body) + 4) + body


def _bound(arguments: Sequence[object]) -> bytes:
    """The rest of a Bind: every argument as text, every column of the answer as text."""
    parts = [b"\0\0", _SHORT.pack(len(arguments))]
    for argument in arguments:
        if argument is None:
            parts.append(_NULL)
        else:
            text = _text(argument).encode()
            parts += (_INT.pack(len(text)), text)
    parts.append(b"\0\0")
    return b"".join(parts)


def _text(argument: object) -> str:
    if not isinstance(argument, list):
        return str(argument)
    elements = (str(element).replace("\\", "\\\\").replace('"', '\\"') for element in argument)
    return "{" + ",".join(f'"{element}"' for element in elements) + "}"


def _row(message: bytearray, at: int) -> Row:
    (columns,) = _SHORT.unpack_from(message, at)
    at += 2
    row: list[bytes | None] = []
    for _ in range(columns):
        (length,) = _INT.unpack_from(message, at)
        at += 4
        if length < 0:
            row.append(None)
        else:
            row.append(bytes(message[at : at + length]))
            at += length
    return tuple(row)


def _error(message: bytes) -> asyncpg.PostgresError:
    fields: dict[str, Any] = {
        field[:1].decode(): field[1:].decode(errors="replace")
        for field in message.split(b"\0")
        if field
    }
    error: asyncpg.PostgresError = asyncpg.PostgresError.new(fields)
    return error
