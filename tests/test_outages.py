"""A database that is down, restarts, or is not what the server needs."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path

import asyncpg
import pytest

from tenantry.client import listen
from tenantry.db import embedded, schema
from tenantry.db.branches import SchemaError
from tests.api import Account, Api, connect_socket, ok, refused
from tests.conftest import FAST, REFRESH_SECRET, Serve, make_settings, serving
from tests.events import write_events


class Cluster:
    """A PostgreSQL of the test's own, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()

    def start(self) -> str:
        self.url = self.stack.enter_context(embedded.running(self.folder, configuration=FAST))
        return self.url

    def stop(self) -> None:
        self.stack.close()


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="tenantry-outage-"))
    cluster = Cluster(folder)
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def api(own_cluster: Cluster) -> AsyncIterator[Api]:
    url = own_cluster.start()
    runtime_url = (await schema.prepare(url, secret=REFRESH_SECRET, say=lambda _: None)).runtime
    async with serving(make_settings(runtime_url)) as server, Api(server) as client:
        yield client


async def test_is_answered_503_and_recovered_from(api: Api, own_cluster: Cluster) -> None:
    admin = await api.register()
    ok(await api.get("/ready"))
    await asyncio.to_thread(own_cluster.stop)
    for answer in (
        await admin.get("/api/organisations"),
        await api.post("/api/auth/login", email="a@b.co", password="x"),
        await api.get("/ready"),
        await admin.broadcast("lost"),
    ):
        refused(answer, 503, code="UNAVAILABLE")
        assert answer.headers["retry-after"]
    assert (await api.get("/health")).json() == {"status": "ok"}
    await asyncio.to_thread(own_cluster.start)
    ok(await api.get("/ready"))
    ok(await admin.get("/api/organisations"))
    assert len(await admin.feed()) == 1


async def test_does_not_lose_events_for_open_sockets(api: Api, own_cluster: Cluster) -> None:
    admin = await api.register()
    async with admin.socket() as socket:
        await asyncio.to_thread(own_cluster.stop)
        await asyncio.to_thread(own_cluster.start)
        ok(await admin.broadcast("after the restart"), 201)
        assert (await socket.next())["payload"]["message"] == "after the restart"


async def test_amid_a_thousand_events_loses_none(api: Api, own_cluster: Cluster) -> None:
    """PostgreSQL is stopped and started twice while one client writes and another listens."""
    admin = await api.register()
    seen = []
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        writing = group.create_task(write_whenever_possible(own_cluster, admin))
        async with aclosing(listen(api.url, admin.token, after=1)) as stream:
            async for message in stream:
                seen.append(message.seq)
                if message.seq in (400, 800):
                    await asyncio.to_thread(own_cluster.stop)
                    await asyncio.to_thread(own_cluster.start)
                if message.seq == 1000:
                    break
        writing.cancel()
    assert seen == list(range(2, 1001))


async def write_whenever_possible(cluster: Cluster, account: Account) -> None:
    while True:
        connection = None
        try:
            connection = await asyncpg.connect(cluster.url)
            while True:
                await write_events(connection, account)
        except (
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ):
            await asyncio.sleep(0.05)  # until it is back
        finally:
            if connection:
                connection.terminate()


async def test_refuses_new_sockets_meanwhile(api: Api, own_cluster: Cluster) -> None:
    admin = await api.register()
    await asyncio.to_thread(own_cluster.stop)
    with pytest.raises(Exception, match="503"):
        async with connect_socket(api.url, f"/ws?token={admin.token}"):
            pass


async def test_a_schema_that_is_not_this_versions_is_not_ready(
    serve: Serve, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    server = await serve()
    ok(await server.get("/ready"))
    await owner.execute("UPDATE alembic_version SET version_num = '0001'")
    message = refused(await server.get("/ready"), 503)["message"]
    assert "Run `tenantry migrate`" in message


async def test_a_newer_schema_is_not_served(
    owner_url: str, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="newer than this Tenantry"):
        await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)


async def test_a_statement_that_fails_leaves_the_connection_fit_for_the_next(
    fresh: Api, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    admin, other = await fresh.register(), await fresh.register()
    await owner.execute("ALTER TABLE activities ADD CONSTRAINT broken CHECK (message <> 'break')")
    for _ in range(15):
        assert (await admin.broadcast("break")).status_code == 500
    ok(await admin.broadcast("mend"), 201)
    assert ok(await other.get("/api/organisations"))["id"] == other.organisation["id"]
    assert [line["seq"] for line in await admin.feed()] == [2, 1]
