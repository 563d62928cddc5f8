"""X-Session-Cookie: a page of the server itself has its refresh token as a cookie."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from tenantry.testing import PASSWORD, Account, Api, Serve, ok, refused, registration
from tenantry.testing.servers import Db
from tests.authenticators import Authenticator, with_app, with_passkey
from tests.conftest import needs

NAME = "tenantry_refresh"
ASKED = {"x-session-cookie": "1"}
ELSEWHERE = [
    {"origin": "https://evil.example"},
    {"origin": "https://app.example.com"},  # which is in CORS_ORIGINS
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},  # another name below the same domain
]


class Tab(Api):
    """A page of the server in a browser, which keeps cookies."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.http.headers.update(ASKED)

    @property
    def cookie(self) -> str | None:
        return self.http.cookies.get(NAME)

    async def sign_up(self) -> Account:
        return self.account(ok(await self.post("/api/auth/register", **registration()), 201))

    def account(self, signed_in: dict[str, Any]) -> Account:
        return Account(self, {**signed_in, "refreshToken": ""})

    async def refresh(self) -> httpx.Response:
        return await self.post("/api/auth/refresh")


@pytest.fixture
async def tab(api: Api) -> AsyncIterator[Tab]:
    async with Tab(api.url) as browser:
        yield browser


def set_cookie(answer: httpx.Response) -> "Morsel[str] | None":
    cookies: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        cookies.load(header)
    assert len(cookies) <= 1
    return next(iter(cookies.values()), None)


def given(answer: httpx.Response) -> str:
    """The refresh token that the answer sets as a cookie, and has nowhere else."""
    morsel = set_cookie(answer)
    assert morsel
    assert morsel.value
    assert "refreshToken" not in answer.json()["data"]
    assert morsel.value not in answer.text
    return str(morsel.value)


def cleared(answer: httpx.Response) -> bool:
    morsel = set_cookie(answer)
    return morsel is not None and (morsel.value, morsel["max-age"]) == ("", "0")


class TestTheCookie:
    async def test_is_for_the_server_alone_and_lasts_as_long_as_the_token(
        self, serve: Serve
    ) -> None:
        api = await serve(jwt_refresh_expires_in=timedelta(hours=2))
        answer = await api.http.post("/api/auth/register", json=registration(), headers=ASKED)
        assert answer.headers["set-cookie"].partition("; ")[2].split("; ") == [
            "HttpOnly",
            "Max-Age=7200",
            "Path=/",
            "SameSite=strict",
        ]
        assert answer.headers["set-cookie"].startswith(f"{NAME}=ey")

    async def test_is_bound_to_https_and_the_host_where_the_server_has_that(
        self, serve: Serve
    ) -> None:
        api = await serve(public_url="https://tenantry.example.com")
        answer = await api.http.post("/api/auth/register", json=registration(), headers=ASKED)
        kept = answer.headers["set-cookie"]
        name, _, token = kept.partition(";")[0].partition("=")
        assert name == "__Host-tenantry_refresh"
        assert kept.partition("; ")[2].split("; ") == [
            "HttpOnly",
            "Max-Age=604800",
            "Path=/",
            "SameSite=strict",
            "Secure",
        ]
        headers = {**ASKED, "cookie": f"{name}={token}"}
        ok(await api.http.post("/api/auth/refresh", json={}, headers=headers))
        headers = {**ASKED, "cookie": f"{NAME}={token}"}
        refused(await api.http.post("/api/auth/refresh", json={}, headers=headers), 401)


class TestSigningIn:
    async def test_up_or_in_gives_the_refresh_token_as_a_cookie(self, tab: Tab) -> None:
        body = registration()
        first = given(await tab.post("/api/auth/register", **body))
        answer = await tab.post("/api/auth/login", email=body["email"], password=PASSWORD)
        ok(answer, 200, "Login successful")
        assert given(answer) == tab.cookie != first

    async def test_in_two_steps_gives_it_with_the_second(self, tab: Tab, api: Api) -> None:
        account = await api.register()
        app, _ = await with_app(account)
        email = account.user["email"]
        first = await tab.post("/api/auth/login", email=email, password=PASSWORD)
        assert set_cookie(first) is None
        token = ok(first)["secondFactor"]["token"]
        second = await tab.post("/api/auth/login/second-factor", token=token, code=app.code())
        ok(second, 200, "Login successful")
        assert given(second)

    async def test_with_a_passkey_alone_gives_it(self, tab: Tab, api: Api) -> None:
        authenticator = await with_passkey(await api.register(), Authenticator())
        begun = ok(await tab.post("/api/auth/login/passkey/options"))
        credential = authenticator.get(begun["passkeyOptions"])
        answer = await tab.post(
            "/api/auth/login/passkey", token=begun["token"], credential=credential
        )
        ok(answer, 200, "Login successful")
        assert given(answer)

    async def test_switching_gives_that_of_the_other_organisation(self, tab: Tab) -> None:
        account = await tab.sign_up()
        other = ok(await account.post("/api/organisations", name="Difference Engines"), 201)
        answer = await account.post("/api/auth/switch", organisationId=other["id"])
        assert given(answer)
        account.token = ok(await tab.refresh())["accessToken"]
        assert ok(await account.get("/api/organisations"))["id"] == other["id"]


