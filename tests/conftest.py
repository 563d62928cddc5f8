"""Real servers for the tests: PostgreSQL, started once; a database a test, cloned; uvicorn.

The controlling process starts the cluster and migrates a template; workers and tests clone it.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest
import structlog
import uvicorn
from playwright.async_api import Browser, async_playwright
from playwright.sync_api import Page, sync_playwright

from tenantry.app import create_app
from tenantry.db import embedded, schema
from tenantry.feature import Feature
from tenantry.server import listening, uvicorn_options
from tenantry.settings import Settings
from tests.api import Api
from tests.mail import SITE, Mailbox, working
from tests.visits import Visit, visiting

TEMPLATE = "tenantry_template"
SECRET = "access-4FrYkRiPmgE8r9nkzmVHWtrS1AxDccoQ"
REFRESH_SECRET = "refresh-b3rmLNCkGNS5UZ1fBpX0xHh8mZC3YqaW"

# Nothing that a test keeps outlives the run.
FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_wal_size = 4GB\n"

CHROMIUM = shutil.which("chromium")

# The environment of a server process that counts nothing.
UNLIMITED = {"RATE_LIMIT_GLOBAL": "off", "RATE_LIMIT_AUTH": "off"}

cluster_url = pytest.StashKey[str]()
cleanup = pytest.StashKey[contextlib.ExitStack]()


def of_database(url: str, name: str) -> str:
    """The same server's URL with another database."""
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"


def pytest_configure(config: pytest.Config) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if hasattr(config, "workerinput"):
        config.stash[cluster_url] = config.workerinput["cluster_url"]
        return
    stack = config.stash[cleanup] = contextlib.ExitStack()
    folder = Path(tempfile.mkdtemp(prefix="tenantry-tests-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    url = stack.enter_context(embedded.running(folder, configuration=FAST))

    async def make_template() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await connection.close()
        await schema.migrate(of_database(url, TEMPLATE))

    asyncio.run(make_template())
    config.stash[cluster_url] = url


def pytest_configure_node(node: Any) -> None:
    node.workerinput["cluster_url"] = node.config.stash[cluster_url]


def pytest_unconfigure(config: pytest.Config) -> None:
    if stack := config.stash.get(cleanup, None):
        stack.close()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> str:
    """The owner's URL of the test cluster."""
    return request.config.stash[cluster_url]


@contextlib.asynccontextmanager
async def database_of_its_own(cluster: str) -> AsyncIterator[str]:
    """A migrated database, for as long as it is needed; its owner's URL."""
    name = f"t_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(cluster)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    # So that the roles of other tests, which may be damaged on purpose, do not count here.
    await connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    try:
        yield of_database(cluster, name)
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.execute(f"DROP ROLE IF EXISTS {name}_runtime, {name}_worker")
        await connection.close()


@pytest.fixture
async def owner_url(cluster: str) -> AsyncIterator[str]:
    """A migrated database of this test's own; the URL is its owner's."""
    async with database_of_its_own(cluster) as url:
        yield url


@pytest.fixture
async def logins(owner_url: str) -> schema.Logins:
    return await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)


@pytest.fixture
async def runtime_url(logins: schema.Logins) -> str:
    """The URL with which a server works on the test's database."""
    return logins.runtime


@pytest.fixture
async def worker_url(logins: schema.Logins) -> str:
    """The URL with which a worker works on the test's database."""
    assert logins.worker
    return logins.worker


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that sees everything: for looking behind the scenes."""
    connection = await asyncpg.connect(owner_url)
    yield connection
    await connection.close()


@pytest.fixture
async def runtime(runtime_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection with the server's rights, entered nowhere."""
    connection = await asyncpg.connect(runtime_url)
    yield connection
    await connection.close()


def make_settings(database_url: str, **changes: Any) -> Settings:
    """The defaults, with secrets and without rate limits."""
    ours = {
        "database_url": database_url,
        "jwt_access_secret": SECRET,
        "jwt_refresh_secret": REFRESH_SECRET,
        "rate_limit_global": None,
        "rate_limit_auth": None,
    }
    return replace(Settings(), **{**ours, **changes})


class Serve(Protocol):
    def __call__(self, *features: Feature, **changes: Any) -> Awaitable[Api]: ...


@pytest.fixture
async def serve(runtime_url: str) -> AsyncIterator[Serve]:
    """Starts a server on the test's database, with these settings; gives a client of it."""
    async with AsyncExitStack() as stack:

        async def start(*features: Feature, **changes: Any) -> Api:
            config = make_settings(runtime_url, **changes)
            url = await stack.enter_async_context(serving(config, features))
            return await stack.enter_async_context(Api(url))

        yield start


@contextlib.asynccontextmanager
async def serving(config: Settings, features: Sequence[Feature] = ()) -> AsyncIterator[str]:
    """The application under uvicorn, on a port of its own; gives its URL."""
    listener = listening("127.0.0.1", 0)
    options = uvicorn_options(config)
    server = uvicorn.Server(uvicorn.Config(create_app(config, features), **options))
    task = asyncio.create_task(server._serve([listener]))  # without its signal handlers
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            await task
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def fresh(serve: Serve) -> Api:
    """A client of a server without rate limits, on the test's own database."""
    return await serve()


@pytest.fixture(scope="session")
async def shared_server(cluster: str) -> AsyncIterator[str]:
    """The URL of a server that tests share: organisations keep them apart, as they promise."""
    async with database_of_its_own(cluster) as owner_url:
        logins = await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)
        async with serving(make_settings(logins.runtime)) as server_url:
            yield server_url


