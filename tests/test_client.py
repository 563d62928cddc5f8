"""tenantry.client: the stream, over whatever happens to servers."""

import asyncio
import os
import signal
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
from asyncpg import Connection, Record

from tenantry.client import Event, Resync, StreamEnded, listen
from tenantry.testing import Account, Api, Serve, eventually, ok
from tests.conftest import UNLIMITED
from tests.events import write_events
from tests.processes import serving, workers


async def test_gives_events_and_ends_with_the_session(api: Api) -> None:
    admin = await api.register()
    stream = listen(api.url, admin.token, after=0)
    joined = await anext(stream)
    assert isinstance(joined, Event)
    assert (joined.type, joined.seq) == ("USER_JOINED", 1)
    ok(await admin.broadcast("hello"), 201)
    said = await anext(stream)
    assert isinstance(said, Event)
    assert said.payload["message"] == "hello"
    await admin.post("/api/auth/logout", refreshToken=admin.refresh_token)
    with pytest.raises(StreamEnded) as ended:
        await anext(stream)
    assert ended.value.code == 4001


async def test_says_what_cannot_be_caught_up_with(serve: Serve) -> None:
    api = await serve(replay_limit=0)
    admin = await api.register()
    stream = listen(api.url, admin.token, after=0)
    assert await anext(stream) == Resync(seq=1)
    ok(await admin.broadcast("hello"), 201)
    said = await anext(stream)
    assert said.seq == 2
    await admin.post("/api/auth/logout", refreshToken=admin.refresh_token)
    with pytest.raises(StreamEnded):
        await anext(stream)


async def test_is_told_that_its_token_is_not_good(api: Api) -> None:
    with pytest.raises(StreamEnded, match="not valid"):
        await anext(listen(api.url, "nonsense"))


async def test_gives_each_event_once_while_workers_are_killed(
    runtime_url: str, tmp_path: Path, owner: "Connection[Record]"
) -> None:
    """kill -9 of all workers, three times amid a thousand events."""
    environment = {"DATABASE_URL": runtime_url, **UNLIMITED}
    with serving("--workers", "2", environment=environment, cwd=tmp_path) as server:

        async def running() -> int:
            await asyncio.sleep(0)
            return len(workers(server))

        async with Api(server.url) as api:
            admin = await api.register()
            writing = asyncio.ensure_future(write_one_by_one(owner, admin, 1000))
            seen = []
            killed = 0
            async with aclosing(listen(server.url, admin.token, after=1)) as stream:
                async for message in stream:
                    seen.append(message.seq)
                    if message.seq in (200, 500, 800):
                        await eventually(running, 2)  # those of the last time are back
                        for worker in workers(server):
                            os.kill(worker, signal.SIGKILL)
                            killed += 1
                    if message.seq == 1001:
                        break
            await writing
    assert seen == list(range(2, 1002))
    assert killed == 6


async def write_one_by_one(owner: "Connection[Record]", account: Account, count: int) -> None:
    for _ in range(count):
        await write_events(owner, account)


async def test_says_that_the_address_is_not_a_servers(api: Api) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await anext(listen(f"{api.url}/elsewhere", "token"))
