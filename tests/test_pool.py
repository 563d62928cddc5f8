"""The pool: never more than its size, nobody forgotten, nothing closed handed out."""

import asyncio

import pytest

from tenantry.db import pool as pool_module
from tenantry.db.database import SERVER_SETTINGS
from tenantry.db.pool import Connection, Pool


@pytest.fixture
def pool(runtime_url: str) -> Pool:
    return Pool(runtime_url, 2, SERVER_SETTINGS)


async def pid(connection: Connection) -> int:
    found: int = await connection.fetchval("SELECT pg_backend_pid()")
    return found


async def test_uses_a_connection_again_before_it_opens_another(pool: Pool) -> None:
    pids = []
    for _ in range(3):
        connection = await pool.acquire()
        pids.append(await pid(connection))
        pool.release(connection)
    assert len(set(pids)) == 1
    await pool.close()


async def test_prefers_one_that_is_where_it_is_wanted(pool: Pool) -> None:
    inside, outside = await pool.acquire(), await pool.acquire()
    inside.nowhere = False
    for first, second in ((inside, outside), (outside, inside)):
        pool.release(first)
        pool.release(second)
        assert await pool.acquire(nowhere=True) is outside
        assert await pool.acquire(nowhere=True) is inside, "rather than waiting"
    for connection in (inside, outside):
        pool.release(connection)
    await pool.close()


async def test_never_opens_more_than_its_size(pool: Pool) -> None:
    async def use() -> int:
        connection = await pool.acquire()
        try:
            return await pid(connection)
        finally:
            pool.release(connection)

    assert len(set(await asyncio.gather(*[use() for _ in range(20)]))) <= 2
    await pool.close()


async def test_makes_whoever_comes_later_wait_in_line(pool: Pool) -> None:
    one, two = await pool.acquire(), await pool.acquire()
    third, fourth = (asyncio.ensure_future(pool.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    pool.release(two)
    assert await third is two
    assert not fourth.done()
    pool.release(one)
    assert await fourth is one
    for connection in (one, two):
        pool.release(connection)
    await pool.close()


async def test_replaces_a_closed_connection(pool: Pool) -> None:
    one, two = await pool.acquire(), await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    one.terminate()
    pool.release(one)
    three = await waiting
    assert await pid(three)
    pool.release(three)
    three.terminate()  # closed while it lay idle
    four = await pool.acquire()
    assert four is not three
    for connection in (two, four):
        pool.release(connection)
    await pool.close()


async def test_gives_up_waiting_and_loses_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "ACQUIRE_TIMEOUT", 0.01)
    one, two = await pool.acquire(), await pool.acquire()
    with pytest.raises(TimeoutError):
        await pool.acquire()
    gone = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    pool.release(one)  # handed over, and cancelled before it was taken
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert await pool.acquire() is one
    for connection in (one, two):
        pool.release(connection)
    await pool.close()


async def test_a_database_that_cannot_be_reached_takes_no_place() -> None:
    pool = Pool("postgresql://x@127.0.0.1:9/x", 1, SERVER_SETTINGS)
    for _ in range(3):
        with pytest.raises(OSError, match="Connect"):
            await pool.acquire()