@pytest.fixture
async def api(shared_server: str) -> AsyncIterator[Api]:
    """A client of the shared server, which has no rate limits."""
    async with Api(shared_server) as client:
        yield client


@pytest.fixture(scope="session")
async def mailbox() -> AsyncIterator[Mailbox]:
    """A real SMTP server; `await mailbox.mail_to(address)`."""
    async with Mailbox() as server:
        yield server


@pytest.fixture(scope="session")
async def shared_mailing_server(cluster: str, mailbox: Mailbox) -> AsyncIterator[str]:
    """The URL of another server that tests share: this one sends its mail to `mailbox`."""
    async with database_of_its_own(cluster) as owner_url:
        logins = await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)
        assert logins.worker
        settings = make_settings(logins.runtime, **mailbox.settings)
        async with (
            working(logins.worker, mailbox, JWT_REFRESH_SECRET=REFRESH_SECRET),
            serving(settings) as server_url,
        ):
            yield server_url


@pytest.fixture
async def mail_api(shared_mailing_server: str) -> AsyncIterator[Api]:
    """A client of a shared server whose mail arrives in `mailbox`."""
    async with Api(shared_mailing_server) as client:
        yield client


@pytest.fixture
async def worker(worker_url: str, mailbox: Mailbox) -> AsyncIterator[None]:
    """A worker on the test's own database: for `await serve(**mailbox.settings)`."""
    async with working(worker_url, mailbox, JWT_REFRESH_SECRET=REFRESH_SECRET):
        yield


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser.new_page(viewport={"width": 1280, "height": 1000})
        browser.close()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        await browser.close()


@pytest.fixture
async def mailed(browser: Browser, mail_api: Api) -> AsyncIterator[Visit]:
    """A visit at the address to which links in mails lead."""
    async with visiting(browser, mail_api, SITE) as visit:
        yield visit


@pytest.fixture
async def visit(browser: Browser, api: Api) -> AsyncIterator[Visit]:
    async with visiting(browser, api) as visit:
        yield visit


class RedisServer:
    """A redis-server on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"redis+unix://{self.socket}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = shutil.which("redis-server")
        assert program
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self.process = await asyncio.create_subprocess_exec(
            program, *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout
        async for line in self.process.stdout:
            if b"ready to accept" in line.lower():
                return

    async def stop(self) -> None:
        if self.process:
            self.process.terminate()
            await self.process.communicate()
            self.process = None


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


def needs(*programs: str) -> pytest.MarkDecorator:
    """Marks a test that needs a program: skipped where it is missing, a failure under CI."""
    missing = [program for program in programs if shutil.which(program) is None]
    reason = f"needs {' and '.join(missing)}: apt-get install {' '.join(missing)}"
    return pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason=reason)
