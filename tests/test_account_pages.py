"""The pages behind the links in mails, in a browser: /account/<action>#token=<token>."""

import asyncio
import re

import pytest
from limits import parse
from playwright.async_api import Browser, Route, expect

from tenantry.account.routes import PAGES
from tenantry.mail import Action
from tenantry.testing import PASSWORD, Api, Serve, ok, refused
from tests.conftest import needs
from tests.mail import Mailbox
from tests.visits import TOKEN, Visit, visiting


class TestServed:
    @pytest.mark.parametrize("action", PAGES)
    async def test_as_one_page_that_needs_nothing_from_elsewhere(
        self, api: Api, action: str
    ) -> None:
        page = await api.get(f"/account/{action}")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["referrer-policy"] == "no-referrer"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        sources = re.findall(
            r'<(?:link rel="stylesheet"|script)[^>]* (?:src|href)="(.+?)"', page.text
        )
        assert len(sources) == 2
        for source in sources:
            file = await api.get(f"/account/{source}")
            assert file.status_code == 200
            assert file.headers["content-security-policy"] == policy
        assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page.text) == []

    async def test_masks_passwords_and_leaves_their_managers_alone(self, api: Api) -> None:
        page = (await api.get("/account/reset-password")).text
        inputs = [one for one in re.findall(r"<input[^>]*>", page) if 'name="password"' in one]
        assert len(inputs) == 3
        for one in inputs:
            assert 'type="password"' in one
            assert re.search(r'autocomplete="(new|current)-password"', one)
            assert "maxlength" not in one
        assert "paste" not in page + (await api.get("/account/files/account.js")).text

    async def test_for_people_and_so_not_in_the_document(self, api: Api) -> None:
        assert not [
            path for path in (await api.get("/docs/spec")).json()["paths"] if "/account" in path
        ]

    async def test_for_these_actions_only(self, api: Api) -> None:
        for path in ("/account", "/account/close", "/account/files/routes.py", "/account/files/.."):
            refused(await api.get(path), 404)

    async def test_with_the_shortest_password_that_the_server_takes(self, serve: Serve) -> None:
        api = await serve(password_min_length=12)
        assert "12 characters or more" in (await api.get("/account/reset-password")).text


@needs("chromium")
class TestAnyLink:
    async def test_says_where_to_find_it_when_it_is_missing(self, visit: Visit) -> None:
        for action in Action:
            await visit.open(action, token=None)
            await visit.says("Open the link in the mail")
        assert visit.called == []

    async def test_leaves_the_address_bar_and_survives_a_reload(self, visit: Visit) -> None:
        sent = await visit.answer("auth/verify-email")
        await visit.open("verify-email")
        assert visit.page.url == f"{visit.site}/account/verify-email"
        await visit.page.reload()
        await visit.press("Confirm my address")
        await visit.says("Your address is confirmed")
        assert sent == [{"token": TOKEN}]
        await visit.page.reload()
        await visit.says("Open the link in the mail")  # it is kept no longer than it is good

    async def test_takes_the_place_of_another_in_the_same_tab(self, visit: Visit) -> None:
        sent = await visit.answer("auth/verify-email")
        await visit.open("verify-email", "the-first")
        await visit.open("verify-email", "the-second")
        await visit.page.wait_for_url("**/verify-email")
        await visit.press("Confirm my address")
        await visit.says("Your address is confirmed")
        assert sent == [{"token": "the-second"}]

    async def test_is_not_spent_by_opening_it(self, visit: Visit) -> None:
        for action in ("verify-email", "reset-password", "restore-organisation"):
            await visit.open(action)
            await expect(visit.page.get_by_role("heading")).to_be_visible()
        assert visit.called == []

    async def test_is_sent_once_however_often_the_button_is_pressed(self, visit: Visit) -> None:
        arrived, released = asyncio.Event(), asyncio.Event()

        async def wait(route: Route) -> None:
            arrived.set()
            await released.wait()
            await route.fulfill(json={"success": True, "message": "", "data": None})

        await visit.page.route("**/api/auth/verify-email", wait)
        await visit.open("verify-email")
        await visit.press("Confirm my address")
        await arrived.wait()
        busy = visit.page.get_by_role("button", name="Confirming …")
        await expect(busy).to_be_disabled()
        await expect(visit.page.get_by_role("status")).to_have_text("Confirming …")
        await busy.click(force=True)
        await visit.page.keyboard.press("Enter")
        released.set()
        await visit.says("Your address is confirmed")
        assert visit.called == ["auth/verify-email"]

    async def test_says_when_to_try_again(self, browser: Browser, serve: Serve) -> None:
        api = await serve(rate_limit_auth=parse("1/hour"))
        async with visiting(browser, api) as visit:
            await visit.open("forgot-password")
            await visit.fill("Email", "grace@example.com")
            await api.post("/api/auth/login")
            await visit.press("Mail me a link")
            await visit.warns(re.compile(r"^Too many tries\. Try again in (1 hour|60 minutes)\.$"))

    async def test_says_that_the_server_is_away_and_then_goes_on(self, visit: Visit) -> None:
        await visit.open("verify-email")
        await visit.page.context.set_offline(True)
        await visit.press("Confirm my address")
        await visit.warns(
            "The server cannot be reached. Look whether you are online, and try again."
        )
        await visit.page.context.set_offline(False)
        await visit.answer("auth/verify-email")
        await visit.press("Confirm my address")
        await visit.says("Your address is confirmed")

    async def test_says_that_an_answer_is_none_of_the_server_s(self, visit: Visit) -> None:
        await visit.page.route(
            "**/api/auth/verify-email", lambda route: route.fulfill(status=502, body="Bad gateway")
        )
        await visit.open("verify-email")
        await visit.press("Confirm my address")
        await visit.warns(re.compile(r"answer that cannot be read \(502\)"))


