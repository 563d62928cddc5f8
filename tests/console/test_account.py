"""The console's account: profile, second factor, passkeys, sessions, data."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import async_playwright, expect

from tenantry.testing import PASSWORD, Api, ok, refused, unique_email
from tests.authenticators import ORIGIN, App, with_app
from tests.conftest import CHROMIUM, needs
from tests.console.conftest import OpenConsole
from tests.console.consoles import Console, showing


@needs("chromium")
class TestProfile:
    async def test_changes_the_name_everywhere(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        console = await open_console(ada, "/account", phone=True)
        await console.is_accessible()
        await console.fits()
        await console.fill("Name", " ")
        await console.press("Save")
        await console.complains_at("Name", "Enter a name of 2 characters or more.")
        await console.fill("Name", "Augusta King")
        await console.press("Save")
        await console.toasts("Your name is changed.")
        assert ok(await ada.get("/api/auth/me"))["name"] == "Augusta King"
        await console.press("Menu")
        await expect(console.page.locator(".who")).to_contain_text("Augusta King")

    async def test_changes_the_password(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        other = await api.login(ada.user["email"])
        console = await open_console(ada, "/account")
        await console.press("Change the password")
        await console.fill("Your present password", "wrong")
        await console.fill("New password", "a better one than that")
        await console.press("Change the password", console.dialog)
        await console.warns("The password is wrong.")
        await console.is_accessible()
        await console.fill("Your present password", PASSWORD)
        await console.press("Change the password", console.dialog)
        await console.toasts("Your password is changed.")
        refused(await other.get("/api/auth/me"), 401)
        await api.login(ada.user["email"], "a better one than that")

    async def test_is_mailed_a_link_at_a_new_address(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(await api.register(), "/account")
        await console.press("Change the address")
        await console.fill("New address", "ada at example.com")
        await console.fill("Your password", PASSWORD)
        await console.press("Mail me a link")
        await console.complains_at("New address", "such as ada@example.com")
        await console.fill("New address", unique_email("ada"))
        await console.press("Mail me a link")
        await console.toasts("Look into the mail at the new address")


@needs("chromium")
class TestSecondFactor:
    async def test_is_an_app_that_scans_a_picture(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        console = await open_console(ada, "/account")
        await console.press("Add an authenticator app")
        await console.fill("Your password", PASSWORD)
        await console.press("Continue")
        await console.page.get_by_alt_text("The code to scan").evaluate("it => it.decode()")
        app = App(await console.dialog.locator("code").inner_text())
        await console.is_accessible()
        await console.fill("Code that the app shows", app.wrong())
        await console.press("Confirm")
        await console.warns("This code or passkey is wrong, or has been used.")
        await console.fill("Code that the app shows", app.code())
        await console.press("Confirm")
        await expect(console.dialog).to_contain_text("Keep your recovery codes")
        codes = (await console.dialog.locator("code").inner_text()).split()
        assert len(codes) == 10
        await console.page.mouse.click(5, 5)  # beside it
        await console.page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
        for _ in range(2):
            await console.page.keyboard.press("Escape")
        await expect(console.dialog).to_contain_text("Keep your recovery codes")
        await console.press("Done", console.dialog)
        await expect(console.row("Authenticator app")).to_contain_text("On")
        await expect(console.row("Recovery codes")).to_contain_text("10 codes left.")
        assert ok(await ada.get("/api/auth/me"))["secondFactor"] is True

        await console.press("Remove the authenticator app")
        await console.fill("Your password", PASSWORD)
        await console.press("Use a recovery code")
        await console.fill("One of your recovery codes", codes[0])
        await expect(console.field("Your password")).to_have_value(PASSWORD)
        await console.press("Remove", console.dialog)
        await console.toasts("The authenticator app has been removed.")
        await expect(console.button("Add an authenticator app")).to_be_visible()

    async def test_is_given_by_a_session_from_before(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        other = await api.login(ada.user["email"])
        app, _ = await with_app(other)
        console = await open_console(ada, "/account", phone=True)
        await console.press("Download your data")
        await console.toasts("This session has not given your second factor yet")
        await console.press("Give it now")
        await console.fill("Code from your authenticator app", app.code())
        await console.press("Confirm")
        await console.toasts("This session has given your second factor.")
        await expect(console.button("Give it now")).to_have_count(0)


@pytest.fixture
async def at_localhost(api: Api) -> AsyncIterator[Console]:
    """A console under the name that passkeys are for: the browser finds the server there."""
    rules = f"MAP {urlsplit(ORIGIN).netloc} {urlsplit(api.url).netloc}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={rules}"],
        )
        named = Api(ORIGIN)
        async with named, showing(browser, named) as console:
            devtools = await console.page.context.new_cdp_session(console.page)
            await devtools.send("WebAuthn.enable")
            options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
            options |= {"hasUserVerification": True, "isUserVerified": True}
            await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
            yield console
        await browser.close()


@needs("chromium")
class TestPasskeys:
    async def test_sign_in_without_the_password_and_as_the_second_step(
        self, at_localhost: Console, api: Api
    ) -> None:
        console = at_localhost
        ada = await api.register()
        await console.be(ada)
        await console.open("/account")
        await console.press("Add a passkey")
        await console.fill("Name of the passkey", "Telephone")
        await console.fill("Your password", PASSWORD)
        await console.press("Add the passkey")
        await expect(console.dialog).to_contain_text("Keep your recovery codes")
        await console.press("Close", console.dialog)
        await expect(console.row("Telephone")).to_contain_text("not used yet")
        await console.press("Rename Telephone")
        await console.fill("Name of the passkey", "Laptop")
        await console.press("Rename", console.dialog)
        await expect(console.row("Laptop")).to_be_visible()

        await console.press("Sign out")
        await console.press("Sign in with a passkey")
        await console.shows("Your account")
        await expect(console.row("Laptop")).to_contain_text("last used just now")

        await console.press("Sign out")
        await console.sign_in(ada.user["email"])
        await console.press("Confirm with your passkey")
        await console.shows("Your account")
        await console.press("Remove Laptop")
        await console.fill("Your password", PASSWORD)
        await console.press("Remove", console.dialog)
        await console.toasts("Laptop has been removed.")

    async def test_that_nobody_knows_say_so(self, at_localhost: Console) -> None:
        await at_localhost.open()
        await at_localhost.press("Sign in with a passkey")
        await at_localhost.warns("No passkey was used. Try again, or choose another way.")


@needs("chromium")
class TestSessions:
    async def test_of_other_devices_are_ended(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        other = await api.login(ada.user["email"])
        console = await open_console(ada, "/account")
        sessions = console.card("Where you are signed in")
        await expect(sessions.get_by_role("listitem")).to_have_count(2)
        await sessions.get_by_role("button", name="End the session on").click()
        await console.press("End the session")
        await expect(sessions.get_by_role("listitem")).to_have_count(1)
        refused(await other.get("/api/auth/me"), 401)

    async def test_end_everywhere(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        console = await open_console(ada, "/account")
        await console.press("Sign out everywhere")
        await console.press("Sign out everywhere", console.dialog)
        await console.shows("Sign in")
        await expect(console.page.get_by_text("You have signed out everywhere.")).to_be_visible()
        assert await console.page.context.cookies() == []


@needs("chromium")
class TestData:
    async def test_is_exported_as_json(
        self, open_console: OpenConsole, api: Api, tmp_path: Path
    ) -> None:
        ada = await api.register()
        console = await open_console(ada, "/account")
        async with console.page.expect_download() as download:
            await console.press("Download your data")
        await (await download.value).save_as(tmp_path / "account.json")
        held = json.loads((tmp_path / "account.json").read_text())
        assert held["account"]["email"] == ada.user["email"]

    async def test_goes_with_the_account(self, open_console: OpenConsole, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        console = await open_console(member, "/account")
        await console.press("Delete the account")
        await console.fill("Your password", PASSWORD)
        await console.press("Delete the account", console.dialog)
        await console.shows("Sign in")
        await expect(console.page.get_by_text("Your account has been deleted.")).to_be_visible()
        refused(
            await api.post("/api/auth/login", email=member.user["email"], password=PASSWORD), 401
        )

    async def test_stays_while_one_is_the_last_owner_of_others(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        await owner.add()
        console = await open_console(owner, "/account")
        await console.press("Delete the account")
        await console.fill("Your password", PASSWORD)
        await console.press("Delete the account", console.dialog)
        alert = console.dialog.get_by_role("alert")
        await expect(alert).to_contain_text("You are the only owner")
