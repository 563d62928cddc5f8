"""Statements that go out together, in place of one after the other (pipelining).

The driver opens and authenticates a connection; it has no pipelining, so what goes over it then is
ours, as long as a `Wire` has it (PostgreSQL's documentation, 55.2.3 and 55.2.4). A round trip is a
system call that wakes another processor, and costs either side more than a statement does.

Promises: statements run in the order in which they were sent, and those before one Sync are one
transaction, unless they say otherwise; after one that failed, none runs until the next Sync.
Gives the rows of each statement, all at once.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count
from struct import Struct
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg


class Bound(bytes):
    """Arguments as they are sent, by `bound`."""


Statement: TypeAlias = tuple[str, Sequence[object] | Bound]  # and its arguments
Raw: TypeAlias = tuple[bytes | None, ...]  # a row's columns, as PostgreSQL writes them
Row: TypeAlias = dict[str, Any]

# Messages of https://www.postgresql.org/docs/current/protocol-message-formats.html
IDLE, FAILED = ord("I"), ord("E")  # of no transaction, and of one that can only be rolled back
STALE = ("0A000", "26000")  # a plan whose result has changed, a name that is not known
_HEAD = Struct("!cI")  # the kind, and the length without the kind
_SHORT = Struct("!H")
_INT = Struct("!i")
_COLUMN = Struct("!IhIhih")  # table, number in it, type, its size and modifier, format
_EXECUTE = b"E\0\0\0\x09\0\0\0\0\0"
_SYNC = b"S\0\0\0\x04"
_TERMINATE = b"X\0\0\0\x04"
_NULL = _INT.pack(-1)
_PLAIN = (str, int, datetime)
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)')
_ESCAPED = re.compile(r"\\(.)")


class Asked:
    """What waits for its answer: the rows of each statement."""

    __slots__ = ("answer", "error", "parsing", "rows", "statements", "syncs", "under_way", "whose")

    def __init__(self, answer: "asyncio.Future[list[list[Raw]]]") -> None:
        self.answer = answer
        self.statements: list[_Prepared] = []
        self.parsing: deque[_Prepared] = deque()  # those that the server has not seen before
        self.syncs = 0  # until it is answered whole
        self.error: BaseException | None = None  # the first
        self.under_way: list[Raw] = []
        self.rows: list[list[Raw]] = []
        self.whose: Hashable = None  # where many share a wire

    def finish(self) -> None:
        if self.answer.done():  # nobody waits any more
            return
        if self.error:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.rows)

    def fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self.finish()


class Wire(asyncio.Protocol):
    """What speaks on a connection while the driver does not, and who waits, in their order."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.waiting: deque[Asked] = deque()
        self.status = IDLE  # as the server said last
        self._prepared: dict[str, _Prepared] = {}
        self._numbers = count()
        self._parts: list[bytes] = []  # of a message that has not come whole
        self._missing = 0  # bytes of it, as far as it is known
        self._loop = asyncio.get_running_loop()

    def put(self, message: bytearray, statements: Sequence[Statement], *, apart: bool) -> Asked:
        """Add the statements to what is to be sent: each a transaction, where `apart`, or all one.

        Where it raises, because an argument cannot be written, nothing has been added.
        """
        written = [bound(arguments) for _, arguments in statements]
        asked = Asked(self._loop.create_future())
        sync = _SYNC if apart else b""
        for (sql, _), arguments in zip(statements, written, strict=True):
            prepared = self._prepared.get(sql)
            if prepared is None:
                prepared = self._prepared[sql] = _Prepared(b"wire%d\0" % next(self._numbers), sql)
                asked.parsing.append(prepared)
                message += _message(b"P", prepared.name + sql.encode() + b"\0\0\0")
                message += _message(b"D", b"S" + prepared.name)
            asked.statements.append(prepared)
            message += _message(b"B", prepared.bind + arguments) + _EXECUTE + sync
        if not apart:
            message += _SYNC
        asked.syncs = len(statements) if apart else 1
        self.waiting.append(asked)
        return asked

    def end(self) -> None:
        self.transport.write(_TERMINATE)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._parts:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        at, size = 0, len(data)
        while (end := at + 5) <= size:
            kind, length = _HEAD.unpack_from(data, at)
            end = at + 1 + length
            if end > size:
                break
            if kind == b"D":  # DataRow
                self.waiting[0].under_way.append(_row(data, at + 5))
            elif kind != b"2":  # BindComplete
                self._take(kind, data, at + 5, end)
            at = end
        if at < size:
            self._parts.append(data[at:])
            self._missing = end - size

    def connection_lost(self, exc: Exception | None) -> None:
        for asked in self.waiting:
            asked.fail(exc or ConnectionResetError("the database closed the connection"))
        self.waiting.clear()

    def answered(self, asked: Asked) -> None:
        """For who shares a wire: this one is done."""

    def failed(self) -> None:
        """For the same: a statement has failed."""

    def _take(self, kind: bytes, message: bytes, start: int, end: int) -> None:
        if kind == b"C":  # CommandComplete: a statement is done
            asked = self.waiting[0]
            asked.rows.append(asked.under_way)
            asked.under_way = []
        elif kind == b"Z":  # ReadyForQuery: a Sync is answered
            self.status = message[start]
            asked = self.waiting[0]
            asked.syncs -= 1
            if not asked.syncs:
                self.waiting.popleft()
                asked.finish()
                self.answered(asked)
        elif kind == b"T":  # RowDescription
            self.waiting[0].parsing.popleft().columns = _columns(message, start)
        elif kind == b"n":  # NoData: it has no rows
            self.waiting[0].parsing.popleft()
        elif kind == b"E":  # ErrorResponse
            self.failed()
            if self.waiting:
                asked = self.waiting[0]
                asked.error = asked.error or _error(message[start:end])
                stale = getattr(asked.error, "sqlstate", None) in STALE
                # What the server has not seen now either, or what has changed under its plan.
                for prepared in asked.statements if stale else asked.parsing:
                    self._prepared.pop(prepared.sql, None)
        # The rest says that something went as it should, or notices something.


