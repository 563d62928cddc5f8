"""A neighbour's flood: what one organisation has under way leaves room for the others."""

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest

from tenantry.db import shares as shares_module
from tenantry.db.database import CONNECTIONS_OF_ONE, POOL_SIZE
from tenantry.db.shares import Shares
from tenantry.testing import Serve, eventually, ok
from tenantry.testing.servers import Db

WAITING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
ONE, OTHER = uuid4(), uuid4()


async def settled(task: "asyncio.Task[None]") -> bool:
    """Whether the task is done once everything that can go on has gone on."""
    for _ in range(3):
        await asyncio.sleep(0)
    return task.done()


async def test_whoever_waits_for_a_lock_leaves_connections_to_others(
    serve: Serve, owner: Db, owner_url: str
) -> None:
    api = await serve()
    flooding, neighbour = await api.register(), await api.register()
    locker = await asyncpg.connect(owner_url)
    async with locker.transaction():
        await locker.execute(
            "SELECT FROM organisations WHERE id = $1 FOR UPDATE",
            UUID(flooding.organisation["id"]),
        )
        flood = [
            asyncio.create_task(flooding.broadcast(str(number))) for number in range(3 * POOL_SIZE)
        ]
        await eventually(lambda: owner.fetchval(WAITING), CONNECTIONS_OF_ONE)
        ok(await neighbour.broadcast("hello"), 201)
        ok(await neighbour.get("/api/auth/me"))
        ok(await flooding.get("/api/users"))
        assert not any(task.done() for task in flood)
    await locker.close()
    for answer in await asyncio.gather(*flood):
        ok(answer, 201)


async def test_so_does_whoever_waits_for_their_own_account(
    serve: Serve, owner: Db, owner_url: str
) -> None:
    api = await serve()
    flooding, neighbour = await api.register(), await api.register()
    locker = await asyncpg.connect(owner_url)
    async with locker.transaction():
        await locker.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", UUID(flooding.id))
        flood = [
            asyncio.create_task(flooding.patch("/api/auth/me", name=f"Ada {number}"))
            for number in range(3 * POOL_SIZE)
        ]
        await eventually(lambda: owner.fetchval(WAITING), CONNECTIONS_OF_ONE)
        ok(await neighbour.patch("/api/auth/me", name="Grace"))
        assert not any(task.done() for task in flood)
    await locker.close()
    for answer in await asyncio.gather(*flood):
        ok(answer)


async def test_a_refused_request_gives_its_share_back(serve: Serve) -> None:
    api = await serve()
    admin = await api.register()
    out = await api.login(admin.user["email"])
    ok(await out.post("/api/auth/logout", refreshToken=out.refresh_token))
    for _ in range(2 * CONNECTIONS_OF_ONE):
        assert (await out.broadcast("nobody")).status_code == 401
        assert (await admin.post("/api/organisations/broadcast")).status_code == 422
    ok(await admin.broadcast("still here"), 201)


class TestShares:
    async def test_of_one_are_none_of_the_others(self) -> None:
        shares = Shares(1, 1)
        await shares.take(ONE)
        await shares.take(OTHER)
        third = asyncio.create_task(shares.take(ONE))
        assert not await settled(third)
        shares.give(OTHER)
        assert not await settled(third)
        shares.give(ONE)
        await third

    async def test_go_to_who_waits_longest(self) -> None:
        shares = Shares(1, 1)
        await shares.take(ONE)
        first, second = (asyncio.create_task(shares.take(ONE)) for _ in range(2))
        assert not await settled(second)
        shares.give(ONE)
        assert await settled(first)
        assert not second.done()
        shares.give(ONE)
        await second

    async def test_pass_by_who_gave_up(self) -> None:
        shares = Shares(1, 1)
        await shares.take(ONE)
        first, second = (asyncio.create_task(shares.take(ONE)) for _ in range(2))
        assert not await settled(first)
        first.cancel()
        shares.give(ONE)
        await second

    async def test_given_to_who_is_cancelled_at_that_moment_go_on(self) -> None:
        shares = Shares(1, 1)
        await shares.take(ONE)
        first, second = (asyncio.create_task(shares.take(ONE)) for _ in range(2))
        assert not await settled(second)
        shares.give(ONE)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second

    async def test_that_did_not_come_are_not_passed_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever is cancelled in the moment in which it gives up has none."""
        give_up = shares_module._give_up

        def give_up_and_cancel(place: "asyncio.Future[None]") -> None:
            give_up(place)
            second.cancel()

        shares = Shares(1, 1)
        await shares.take(ONE)
        with monkeypatch.context() as patch:
            patch.setattr(shares_module, "PATIENCE", 0)
            patch.setattr(shares_module, "_give_up", give_up_and_cancel)
            second = asyncio.create_task(shares.take(ONE))
            with pytest.raises(asyncio.CancelledError):
                await second
        third = asyncio.create_task(shares.take(ONE))
        assert not await settled(third)
        shares.give(ONE)
        assert await settled(third)

    async def test_are_more_until_another_asks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shares_module, "COMPANY", 0.05)
        shares = Shares(3, 1)
        tasks = [asyncio.create_task(shares.take(ONE)) for _ in range(5)]
        assert await settled(tasks[2])
        assert not tasks[3].done()
        await shares.take(OTHER)
        shares.give(OTHER)
        for _ in range(2):
            shares.give(ONE)
            assert not await settled(tasks[3])
        shares.give(ONE)
        assert await settled(tasks[3])
        assert not tasks[4].done()
        await asyncio.sleep(0.05)
        more = [asyncio.create_task(shares.take(ONE)) for _ in range(3)]
        assert not await settled(more[0])  # it came after the fifth
        shares.give(ONE)
        assert await settled(more[1])
        assert tasks[4].done()
        assert not more[2].done()

    async def test_are_more_beside_another_that_wants_more_too(self) -> None:
        shares = Shares(3, 1)
        for who in (ONE, OTHER, ONE):  # all at once, and all given back
            tasks = [asyncio.create_task(shares.take(who)) for _ in range(3)]
            assert await settled(tasks[2])
            for _ in tasks:
                shares.give(who)

    async def test_are_not_waited_for_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shares_module, "PATIENCE", 0.01)
        shares = Shares(1, 1)
        await shares.take(ONE)
        with pytest.raises(TimeoutError):
            await shares.take(ONE)
        shares.give(ONE)
        await shares.take(ONE)
