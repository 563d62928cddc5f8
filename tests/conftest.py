"""What the core's own tests need beside `tenantry.testing`: mail, browsers, Redis."""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from litestar import Litestar
from playwright.async_api import Browser, async_playwright
from playwright.sync_api import Page, sync_playwright

from tenantry.db import schema
from tenantry.feature import Feature
from tenantry.testing import Api, make_settings, serving
from tenantry.testing.databases import clone
from tenantry.testing.servers import REFRESH_SECRET, Db
from tests.mail import SITE, Mailbox, working
from tests.visits import Visit, visiting

pytest_plugins = ["tenantry.testing"]

CHROMIUM = shutil.which("chromium")

# The environment of a server process that counts nothing.
UNLIMITED = {"RATE_LIMIT_GLOBAL": "off", "RATE_LIMIT_AUTH": "off"}


def pytest_configure() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


@pytest.fixture(scope="session")
def features() -> Sequence[Feature]:
    """The core's own suite is about the core."""
    return []


@pytest.fixture
def owner(owner_connection: Db) -> Db:
    """A connection that sees everything: for looking behind the scenes."""
    return owner_connection


@pytest.fixture
def runtime(runtime_connection: Db) -> Db:
    """A connection with the server's rights, entered nowhere."""
    return runtime_connection


@pytest.fixture(scope="session")
async def mailbox() -> AsyncIterator[Mailbox]:
    """A real SMTP server; `await mailbox.mail_to(address)`."""
    async with Mailbox() as server:
        yield server


@pytest.fixture(scope="session")
async def shared_mailing_server(
    cluster: str, template: str, mailbox: Mailbox
) -> AsyncIterator[str]:
    """The URL of another server that tests share: this one sends its mail to `mailbox`."""
    async with clone(cluster, template) as owner_url:
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


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of which the framework is asked, in the servers of this process."""
    paths: list[str] = []
    ask = Litestar.__call__

    async def asked(self: Litestar, scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope.get("path", scope["type"]).rstrip("/"))
        await ask(self, scope, receive, send)

    monkeypatch.setattr(Litestar, "__call__", asked)
    return paths