class _Prepared:
    """A statement that the server knows by its name, once it has been parsed."""

    __slots__ = ("bind", "columns", "name", "sql")

    def __init__(self, name: bytes, sql: str) -> None:
        self.name = name
        self.bind = b"\0" + name + b"\0\0"  # what a Bind begins with: every argument is text
        self.sql = sql
        self.columns: list[tuple[str, Callable[[str], Any]]] = []


def rows_of(asked: Asked, last: int) -> list[list[Row]]:
    """The answer to its last statements, as Python has it."""
    return [
        [_decoded(prepared.columns, row) for row in rows]
        for prepared, rows in zip(asked.statements[-last:], asked.rows[-last:], strict=True)
    ]


def _decoded(columns: Iterable[tuple[str, Callable[[str], Any]]], row: Raw) -> Row:
    return {
        name: None if value is None else decode(value.decode())
        for (name, decode), value in zip(columns, row, strict=True)
    }


def _message(kind: bytes, body: bytes) -> bytes:
    return _HEAD.pack(kind, len(body) + 4) + body


def bound(arguments: Sequence[object] | Bound) -> Bound:
    """The rest of a Bind: the arguments, and that every column of the answer is to be text.

    A UUID is for a parameter of that type: its hyphens are left out.
    """
    if isinstance(arguments, Bound):
        return arguments
    parts = [_SHORT.pack(len(arguments))]
    for argument in arguments:
        if argument is None:
            parts.append(_NULL)
        else:
            text = _text(argument).encode()
            parts.append(_INT.pack(len(text)) + text)
    parts.append(b"\0\0")
    return Bound(b"".join(parts))


def _text(argument: object) -> str:
    """As PostgreSQL reads it. Raises `TypeError` for what would be read as something else."""
    if isinstance(argument, UUID):
        return argument.hex  # its hyphens take twice as long as all its digits
    if isinstance(argument, _PLAIN):
        return str(argument)
    if isinstance(argument, list):
        return "{" + ",".join(_element(element) for element in argument) + "}"
    if isinstance(argument, bytes):
        return f"\\x{argument.hex()}"
    if isinstance(argument, timedelta):
        return f"{argument.total_seconds():f} seconds"
    raise TypeError(f"an argument of the type {type(argument).__name__} is not written here")


def _element(argument: object) -> str:
    if argument is None:
        return "NULL"
    text = _text(argument).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _row(message: bytes, at: int) -> Raw:
    (columns,) = _SHORT.unpack_from(message, at)
    at += 2
    row: list[bytes | None] = []
    for _ in range(columns):
        (length,) = _INT.unpack_from(message, at)
        at += 4
        if length < 0:
            row.append(None)
        else:
            row.append(message[at : at + length])
            at += length
    return tuple(row)


def _columns(message: bytes, at: int) -> list[tuple[str, Callable[[str], Any]]]:
    (number,) = _SHORT.unpack_from(message, at)
    at += 2
    columns = []
    for _ in range(number):
        end = message.index(0, at)
        name = message[at:end].decode()
        _, _, type_, _, _, _ = _COLUMN.unpack_from(message, end + 1)
        columns.append((name, _DECODED.get(type_) or _other(name, type_)))
        at = end + 1 + _COLUMN.size
    return columns


def _other(name: str, type_: int) -> Callable[[str], Any]:
    def refuse(_: str) -> None:
        raise TypeError(f"the column {name} is of a type that is not read here, {type_}: cast it")

    return refuse if type_ < _FIRST_OWN_TYPE else str  # an enum's


def _elements(array: str) -> list[str | None]:
    found = _ELEMENT.findall(array)
    return [
        (None if bare == "NULL" else bare) if bare else _ESCAPED.sub(r"\1", quoted)
        for quoted, bare in found
    ]


def _error(message: bytes) -> asyncpg.PostgresError:
    fields: dict[str, Any] = {
        field[:1].decode(): field[1:].decode(errors="replace")
        for field in message.split(b"\0")
        if field
    }
    error: asyncpg.PostgresError = asyncpg.PostgresError.new(fields)
    return error


# By the types' numbers in pg_type; those of a database's own begin behind.
_FIRST_OWN_TYPE = 16384
_DECODED: dict[int, Callable[[str], Any]] = {
    16: "t".__eq__,  # boolean
    17: lambda text: bytes.fromhex(text[2:]),  # bytea
    20: int,
    21: int,
    23: int,
    25: str,
    114: str,  # json, as the driver has it
    1009: _elements,  # text[]
    1043: str,
    1184: datetime.fromisoformat,  # timestamptz
    2278: str,  # void
    2950: UUID,
    3802: str,  # jsonb
}