class TestRefreshing:
    async def test_takes_the_cookie_and_sets_the_next(self, tab: Tab) -> None:
        account = await tab.sign_up()
        first = tab.cookie
        answer = await tab.refresh()
        account.token = ok(answer, 200, "Token refreshed")["accessToken"]
        assert given(answer) == tab.cookie != first
        ok(await account.get("/api/organisations"))

    async def test_prefers_a_token_in_the_body(self, tab: Tab, api: Api) -> None:
        await tab.sign_up()
        account = await api.register()
        answer = await tab.post("/api/auth/refresh", refreshToken=account.refresh_token)
        renewed = tab.account({**account.signed_in, **ok(answer)})
        assert ok(await renewed.get("/api/auth/me"))["id"] == account.id
        assert given(answer)

    async def test_is_refused_without_a_cookie(self, tab: Tab) -> None:
        refused(await tab.refresh(), 401, code="REFRESH_TOKEN_INVALID")

    async def test_clears_a_cookie_that_is_refused(self, tab: Tab, api: Api) -> None:
        account = await tab.sign_up()
        other = await api.login(account.user["email"])
        ok(await other.post("/api/auth/logout-all"))
        answer = await tab.refresh()
        refused(answer, 401, "Invalid or expired refresh token", "REFRESH_TOKEN_INVALID")
        assert cleared(answer)
        assert tab.cookie is None

    async def test_at_once_in_several_tabs_succeeds_in_all_of_them(
        self, tab: Tab, api: Api
    ) -> None:
        account = await tab.sign_up()
        async with several(tab, 10) as tabs:
            for _ in range(3):
                answers = await asyncio.gather(*[one.refresh() for one in tabs])
                assert {answer.status_code for answer in answers} == {200}
                assert len({given(answer) for answer in answers}) == 1
            tokens = [answer.json()["data"]["accessToken"] for answer in answers]
            for account.token in tokens:
                ok(await account.get("/api/organisations"))
        assert len(ok(await account.get("/api/auth/sessions"))) == 1

    async def test_again_after_an_answer_that_got_lost_succeeds(self, tab: Tab) -> None:
        await tab.sign_up()
        before = str(tab.cookie)
        ok(await tab.refresh())
        successor = tab.cookie
        tab.http.cookies.set(NAME, before, domain="127.0.0.1")
        answer = await tab.http.post(
            "/api/auth/refresh", json={}, headers={"cookie": f"{NAME}={before}"}
        )
        assert given(answer) == successor


@asynccontextmanager
async def several(first: Tab, count: int) -> AsyncIterator[list[Tab]]:
    """Tabs with connections of their own, and the cookies of one browser."""
    tabs = [Tab(first.url) for _ in range(count)]
    for one in tabs:
        one.http.cookies = first.http.cookies
    try:
        yield tabs
    finally:
        for one in tabs:
            await one.http.aclose()


