"""/api/realtime/client.js: the reference client, in a browser and under Node."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, WebSocketRoute, async_playwright

from tenantry.testing import PATIENCE, Account, Api, Serve, eventually, ok
from tests.conftest import CHROMIUM, needs

LISTEN = """
async ({ url, token, after }) => {
    const { EventStream } = await import(`${url}/api/realtime/client.js`);
    globalThis.heard = [];
    globalThis.stream = new EventStream({ url, token, after });
    for (const name of ["event", "resync", "state"])
        stream.addEventListener(name, ({ detail }) =>
            heard.push([name, detail.seq ?? detail.name]));
    stream.connect();
}
"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield await browser.new_page()
        await browser.close()


async def listen(page: Page, account: Account, after: int | None) -> None:
    await page.goto(f"{account.api.url}/docs/ws")
    options = {"url": account.api.url, "token": account.token, "after": after}
    await page.evaluate(LISTEN, options)


async def heard(page: Page, last: list[Any]) -> list[list[Any]]:
    """All that was heard up to this."""
    async with asyncio.timeout(PATIENCE):
        while True:
            messages: list[list[Any]] = await page.evaluate("heard")
            if last in messages:
                return messages[: messages.index(last) + 1]


@needs("chromium")
async def test_says_when_too_much_was_missed_and_goes_on(serve: Serve, page: Page) -> None:
    api = await serve(replay_limit=0)
    admin = await api.register()
    await listen(page, admin, after=0)
    await heard(page, ["resync", 1])
    ok(await admin.broadcast("live"), 201)
    assert await heard(page, ["event", 2]) == [
        ["state", "connecting"],
        ["state", "open"],
        ["resync", 1],
        ["event", 2],
    ]


@needs("chromium")
async def test_fetches_again_what_the_way_has_lost(api: Api, page: Page) -> None:
    """A proxy that swallows a message: the next one shows the hole, and the stream resumes."""
    admin = await api.register()
    swallowed: list[str] = []

    def pass_on(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def to_page(message: str | bytes) -> None:
            if "swallow me" in str(message) and not swallowed:
                swallowed.append(str(message))
            else:
                route.send(message)

        server.on_message(to_page)

    await page.route_web_socket("**/ws?*", pass_on)
    await listen(page, admin, after=None)
    await heard(page, ["state", "open"])
    for text in ("one", "swallow me", "three"):
        ok(await admin.broadcast(text), 201)
    events = [seq for name, seq in await heard(page, ["event", 4]) if name == "event"]
    assert events == [2, 3, 4]
    assert json.loads(swallowed[0])["seq"] == 3


@needs("chromium")
async def test_does_not_wait_for_a_server_that_says_nothing(api: Api, page: Page) -> None:
    admin = await api.register()
    silent = True
    await page.clock.install()
    await page.route_web_socket(
        "**/ws?*", lambda route: None if silent else route.connect_to_server() and None
    )
    await listen(page, admin, after=0)
    await heard(page, ["state", "connecting"])
    silent = False
    async with asyncio.timeout(PATIENCE):
        while ["event", 1] not in await page.evaluate("heard"):
            await page.clock.fast_forward(1000)


@needs("chromium")
async def test_hears_no_more_once_closed(api: Api, page: Page) -> None:
    admin = await api.register()
    await listen(page, admin, after=None)
    await heard(page, ["state", "open"])
    await page.evaluate("stream.close()")
    await eventually(admin.present, {})
    ok(await admin.broadcast("unheard"), 201)
    assert await page.evaluate("[heard.at(-1), stream.seq]") == [["state", "closed"], 1]


@needs("node")
async def test_runs_under_node(api: Api) -> None:
    admin = await api.register()
    client = (await api.get("/api/realtime/client.js")).text
    script = f"""{client}
        const stream = new EventStream({{ url: "{api.url}", token: "{admin.token}", after: 0 }});
        stream.addEventListener("event", ({{ detail }}) => {{
            console.log(JSON.stringify(detail));
            stream.close();
        }});
        stream.connect();
    """
    program = shutil.which("node")
    assert program
    node = await asyncio.create_subprocess_exec(
        *(program, "--experimental-websocket", "--input-type=module", "--eval", script),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await node.communicate()
    assert json.loads(said)["type"] == "USER_JOINED"
