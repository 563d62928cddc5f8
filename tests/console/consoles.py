"""A person's browser at the console."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, Route, expect

from tenantry.testing import PASSWORD, Account, Api, Organisation, ok

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
GRAVE = {"serious", "critical"}


class Late:
    """An answer that the page is still waiting for."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._answered = asyncio.Event()
        self._comes = asyncio.Event()

    async def hold(self, route: Route) -> None:
        answer = await route.fetch()
        self.asked.set()
        await self._comes.wait()
        await route.fulfill(response=answer)
        self._answered.set()

    async def comes(self) -> None:
        self._comes.set()
        await self._answered.wait()


class Console:
    """The console in a browser of its own, which notes whatever it complains of."""

    def __init__(self, page: Page, api: Api) -> None:
        self.page = page
        self.api = api
        self.problems: list[str] = []
        self.elsewhere: list[str] = []
        self._forgiven: list[str] = ["Failed to load resource"]  # answers that are errors
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda said: self._complain(said.type, said.text))
        page.on("request", lambda request: self._note(request.url))

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(tuple(self._forgiven)):
            self.problems.append(text)

    def _note(self, url: str) -> None:
        if not url.startswith((self.api.url, self.api.url.replace("http", "ws", 1), "data:")):
            self.elsewhere.append(url)

    def forgive(self, beginning: str) -> None:
        """What is no fault of the page in this test: the browser's words for a lost connection."""
        self._forgiven.append(beginning)

    async def be(self, account: Account) -> None:
        """Give the browser the account's session."""
        cookie = {"name": "tenantry_refresh", "value": account.refresh_token, "url": self.api.url}
        await self.page.context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Strict"}])  # type: ignore[typeddict-item]

    async def breaks(self, path: str, message: str) -> None:
        """From now on the API cannot answer there."""
        body = {"success": False, "message": message, "code": "UNAVAILABLE", "data": None}
        await self.page.route(f"**/api/{path}", lambda route: route.fulfill(status=503, json=body))

    async def holds(self, path: str) -> Late:
        """The next answer there comes when the test says so."""
        late = Late()
        await self.page.route(f"**/api/{path}", late.hold, times=1)
        return late

    async def mends(self, path: str) -> None:
        await self.page.unroute(f"**/api/{path}")

    async def open(self, path: str = "") -> None:
        await self.page.goto(f"{self.api.url}/console{path}")

    async def sign_in(self, email: str, password: str = PASSWORD) -> None:
        await self.fill("Email", email)
        await self.fill("Password", password)
        await self.press("Sign in")

    async def go(self, link: str) -> None:
        """To another view, by the navigation."""
        if (menu := self.button("Menu")) and await menu.is_visible():
            await menu.click()
        await self.page.get_by_role("navigation").get_by_role("link", name=link).click()

    async def press(self, name: str, within: Locator | None = None) -> None:
        await self.button(name, within).click()

    async def fill(self, label: str, text: str) -> None:
        await self.field(label).fill(text)

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True).filter(visible=True)

    def row(self, text: str) -> Locator:
        """The line of a list that has this text."""
        return self.page.get_by_role("listitem").filter(has_text=text)

    def card(self, title: str) -> Locator:
        """The part of the page under this heading."""
        heading = self.page.get_by_role("heading", name=title, exact=True)
        return self.page.locator("section").filter(has=heading)

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    async def shows(self, heading: str) -> None:
        await expect(
            self.page.get_by_role("heading", name=heading, exact=True, level=1)
        ).to_be_visible()

    async def warns(self, sentence: str | re.Pattern[str]) -> None:
        """The form says what is wrong, above its fields, and has the focus there."""
        alert = self.page.locator("[role=alert]:visible")
        await expect(alert).to_have_text(sentence)
        await expect(alert).to_be_focused()

    async def complains_at(self, label: str, sentence: str) -> None:
        """The field is wrong, says why, and has the focus."""
        field = self.field(label)
        await expect(field).to_have_accessible_description(re.compile(re.escape(sentence)))
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(field).to_be_focused()

    async def fails(self) -> None:
        """The whole of it could not be loaded, and can be tried again."""
        await expect(self.page.locator("main.front [role=alert]")).to_contain_text(
            "This could not be loaded"
        )

    async def toasts(self, text: str | re.Pattern[str]) -> None:
        await expect(self.page.locator(".toast").filter(has_text=text)).to_be_visible()

    async def is_live(self) -> None:
        await expect(self.page.locator("console-shell")).to_have_attribute(
            "data-connection", "live"
        )

    async def is_accessible(self) -> None:
        """axe finds nothing serious or critical, in light and in dark."""
        await expect(self.page.locator(".skeleton")).to_have_count(0)
        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = (await Axe().run(self.page)).response["violations"]
            assert [_told(one) for one in found if one["impact"] in GRAVE] == [], scheme

    async def fits(self) -> None:
        """Nothing is wider than the window."""
        width = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0


def name_of(organisation: Organisation) -> str:
    return str(organisation.owner.organisation["name"])


async def join(person: Account, organisation: Organisation, role: str = "MEMBER") -> None:
    """Be in that organisation as well."""
    invite = ok(await organisation.owner.invite(person.user["email"], role), 201)
    ok(await person.post("/api/users/accept-invite", token=invite["token"]), 201)


def _told(violation: dict[str, Any]) -> str:
    return f"{violation['help']}: {[node['html'] for node in violation['nodes']]}"


@asynccontextmanager
async def showing(browser: Browser, api: Api, *, phone: bool = False) -> AsyncIterator[Console]:
    """A console in a browser of its own, on a telephone or at a desk."""
    context = await browser.new_context(
        viewport=PHONE if phone else DESKTOP,  # type: ignore[arg-type]
        has_touch=phone,
        is_mobile=phone,
    )
    context.set_default_timeout(10_000)
    console = Console(await context.new_page(), api)
    try:
        yield console
    finally:
        await context.close()
    assert console.problems == []
    assert console.elsewhere == []
