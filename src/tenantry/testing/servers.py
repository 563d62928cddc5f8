"""The app, served in this process, with the settings of tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import uvicorn
from asyncpg import Connection, Record

from tenantry.app import Server, create_app
from tenantry.feature import Feature
from tenantry.server import listening, uvicorn_options
from tenantry.settings import Settings
from tenantry.testing.client import Api

SECRET = "access-4FrYkRiPmgE8r9nkzmVHWtrS1AxDccoQ"
REFRESH_SECRET = "refresh-b3rmLNCkGNS5UZ1fBpX0xHh8mZC3YqaW"

Db: TypeAlias = "Connection[Record]"


@dataclass(frozen=True)
class Installation:
    """The app, served, with a database of its own.

    `owner` is a connection with every right, for looking behind the scenes; `runtime` one with the
    server's rights, entered into no organisation.
    """

    app: Server
    api: Api
    owner: Db
    runtime: Db


class Serve(Protocol):
    """Starts a server on the test's database, with these features beside those under test, and
    these settings; gives a client of it.
    """

    def __call__(self, *more: Feature, **changes: Any) -> Awaitable[Api]: ...


def make_settings(database_url: str, **changes: Any) -> Settings:
    """The defaults, with secrets and without rate limits; and with these changes."""
    ours = {
        "database_url": database_url,
        "jwt_access_secret": SECRET,
        "jwt_refresh_secret": REFRESH_SECRET,
        "rate_limit_global": None,
        "rate_limit_auth": None,
    }
    return replace(Settings(), **{**ours, **changes})


@asynccontextmanager
async def serving(config: Settings, features: Sequence[Feature] = ()) -> AsyncIterator[str]:
    """The app under uvicorn, on a port of its own; gives its URL."""
    async with running(create_app(config, features), config) as url:
        yield url


@asynccontextmanager
async def installed(
    config: Settings, features: Sequence[Feature], owner: Db, runtime: Db
) -> AsyncIterator[Installation]:
    """The app with these features, served; with connections to its database."""
    app = create_app(config, features)
    async with running(app, config) as url, Api(url) as api:
        yield Installation(app, api, owner, runtime)


@asynccontextmanager
async def running(app: Server, config: Settings) -> AsyncIterator[str]:
    """The same for an app that has been created."""
    listener = listening("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, **uvicorn_options(config)))
    # Without its signal handlers, which `serve` would set.
    task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            await task
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
