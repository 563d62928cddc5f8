"""A person's browser, at the pages of a server."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Locator, Page, Route, expect

from tenantry.testing import PASSWORD, Account, Api, ok

TOKEN = "a-token-of-43-characters-as-mails-have-them"


class Visit:
    """A browser's tab at a server, which notes what it asks for and what it complains of."""

    def __init__(self, page: Page, api: Api, site: str) -> None:
        self.page = page
        self.api = api
        self.site = site
        self.requests: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda said: self.complain(said.type, said.text))

    def complain(self, kind: str, text: str) -> None:
        # An answer that is an error is said to be one; that is no fault of the page.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.problems.append(text)

    async def open(self, action: str, token: str | None = TOKEN) -> None:
        fragment = "" if token is None else f"#token={token}"
        await self.page.goto(f"{self.site}/account/{action}{fragment}")

    async def follow(self, link: str) -> None:
        assert link.startswith(f"{self.site}/account/")
        await self.page.goto(link)

    async def answer(
        self, path: str, status: int = 200, data: Any = None, **error: Any
    ) -> list[Any]:
        """Have the API answer so; gives the bodies that it is sent."""
        sent = []

        async def fulfil(route: Route) -> None:
            sent.append(route.request.post_data_json)
            body = {"success": status < 400, "message": "", "data": data, **error}
            await route.fulfill(status=status, json=body)

        await self.page.route(f"**/api/{path}", fulfil)
        return sent

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def fill(self, label: str, text: str) -> None:
        await self.field(label).fill(text)

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True).filter(visible=True)

    async def says(self, heading: str) -> None:
        title = self.page.get_by_role("heading", name=heading)
        await expect(title).to_be_visible()
        await expect(self.page).to_have_title(heading)

    async def warns(self, sentence: str | re.Pattern[str]) -> None:
        alert = self.page.locator("[role=alert]:visible")
        await expect(alert).to_have_text(sentence)
        await expect(alert).to_be_focused()

    async def add_authenticator(self) -> None:
        """A device with passkeys, whose owner says yes to everything."""
        devtools = await self.page.context.new_cdp_session(self.page)
        await devtools.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
        options |= {"hasUserVerification": True, "isUserVerified": True}
        await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    async def add_passkey(self, account: Account) -> None:
        await self.add_authenticator()
        options = await account.post("/api/auth/passkeys/options", password=PASSWORD)
        credential = await self.page.evaluate(
            """async (options) => {
              const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
              return (await navigator.credentials.create({ publicKey })).toJSON();
            }""",
            ok(options)["passkeyOptions"],
        )
        ok(await account.post("/api/auth/passkeys", name="Browser", credential=credential), 201)

    @property
    def called(self) -> list[str]:
        return [url.partition("/api/")[2] for url in self.requests if "/api/" in url]


@asynccontextmanager
async def visiting(browser: Browser, api: Api, site: str | None = None) -> AsyncIterator[Visit]:
    """A visit that ends without complaints: nothing from elsewhere, nothing against the policy.

    `site` is another address under which the browser finds the server.
    """
    page = await browser.new_page()
    visit = Visit(page, api, site or api.url)
    if site:

        async def forward(route: Route) -> None:
            url = route.request.url.replace(visit.site, api.url)
            await route.fulfill(response=await route.fetch(url=url))

        await page.route(f"{site}/**", forward)
    try:
        yield visit
    finally:
        await page.close()
    assert visit.problems == []
    assert [url for url in visit.requests if not url.startswith((visit.site, "data:"))] == []
    assert [url for url in visit.requests if "token" in url] == []
