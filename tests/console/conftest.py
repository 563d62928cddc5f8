"""The console in a browser, for its tests."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from typing import Protocol

import pytest
from playwright.async_api import Browser

from tenantry.testing import Account, Api
from tests.console.consoles import Console, showing


class OpenConsole(Protocol):
    """Opens a browser of its own at the console, signed in as the account, if one is given."""

    def __call__(
        self, account: Account | None = None, path: str = "", *, phone: bool = False
    ) -> Awaitable[Console]: ...


@pytest.fixture
async def open_console(browser: Browser, api: Api) -> AsyncIterator[OpenConsole]:
    """Consoles on the shared server. When the test ends, none may have complained of anything."""
    async with AsyncExitStack() as stack:

        async def start(
            account: Account | None = None, path: str = "", *, phone: bool = False
        ) -> Console:
            server = account.api if account else api
            console = await stack.enter_async_context(showing(browser, server, phone=phone))
            if account:
                await console.be(account)
            await console.open(path)
            return console

        yield start