class TestSigningOut:
    async def test_ends_the_session_and_clears_the_cookie(self, tab: Tab, api: Api) -> None:
        account = await tab.sign_up()
        token = tab.cookie
        answer = await account.post("/api/auth/logout")
        assert ok(answer, 200, "Logged out successfully") is None
        assert cleared(answer)
        refused(await account.get("/api/organisations"), 401)
        refused(await api.post("/api/auth/refresh", refreshToken=token), 401)

    async def test_needs_no_cookie(self, tab: Tab) -> None:
        account = await tab.sign_up()
        tab.http.cookies.clear()
        ok(await account.post("/api/auth/logout"))
        refused(await account.get("/api/organisations"), 401)

    async def test_also_ends_the_cookies_session_where_it_is_ones_own(
        self, tab: Tab, api: Api
    ) -> None:
        account = await tab.sign_up()
        ok(await tab.post("/api/auth/login", email=account.user["email"], password=PASSWORD))
        token = tab.cookie
        ok(await account.post("/api/auth/logout"))
        refused(await api.post("/api/auth/refresh", refreshToken=token), 401)

    @pytest.mark.parametrize("way", ["everywhere", "in the list of sessions", "by erasing oneself"])
    async def test_clears_it_too(self, tab: Tab, way: str) -> None:
        account = await tab.sign_up()
        [session] = ok(await account.get("/api/auth/sessions"))
        match way:
            case "everywhere":
                answer = await account.post("/api/auth/logout-all")
            case "in the list of sessions":
                answer = await account.delete(f"/api/auth/sessions/{session['id']}")
            case _:
                answer = await account.delete("/api/auth/me", password=PASSWORD)
        ok(answer)
        assert cleared(answer)

    async def test_elsewhere_leaves_it(self, tab: Tab, api: Api) -> None:
        account = await tab.sign_up()
        await api.login(account.user["email"])
        sessions = ok(await account.get("/api/auth/sessions"))
        [other] = [one["id"] for one in sessions if not one["current"]]
        answer = await account.delete(f"/api/auth/sessions/{other}")
        ok(answer)
        assert set_cookie(answer) is None


class TestWithoutTheHeader:
    async def test_no_answer_sets_or_clears_a_cookie(self, api: Api) -> None:
        account = await api.register()
        login = await api.post("/api/auth/login", email=account.user["email"], password=PASSWORD)
        renewal = await api.post("/api/auth/refresh", refreshToken=account.refresh_token)
        here = account.organisation["id"]
        switch = await account.post("/api/auth/switch", organisationId=here)
        for answer in (login, renewal, switch):
            assert ok(answer)["refreshToken"].count(".") == 2
            assert set_cookie(answer) is None
        again = await api.login(account.user["email"])
        for answer in (
            await account.post("/api/auth/logout", refreshToken=account.refresh_token),
            await again.post("/api/auth/logout-all"),
            await api.post("/api/auth/refresh", refreshToken=account.refresh_token),
        ):
            assert set_cookie(answer) is None

    async def test_a_cookie_is_not_looked_at(self, tab: Tab) -> None:
        account = await tab.sign_up()
        del tab.http.headers["x-session-cookie"]
        for body, said in (
            ({}, "refreshToken is required"),
            ({"refreshToken": None}, "refreshToken must not be empty"),
            ({"refreshToken": ""}, "refreshToken must not be empty"),
        ):
            problem = refused(await tab.post("/api/auth/refresh", **body), 422)
            assert problem["fields"] == [{"field": "refreshToken", "message": said}]
        refused(await account.post("/api/auth/logout"), 400, code="REFRESH_TOKEN_MISSING")
        ok(await account.get("/api/organisations"))

    async def test_pages_of_other_origins_are_answered_as_before(self, api: Api) -> None:
        account = await api.register()
        for headers in ELSEWHERE:
            ok(
                await api.http.post(
                    "/api/auth/login",
                    json={"email": account.user["email"], "password": PASSWORD},
                    headers=headers,
                )
            )


@pytest.mark.parametrize("value", ["0", "true", "1, 1", ""])
async def test_another_value_of_the_header_is_refused(api: Api, value: str) -> None:
    answer = await api.http.post(
        "/api/auth/register", json=registration(), headers={"x-session-cookie": value}
    )
    problem = refused(answer, 422, code="VALIDATION_FAILED")
    assert [item["field"] for item in problem["fields"]] == ["X-Session-Cookie"]


