"""The feeds of many organisations, read at once: whatever follows a seq in each of them."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby
from operator import itemgetter
from typing import TypeVar
from uuid import UUID

from asyncpg import Record

from tenantry.db.pool import Connection

T = TypeVar("T")

BATCH = 500  # events of one organisation in one read
PART = 256 * 1024  # bytes, about, of one organisation's events that are sent at a time
CHUNK = 1000  # organisations, or subscribers, that one statement asks after

EVENTS_AFTER = """
SELECT organisation_id, seq, type, payload, at FROM tenantry.events_after($1, $2, $3)
"""


async def read(connection: Connection, cursors: dict[UUID, int]) -> list[tuple[UUID, list[Record]]]:
    """The events after each organisation's cursor, BATCH at most, of those that have any."""
    if not cursors:
        return []
    rows = await connection.fetch(EVENTS_AFTER, list(cursors), list(cursors.values()), BATCH)
    return [(one, list(group)) for one, group in groupby(rows, itemgetter("organisation_id"))]


def part(rows: list[Record]) -> list[Record]:
    """The first of them, as many as PART holds; one at least."""
    sizes = list(accumulate(len(row["payload"]) for row in rows))
    return rows[: max(1, bisect_right(sizes, PART))]


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = list(items)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]
