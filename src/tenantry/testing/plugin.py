"""The fixtures, and the one PostgreSQL of a run, which its processes share."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tenantry.app import Server, create_app
from tenantry.db import schema
from tenantry.feature import Feature, installed, migrations_of
from tenantry.testing import databases
from tenantry.testing.attack.populated import Populate, nothing
from tenantry.testing.client import Api
from tenantry.testing.organisations import Organisation, seed
from tenantry.testing.servers import (
    REFRESH_SECRET,
    Db,
    Installation,
    Serve,
    make_settings,
    running,
    serving,
)
from tenantry.testing.servers import installed as installed_app

cluster_url = pytest.StashKey[str]()
cleanup = pytest.StashKey[contextlib.ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    if config.getini("asyncio_default_test_loop_scope") != "session":
        raise pytest.UsageError(
            "tenantry.testing serves the app in the loop that tests run in, so they share one: "
            "say under [tool.pytest.ini_options] in pyproject.toml:\n"
            'asyncio_mode = "auto"\n'
            'asyncio_default_fixture_loop_scope = "session"\n'
            'asyncio_default_test_loop_scope = "session"'
        )
    config.stash[cleanup] = contextlib.ExitStack()
    if url := getattr(config, "workerinput", {}).get("tenantry_cluster"):
        config.stash[cluster_url] = url


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist is about to start a process that will run tests."""
    node.workerinput["tenantry_cluster"] = _started(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    if stack := config.stash.get(cleanup, None):
        stack.close()


def _started(config: pytest.Config) -> str:
    if cluster_url not in config.stash:
        config.stash[cluster_url] = config.stash[cleanup].enter_context(databases.cluster())
    return config.stash[cluster_url]


@pytest.fixture(scope="session")
def features() -> Sequence[Feature]:
    """The features under test: those of installed packages. Override it to name others."""
    return installed()


@pytest.fixture(scope="session")
def app_settings() -> dict[str, Any]:
    """What the app's settings have otherwise than by default, by `Settings`' names. Override it."""
    return {}


@pytest.fixture(scope="session")
def populate() -> Populate:
    """Makes rows in the features' tables, as an owner; for `assert_isolated`. Override it."""
    return nothing


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> str:
    """The owner's URL of the run's PostgreSQL."""
    return _started(request.config)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(cluster: str, features: Sequence[Feature]) -> str:
    """The name of the migrated database that tests' databases are clones of."""
    return await databases.template(cluster, features)


@pytest_asyncio.fixture(loop_scope="session")
async def owner_url(cluster: str, template: str) -> AsyncIterator[str]:
    """A migrated database of this test's own; the URL is its owner's."""
    async with databases.clone(cluster, template) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def logins(owner_url: str, features: Sequence[Feature]) -> schema.Logins:
    """The URLs of the server's and the worker's role on the test's database."""
    return await _logins(owner_url, features)


async def _logins(owner_url: str, features: Sequence[Feature]) -> schema.Logins:
    folders = migrations_of(features)
    return await schema.prepare(owner_url, folders, secret=REFRESH_SECRET, say=lambda _: None)


@pytest.fixture
def runtime_url(logins: schema.Logins) -> str:
    """The URL with which a server works on the test's database."""
    return logins.runtime


@pytest.fixture
def worker_url(logins: schema.Logins) -> str:
    """The URL with which a worker works on the test's database."""
    assert logins.worker
    return logins.worker


@pytest_asyncio.fixture(loop_scope="session")
async def owner_connection(owner_url: str) -> AsyncIterator[Db]:
    """A connection that sees everything: for looking behind the scenes."""
    connection = await asyncpg.connect(owner_url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def runtime_connection(runtime_url: str) -> AsyncIterator[Db]:
    """A connection with the server's rights, entered nowhere."""
    connection = await asyncpg.connect(runtime_url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def serve(
    runtime_url: str, app_settings: dict[str, Any], features: Sequence[Feature]
) -> AsyncIterator[Serve]:
    """Starts servers on the test's database: see `Serve`."""
    async with AsyncExitStack() as stack:

        async def start(*more: Feature, **changes: Any) -> Api:
            settings = make_settings(runtime_url, **{**app_settings, **changes})
            url = await stack.enter_async_context(serving(settings, [*features, *more]))
            return await stack.enter_async_context(Api(url))

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def fresh(serve: Serve) -> Api:
    """A client of a server without rate limits, on the test's own database."""
    return await serve()


@pytest_asyncio.fixture(loop_scope="session")
async def installation(
    runtime_url: str,
    app_settings: dict[str, Any],
    features: Sequence[Feature],
    owner_connection: Db,
    runtime_connection: Db,
) -> AsyncIterator[Installation]:
    """The app with a database of its own, and its connections: what `assert_isolated` takes."""
    settings = make_settings(runtime_url, **app_settings)
    async with installed_app(settings, features, owner_connection, runtime_connection) as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(
    cluster: str, template: str, app_settings: dict[str, Any], features: Sequence[Feature]
) -> AsyncIterator[tuple[Server, str]]:
    """The app that tests share, and its URL: organisations keep them apart, as they promise."""
    async with databases.clone(cluster, template) as owner_url:
        settings = make_settings((await _logins(owner_url, features)).runtime, **app_settings)
        app = create_app(settings, features)
        async with running(app, settings) as url:
            yield app, url


@pytest_asyncio.fixture(loop_scope="session")
async def api(shared: tuple[Server, str]) -> AsyncIterator[Api]:
    """A client of the shared server, which has no rate limits."""
    async with Api(shared[1]) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def organisation(shared: tuple[Server, str], api: Api) -> Organisation:
    """An organisation of this test's own on the shared server, with somebody in each role."""
    return await seed(api, shared[0].litestar.state.product)


@pytest_asyncio.fixture(loop_scope="session")
async def other_organisation(shared: tuple[Server, str], api: Api) -> Organisation:
    """Another one."""
    return await seed(api, shared[0].litestar.state.product)