class TestAnotherSite:
    @pytest.mark.parametrize("headers", ELSEWHERE)
    async def test_cannot_have_anything_done_with_the_cookie(
        self, serve: Serve, headers: dict[str, str]
    ) -> None:
        api = await serve(cors_origins=("https://app.example.com",))
        async with Tab(api.url) as tab:
            account = await tab.sign_up()
            cookie = tab.cookie
            body = registration(email=account.user["email"])
            for path in ("register", "login", "refresh", "switch", "logout", "logout-all"):
                fields = {
                    "register": body,
                    "login": {"email": body["email"], "password": PASSWORD},
                    "switch": {"organisationId": account.organisation["id"]},
                }.get(path, {})
                answer = await account.call(
                    "POST", f"/api/auth/{path}", json=fields, headers=headers
                )
                refused(answer, 403, code="CROSS_SITE_REQUEST")
                assert set_cookie(answer) is None
            assert tab.cookie == cookie
            ok(await account.get("/api/organisations"))
            ok(await tab.refresh())

    async def test_is_not_allowed_the_header_by_cors(self, serve: Serve) -> None:
        api = await serve(cors_origins=("https://app.example.com",))
        answer = await api.http.options(
            "/api/auth/refresh",
            headers={
                "origin": "https://app.example.com",
                "access-control-request-method": "POST",
                "access-control-request-headers": "x-session-cookie",
            },
        )
        refused(answer, 403, code="HEADER_NOT_ALLOWED")
        assert not [name for name in answer.headers if name.startswith("access-control-allow")]

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://TENANTRY.example.com"},
            {"origin": "https://tenantry.internal", "host": "tenantry.internal"},
            {"origin": "https://tenantry.example.com", "sec-fetch-site": "same-origin"},
        ],
    )
    async def test_is_none_of_the_servers_own_addresses(
        self, serve: Serve, headers: dict[str, str]
    ) -> None:
        api = await serve(public_url="https://tenantry.example.com/")
        answer = await api.http.post(
            "/api/auth/register", json=registration(), headers={**ASKED, **headers}
        )
        ok(answer, 201)


CALL = """
async ([url, path, body, headers, credentials = "include"]) => {
  try {
    const answer = await fetch(`${url}/api/auth/${path}`, {
      method: "POST", credentials, body: JSON.stringify(body),
      headers: {"content-type": "application/json", ...headers},
    });
    return {status: answer.status, body: await answer.json(), cookies: document.cookie};
  } catch (error) {
    return {failed: String(error)};
  }
}
"""


@needs("chromium")
class TestInABrowser:
    @pytest.fixture
    async def page(self, browser: Browser) -> AsyncIterator[Page]:
        context = await browser.new_context(bypass_csp=True)  # another site would have its own
        yield await context.new_page()
        await context.close()

    async def test_pages_of_the_server_share_it_and_no_script_reads_it(
        self, api: Api, page: Page
    ) -> None:
        site = api.url.replace("127.0.0.1", "localhost")
        await page.goto(f"{site}/docs/ws")
        up = await page.evaluate(CALL, [site, "register", registration(), ASKED])
        assert (up["status"], up["cookies"]) == (201, "")
        assert "refreshToken" not in up["body"]["data"]
        [cookie] = await page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (NAME, True, "Strict")
        other = await page.context.new_page()
        await other.goto(f"{site}/docs/ws")
        answers = await asyncio.gather(
            *[one.evaluate(CALL, [site, "refresh", {}, ASKED]) for one in (page, other)]
        )
        assert [answer["status"] for answer in answers] == [200, 200]
        token = answers[0]["body"]["data"]["accessToken"]
        headers = {**ASKED, "authorization": f"Bearer {token}"}
        out = await other.evaluate(CALL, [site, "logout", {}, headers])
        assert out["status"] == 200
        assert await page.context.cookies() == []
        await page.reload()
        assert (await page.evaluate(CALL, [site, "refresh", {}, ASKED]))["status"] == 401

    async def test_pages_of_another_site_cannot_use_it(
        self, serve: Serve, owner: Db, page: Page
    ) -> None:
        elsewhere = (await serve()).url.replace("127.0.0.1", "localhost")  # another site
        api = await serve(cors_origins=(elsewhere,))
        await page.goto(f"{api.url}/docs/ws")
        up = await page.evaluate(CALL, [api.url, "register", registration(), ASKED])
        assert up["status"] == 201
        rotated = "SELECT rotated_at FROM refresh_families"
        before = await owner.fetchval(rotated)
        await page.goto(f"{elsewhere}/docs/ws")
        allowed = await page.evaluate(CALL, [api.url, "refresh", {}, {}, "omit"])
        assert allowed["body"]["code"] == "VALIDATION_FAILED"
        answer = await page.evaluate(CALL, [api.url, "refresh", {}, ASKED])
        assert "Failed to fetch" in answer["failed"]
        assert await owner.fetchval(rotated) == before
        assert len(await page.context.cookies(api.url)) == 1
