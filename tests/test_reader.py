"""Reads in one round trip, against PostgreSQL: what they promise, and what becomes of a fault."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from tenantry.db import reader as reader_module
from tenantry.db.database import unreachable
from tenantry.db.pool import Pool
from tenantry.db.reader import CONNECTIONS, CONNECTIONS_OF_ONE, Reader
from tenantry.db.wire import Statement
from tenantry.testing import eventually
from tenantry.testing.servers import Db

SETTING = "SELECT set_config('tenantry.organisation_id', $1, false)"
SET = "SELECT current_setting('tenantry.organisation_id', true)"
PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def pool(runtime_url: str) -> AsyncIterator[Pool]:
    pool = Pool(runtime_url, CONNECTIONS, {"application_name": "reads"})
    yield pool
    await pool.close()


@pytest.fixture
async def reader(pool: Pool) -> AsyncIterator[Reader]:
    reader = Reader(pool)
    yield reader
    await reader.close()


async def value(reader: Reader, sql: str, *arguments: object) -> bytes | None:
    (row,) = await reader.read(uuid4(), (sql, arguments))
    assert row is not None
    return row[0]


async def test_gives_the_first_row_of_each_statement_as_text(reader: Reader) -> None:
    assert await reader.read(
        uuid4(),
        ("SELECT $1::text, $2::int, NULL", ["naïve", 3]),
        ("SELECT 1 WHERE false", []),
        ("SELECT generate_series(7, 9)", []),
        ("SELECT cardinality($1::text[]), $1[2]", [["a", 'b"\\,{}']]),
        ("SELECT $1::text IS NULL", [None]),
    ) == [("naïve".encode(), b"3", None), None, (b"7",), (b"2", b'b"\\,{}'), (b"t",)]


async def test_keeps_reads_apart_that_share_a_connection(reader: Reader) -> None:
    """Each sees what it set itself, however many are under way."""

    async def one(name: str) -> None:
        assert await reader.read(uuid4(), (SETTING, [name]), (SET, [])) == [(name.encode(),)] * 2

    await asyncio.gather(*[one(f"organisation {number}") for number in range(500)])


async def all_opened(reader: Reader) -> set[bytes | None]:
    """The ids of its connections, once it has as many as it takes."""
    rounds = [
        await asyncio.gather(*[value(reader, PID) for _ in range(50)])
        for _ in range(2 * CONNECTIONS)
    ]
    return {pid for pids in rounds for pid in pids}


async def test_opens_a_few_connections_and_no_more(reader: Reader) -> None:
    assert len(await all_opened(reader)) == CONNECTIONS


async def test_keeps_one_organisation_to_half_of_them(reader: Reader) -> None:
    """However many it reads at once, the others' do not stand behind them."""
    flooding = uuid4()
    slow: Statement = ("SELECT pg_backend_pid(), pg_sleep(0.05)", [])
    await all_opened(reader)
    flood = [asyncio.create_task(reader.read(flooding, slow)) for _ in range(8 * CONNECTIONS)]
    neighbour = await asyncio.gather(*[value(reader, PID) for _ in range(CONNECTIONS)])
    assert not any(task.done() for task in flood[CONNECTIONS:])
    rows = [row for (row,) in await asyncio.gather(*flood) if row]
    pids = {row[0] for row in rows}
    assert len(pids) == CONNECTIONS_OF_ONE
    assert not pids.intersection(neighbour)


async def test_carries_an_answer_of_any_size(reader: Reader) -> None:
    answers = await asyncio.gather(
        *[value(reader, "SELECT repeat('x', $1)", size) for size in (0, 1, 70_000, 3_000_000)]
    )
    assert [len(answer or b"") for answer in answers] == [0, 1, 70_000, 3_000_000]


class TestFault:
    async def test_of_a_statement_keeps_those_after_it_from_running(self, reader: Reader) -> None:
        await value(reader, "SELECT set_config('tenantry.organisation_id', '', false)")
        with pytest.raises(asyncpg.DivisionByZeroError, match="division by zero"):
            await reader.read(uuid4(), ("SELECT 1 / $1::int", [0]), (SETTING, ["never"]))
        settings = await asyncio.gather(*[value(reader, SET) for _ in range(20)])
        assert b"never" not in settings

    async def test_of_one_read_is_not_the_others(self, reader: Reader) -> None:
        async def one(divisor: int) -> bytes | None:
            return await value(reader, "SELECT 12 / $1::int", divisor)

        results = await asyncio.gather(*[one(n % 4) for n in range(80)], return_exceptions=True)
        failed = [result for result in results if isinstance(result, Exception)]
        assert {type(error) for error in failed} == {asyncpg.DivisionByZeroError}
        assert [r for r in results if r not in failed] == [b"12", b"6", b"4"] * 20

    async def test_of_a_statement_retires_its_connection(self, reader: Reader) -> None:
        before = await value(reader, PID)
        with pytest.raises(asyncpg.UndefinedTableError):
            await reader.read(uuid4(), ("SELECT FROM no_such_table", []))
        assert await value(reader, PID) != before

    async def test_of_a_statement_that_another_would_have_used_can_be_tried_again(
        self, reader: Reader
    ) -> None:
        first, second = await asyncio.gather(
            *(value(reader, "SELECT 1 FROM no_such_table") for _ in range(2)),
            return_exceptions=True,
        )
        assert isinstance(first, asyncpg.UndefinedTableError)
        assert isinstance(second, asyncpg.InvalidSQLStatementNameError)
        assert unreachable(second)

    async def test_of_the_connection_fails_what_waits_and_the_next_opens_another(
        self, reader: Reader
    ) -> None:
        before = await value(reader, PID)
        ended = "SELECT pg_terminate_backend(pg_backend_pid())"
        with pytest.raises((asyncpg.AdminShutdownError, ConnectionError)):
            await value(reader, ended)
        assert await value(reader, PID) != before

    async def test_of_opening_is_told_to_each_who_waits(self) -> None:
        reader = Reader(Pool("postgresql://nobody@/nothing?host=/nowhere", 1, {}))
        with pytest.raises(FileNotFoundError):
            await asyncio.gather(*[value(reader, PID) for _ in range(5)])
        await reader.close()

    async def test_of_an_argument_is_sent_to_nobody(self, reader: Reader) -> None:
        with pytest.raises(UnicodeEncodeError):
            await reader.read(uuid4(), ("SELECT 1", []), ("SELECT $1::text", ["\ud800"]))
        assert await value(reader, "SELECT $1::text", "whole") == b"whole"

    async def test_of_the_network_is_not_waited_for_without_end(
        self, reader: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reader_module, "COMMAND_TIMEOUT", 0.05)
        with pytest.raises(TimeoutError, match="does not answer"):
            await value(reader, "SELECT pg_sleep(30)")
        assert await value(reader, "SELECT 1") == b"1"

    async def test_of_who_asks_harms_nobody(self, reader: Reader) -> None:
        """Whoever gives up leaves the answer, which must not be taken for another's."""
        slow = asyncio.create_task(value(reader, "SELECT 'slow', pg_sleep(0.05)"))
        await value(reader, "SELECT 1")
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        answers = await asyncio.gather(*[value(reader, "SELECT $1::int", n) for n in range(50)])
        assert answers == [b"%d" % n for n in range(50)]


async def test_leaves_no_connection_behind(pool: Pool, owner: Db) -> None:
    reader = Reader(pool)
    pids = {int(pid or 0) for pid in await all_opened(reader)}
    assert len(pids) == CONNECTIONS
    await reader.close()
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = ANY($1)"
    await eventually(lambda: owner.fetchval(gone, list(pids)), True)