@needs("chromium")
class TestPasswords:
    async def test_a_forgotten_one_is_chosen_anew(self, mailed: Visit, mailbox: Mailbox) -> None:
        account = await mailed.api.register()
        email = account.user["email"]
        await mailbox.mail_to(email)  # which proves the address
        await mailed.open("forgot-password", token=None)
        await mailed.fill("Email", email)
        await mailed.press("Mail me a link")
        await mailed.says("Look into your mail")
        await expect(mailed.page.get_by_role("main")).to_contain_text(email)

        await mailed.follow((await mailbox.mail_to(email)).link)
        password = mailed.page.locator("#next-password")
        await expect(password).to_be_focused()
        await expect(password).to_have_attribute("autocomplete", "new-password")
        await password.fill("Password1")
        await mailed.press("Change the password")
        wrong = re.compile("Password is one of the most common ones")
        await expect(password).to_have_accessible_description(wrong)
        await password.fill("wholly other words")
        await mailed.press("Show the password")
        await expect(password).to_have_attribute("type", "text")
        await mailed.press("Change the password")
        await mailed.says("Your password is changed")
        await expect(password).to_have_attribute("type", "password")
        refused(await account.get("/api/auth/me"), 401)
        await mailed.api.login(email, "wholly other words")

    async def test_a_used_link_leads_to_the_next(self, visit: Visit) -> None:
        await visit.open("reset-password")
        await visit.fill("New password", "wholly other words")
        await visit.press("Change the password")
        await visit.says("This link does not work any more")
        await visit.page.get_by_role("link", name="Ask for a new link").click()
        await visit.says("Forgot your password?")
        await visit.fill("Email", "grace@")
        await visit.press("Mail me a link")
        wrong = re.compile("Enter an email address")
        await expect(visit.field("Email")).to_have_accessible_description(wrong)
        assert visit.called == ["auth/reset-password"]


@needs("chromium")
async def test_an_address_is_proven_once(mailed: Visit, mailbox: Mailbox) -> None:
    account = await mailed.api.register()
    email = account.user["email"]
    link = (await mailbox.mail_to(email)).link
    await mailed.follow(link)
    await mailed.press("Confirm my address")
    await mailed.says("Your address is confirmed")
    await expect(mailed.page.get_by_role("main")).to_contain_text(email)
    assert ok(await account.get("/api/auth/me"))["emailVerified"] is True
    await mailed.follow(link)
    await mailed.press("Confirm my address")
    await mailed.says("This link does not work any more")


@needs("chromium")
async def test_an_organisation_is_restored_once(mailed: Visit, mailbox: Mailbox) -> None:
    owner = await mailed.api.register()
    email = owner.user["email"]
    await mailbox.mail_to(email)  # which proves the address
    ok(await owner.call("DELETE", "/api/organisations", json={"password": PASSWORD}))
    link = (await mailbox.mail_to(email)).link
    await mailed.follow(link)
    await mailed.press("Restore the organisation")
    await mailed.says("The organisation is back")
    await expect(mailed.page.get_by_role("main")).to_contain_text("Analytical Engines is as it was")
    await mailed.api.login(email)
    await mailed.follow(link)
    await mailed.press("Restore the organisation")
    await mailed.says("This link does not work any more")
