"""Statements that go out together, against PostgreSQL: what comes back, and what a fault leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import uvloop

from tenantry.db.pool import Connection, Pool
from tenantry.testing.servers import Db

SIX = "SELECT generate_series(5, $1::int) AS number"
NOTE = "INSERT INTO noted VALUES ($1)"
NOTED = "SELECT name FROM noted ORDER BY name"
BROKEN = "SELECT 1 / $1::int"


@pytest.fixture
async def pool(runtime_url: str) -> AsyncIterator[Pool]:
    pool = Pool(runtime_url, 2, {"timezone": "UTC"})
    yield pool
    await pool.close()


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """With a table of its own."""
    connection = await pool.acquire()
    await connection.execute("CREATE TEMPORARY TABLE noted (name text PRIMARY KEY)")
    yield connection
    pool.release(connection)


async def names(connection: Connection) -> list[str]:
    return [row["name"] for row in await connection.fetch(NOTED)]


class TestTogether:
    async def test_gives_all_rows_of_each_statement(self, connection: Connection) -> None:
        for _ in range(2):  # parsed the first time, known by their names then
            assert await connection.together(
                (SIX, [6]), ("SELECT 1 WHERE false", []), (NOTE, ["x"]), ("DELETE FROM noted", [])
            ) == [[{"number": 5}, {"number": 6}], [], [], []]

    @pytest.mark.parametrize(
        ("type_", "value"),
        [
            ("text", 'naïve "quoted" \\ {braces} \u2028'),
            ("text", ""),
            ("text", None),
            ("varchar(9)", "x"),
            ("boolean", True),
            ("boolean", False),
            ("integer", -7),
            ("bigint", 2**60),
            ("uuid", UUID("01970000-0001-7000-8000-0000000003e8")),
            ("bytea", b""),
            ("bytea", bytes(range(256))),
            ("timestamptz", datetime(2026, 11, 25, 2, 16, 11, 985_490, tzinfo=UTC)),
            ("timestamptz", datetime(2026, 11, 25, 2, 16, 11, tzinfo=UTC)),
            ("text[]", []),
            ("text[]", ["a", "", "NULL", "a b", 'c"d', "e\\f", "{g,h}", "i'j", "ü"]),
            ("jsonb", '{"a": [1, "ü"]}'),
        ],
    )
    async def test_takes_and_gives_what_the_driver_does(
        self, connection: Connection, type_: str, value: object
    ) -> None:
        sql = f"SELECT $1::{type_} AS value"
        [[row]] = await connection.together((sql, [value]))
        assert row["value"] == await connection.fetchval(sql, value) == value

    async def test_takes_bytes_and_lists_of_them(self, connection: Connection) -> None:
        every = bytes(range(256))
        sql = """
        SELECT encode($1::bytea, 'hex') AS one, encode(($2::bytea[])[2], 'hex') AS two,
               $3::text[] AS gaps
        """
        [[row]] = await connection.together((sql, [every, [b"", every], ["a", None]]))
        assert row == {"one": every.hex(), "two": every.hex(), "gaps": ["a", None]}

    @pytest.mark.parametrize("argument", [1.5, {}, (1,), bytearray(b"x"), object()])
    async def test_refuses_what_would_be_read_as_something_else(
        self, connection: Connection, argument: object
    ) -> None:
        with pytest.raises(TypeError, match="is not written here"):
            await connection.together((NOTE, [argument]))

    async def test_waits_for_the_end_of_what_was_given_up(self, connection: Connection) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.execute("SELECT pg_sleep(30)")
        assert await connection.together((SIX, [5])) == [[{"number": 5}]]

    async def test_refuses_two_at_once(self, connection: Connection) -> None:
        first, second = await asyncio.gather(
            *(connection.together(("SELECT pg_sleep(0.01)::text", [])) for _ in range(2)),
            return_exceptions=True,
        )
        assert isinstance(second, asyncpg.InterfaceError)
        assert not isinstance(first, BaseException)

    async def test_prepares_anew_what_has_changed_under_its_plan(
        self, connection: Connection
    ) -> None:
        everything = ("SELECT * FROM noted", ())
        await connection.together((NOTE, ["a"]), everything)
        await connection.execute("ALTER TABLE noted ADD COLUMN more integer")
        with pytest.raises(asyncpg.FeatureNotSupportedError):
            await connection.together(everything)
        assert await connection.together(everything) == [[{"name": "a", "more": None}]]

    async def test_takes_a_duration(self, connection: Connection) -> None:
        for duration in (timedelta(days=30), timedelta(seconds=0.25), timedelta()):
            [[row]] = await connection.together(
                ("SELECT extract(epoch FROM $1::interval)::float8::text AS s", [duration])
            )
            assert float(row["s"]) == duration.total_seconds()

    async def test_says_which_column_it_cannot_read(self, connection: Connection) -> None:
        with pytest.raises(TypeError, match="the column price is of a type"):
            await connection.together(("SELECT 1.5 AS price", []))
        assert await connection.together(("SELECT 1.5::text AS price", [])) == [[{"price": "1.5"}]]

    async def test_outside_a_transaction_is_one_after_the_other(
        self, connection: Connection
    ) -> None:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.together((NOTE, ["before"]), (BROKEN, [0]), (NOTE, ["after"]))
        assert await names(connection) == ["after", "before"]

    async def test_within_the_drivers_transaction_is_part_of_it(
        self, connection: Connection
    ) -> None:
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with connection.transaction():
                await connection.together((NOTE, ["a"]), (NOTE, ["b"]))
                await connection.together((NOTE, ["c"]), (BROKEN, [0]), (NOTE, ["d"]))
        assert await names(connection) == []
        async with connection.transaction():
            await connection.together((NOTE, ["a"]))
            await connection.execute(NOTE, "b")
        assert await names(connection) == ["a", "b"]
        assert not connection.is_in_transaction()

    async def test_with_an_argument_that_cannot_be_written_sends_nothing(
        self, connection: Connection
    ) -> None:
        with pytest.raises(UnicodeEncodeError):
            await connection.together((NOTE, ["a"]), (NOTE, ["\ud800"]))
        assert await names(connection) == []

    async def test_knows_what_of_a_statement_that_failed_was_parsed(
        self, connection: Connection
    ) -> None:
        for _ in range(2):
            with pytest.raises(asyncpg.UndefinedTableError):
                await connection.together((SIX, [5]), ("SELECT * FROM nowhere_to_be_found", []))
        assert await connection.together((SIX, [5])) == [[{"number": 5}]]

    async def test_answers_of_any_size_come_whole(self, connection: Connection) -> None:
        [rows] = await connection.together(
            ("SELECT repeat('x', 100000) AS text FROM generate_series(1, 20)", [])
        )
        assert [len(row["text"]) for row in rows] == [100_000] * 20


class TestPipelined:
    async def test_sends_what_gives_nothing_back_later(self, connection: Connection) -> None:
        async with connection.pipelined():
            await connection.execute(NOTE, "a")
            assert not connection.is_in_transaction(), "nothing has been sent"
            assert await connection.fetchval("SELECT count(*) FROM noted") == 1
            assert await connection.fetchrow("SELECT name, 1 FROM noted WHERE false") is None
            await connection.execute(NOTE, "b")
        assert await names(connection) == ["a", "b"]
        assert not connection.is_in_transaction()

    async def test_reads_as_outside(self, connection: Connection) -> None:
        async with connection.pipelined():
            assert [row["number"] for row in await connection.fetch(SIX, 6)] == [5, 6]
            assert await connection.fetchval("SELECT 1 WHERE false") is None
            assert connection.is_in_transaction()

    async def test_is_all_or_nothing_where_what_was_to_come_later_fails(
        self, connection: Connection
    ) -> None:
        with pytest.raises(asyncpg.UniqueViolationError):
            async with connection.pipelined():
                await connection.execute(NOTE, "a")
                await connection.execute(NOTE, "a")
                await connection.execute(NOTE, "b")
        assert await names(connection) == []
        assert not connection.is_in_transaction()

    async def test_is_not_part_of_another_one(self, connection: Connection) -> None:
        async with connection.pipelined():
            await connection.execute(NOTE, "a")
            with pytest.raises(asyncpg.InterfaceError):
                async with connection.pipelined():
                    raise AssertionError
            with pytest.raises(asyncpg.InterfaceError):
                connection.transaction()
            for call in (connection.executemany(NOTE, [["b"]]), connection.prepare(NOTED)):
                with pytest.raises(asyncpg.InterfaceError):
                    await call
        with pytest.raises(asyncpg.InterfaceError):
            async with connection.transaction(), connection.pipelined():
                raise AssertionError
        assert await names(connection) == ["a"]

    async def test_does_not_pass_for_done_where_a_failure_was_swallowed(
        self, connection: Connection
    ) -> None:
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            async with connection.pipelined():
                await connection.execute(NOTE, "a")
                with suppress(asyncpg.DivisionByZeroError):
                    await connection.fetchval(BROKEN, 0)
        assert await names(connection) == []
        assert not connection.is_in_transaction()

    async def test_is_rolled_back_where_it_is_left_by_an_error(
        self, connection: Connection
    ) -> None:
        for sent in (True, False):
            with pytest.raises(LookupError):
                async with connection.pipelined():
                    await connection.execute(NOTE, "a")
                    if sent:
                        assert await names(connection) == ["a"]
                    raise LookupError
            assert await names(connection) == []

    async def test_fails_at_the_commit_where_a_constraint_is_deferred(
        self, connection: Connection
    ) -> None:
        await connection.execute(
            "CREATE TEMPORARY TABLE later (a text UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        )
        with pytest.raises(asyncpg.UniqueViolationError):
            async with connection.pipelined():
                for _ in range(2):
                    await connection.execute("INSERT INTO later VALUES ('a')")
        assert await connection.fetchval("SELECT count(*) FROM later") == 0


class TestLoss:
    async def test_of_who_waits_closes_the_connection(
        self, pool: Pool, connection: Connection
    ) -> None:
        waiting = asyncio.ensure_future(connection.together(("SELECT pg_sleep(30)", [])))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert connection.is_closed()

    async def test_of_the_connection_is_told_to_who_waits(
        self, connection: Connection, owner: Db
    ) -> None:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        waiting = asyncio.ensure_future(connection.together(("SELECT pg_sleep(30)", [])))
        await asyncio.sleep(0)
        await owner.fetchval("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.AdminShutdownError, ConnectionError)):
            await waiting
        assert connection.is_closed()

    def test_of_the_connection_is_told_on_the_loop_of_a_server_too(self, runtime_url: str) -> None:
        """uvloop does not take what the driver would say last, on a transport that is closed."""

        async def lose() -> bool:
            connection = await Pool(runtime_url, 1, {}).acquire()
            ended = "SELECT pg_terminate_backend(pg_backend_pid())"
            with pytest.raises((asyncpg.AdminShutdownError, ConnectionError)):
                await connection.together((ended, []))
            return connection.is_closed()

        assert uvloop.run(lose())

    async def test_of_the_network_is_not_waited_for_without_end(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tenantry.db.pool.COMMAND_TIMEOUT", 0.01)
        with pytest.raises(TimeoutError):
            await connection.together(("SELECT pg_sleep(30)", []))
        assert connection.is_closed()
