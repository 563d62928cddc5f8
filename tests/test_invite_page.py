"""The page behind the link of an invite, in a browser: /account/accept-invite#token=<token>."""

import re
from typing import TypeAlias

import asyncpg
from playwright.async_api import Browser, expect

from tenantry.testing import PASSWORD, Account, Api, ok, unique_email
from tests.authenticators import ORIGIN, with_app, with_passkey
from tests.conftest import needs
from tests.mail import Mailbox
from tests.visits import Visit, visiting

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@needs("chromium")
class TestAcceptInvite:
    async def test_makes_an_account(self, mailed: Visit, mailbox: Mailbox) -> None:
        admin, email = await mailed.api.register(), unique_email("grace")
        ok(await admin.invite(email), 201)
        await mailed.follow((await mailbox.mail_to(email)).link)
        await mailed.says("Join Analytical Engines")
        main = mailed.page.get_by_role("main")
        offer = "Ada Lovelace invites you to Analytical Engines, as a member."
        await expect(main).to_contain_text(offer)
        await expect(mailed.field("Email")).to_have_value(email)
        await expect(mailed.field("Your name")).to_be_focused()
        await mailed.page.keyboard.type("Grace Hopper")
        await mailed.page.keyboard.press("Tab")
        await mailed.page.keyboard.type(PASSWORD)
        await mailed.page.keyboard.press("Enter")
        await mailed.says("You are in")
        await expect(main).to_contain_text(email)
        member = await mailed.api.login(email)
        assert member.user["name"] == "Grace Hopper"

    async def test_shows_what_is_wrong_where_it_is_wrong(self, visit: Visit) -> None:
        await visit.open("accept-invite", await self.invite(visit))
        await visit.press("Accept the invite")
        name = visit.field("Your name")
        await expect(name).to_be_focused()
        await expect(name).to_have_accessible_description(
            "Enter your name, of 2 characters or more."
        )
        assert visit.called == ["users/invites/open"]

        await visit.fill("Your name", "  ")
        await visit.fill("Choose a password", PASSWORD)
        await visit.press("Accept the invite")
        await expect(name).to_have_accessible_description(
            "Name must be 2 to 200 characters of text."
        )
        await expect(name).to_have_attribute("aria-invalid", "true")
        await expect(name).to_be_focused()

        await visit.fill("Your name", "Grace Hopper")
        await visit.press("Accept the invite")
        await visit.says("You are in")

    async def test_that_has_been_used_says_what_to_do(self, visit: Visit) -> None:
        token = await self.invite(visit)
        ok(await visit.api.accept(token), 201)
        await visit.open("accept-invite", token)
        await visit.says("This link does not work any more")
        main = visit.page.get_by_role("main")
        await expect(main).to_contain_text("Ask whoever invited you for a new invite.")

    async def test_that_is_revoked_meanwhile_says_so_too(self, visit: Visit) -> None:
        admin = await visit.api.register()
        invite = ok(await admin.invite(), 201)
        await visit.open("accept-invite", invite["token"])
        await visit.fill("Your name", "Grace Hopper")
        await visit.fill("Choose a password", PASSWORD)
        ok(await admin.call("DELETE", f"/api/users/invites/{invite['id']}"))
        await visit.press("Accept the invite")
        await visit.says("This link does not work any more")

    async def invite(self, visit: Visit, email: str | None = None) -> str:
        """The token of an invite into another organisation."""
        admin = await visit.api.register()
        return str(ok(await admin.invite(email), 201)["token"])

    async def test_signs_in_whoever_has_an_account_and_out_again(self, visit: Visit) -> None:
        grace = await visit.api.register("Grace Hopper")
        await visit.open("accept-invite", await self.invite(visit, grace.user["email"]))
        await visit.fill("Password", "wrong")
        await visit.press("Sign in and accept")
        await visit.warns("Invalid email or password.")
        await visit.fill("Password", PASSWORD)
        await visit.page.keyboard.press("Enter")
        await self.is_in(visit, grace)

    async def signing_in(self, visit: Visit, account: Account) -> None:
        """Somebody with an account opens an invite and gives the password."""
        await visit.open("accept-invite", await self.invite(visit, account.user["email"]))
        await visit.fill("Password", PASSWORD)
        await visit.press("Sign in and accept")

    async def is_in(self, visit: Visit, account: Account) -> None:
        await visit.says("You are in")
        assert len(ok(await account.get("/api/auth/me"))["memberships"]) == 2
        assert len(ok(await account.get("/api/auth/sessions"))) == 1  # the page's own has ended

    async def test_asks_for_the_code_of_an_authenticator_app(self, visit: Visit) -> None:
        grace = await visit.api.register("Grace Hopper")
        app, _ = await with_app(grace)
        await self.signing_in(visit, grace)
        code = visit.field("Code from your authenticator app")
        await expect(code).to_be_focused()
        await expect(code).to_have_attribute("autocomplete", "one-time-code")
        await code.fill("12345")
        await visit.press("Confirm and accept")
        await expect(code).to_have_accessible_description(
            "Code must be the six digits that the app shows."
        )
        await code.fill(app.wrong())
        await visit.press("Confirm and accept")
        await visit.warns("This code or passkey is wrong, or has been used.")
        digits = app.code()
        await code.fill(f"{digits[:3]} {digits[3:]}")
        await visit.press("Confirm and accept")
        await self.is_in(visit, grace)

    async def test_begins_again_with_the_password_when_the_code_took_too_long(
        self, browser: Browser, fresh: Api, owner: Db
    ) -> None:
        grace = await fresh.register("Grace Hopper")
        app, _ = await with_app(grace)
        async with visiting(browser, fresh) as visit:
            await self.signing_in(visit, grace)
            await visit.fill("Code from your authenticator app", app.code())
            await owner.execute("UPDATE challenges SET expires_at = now()")
            await visit.press("Confirm and accept")
            await visit.warns(re.compile("begin again with the password"))
            await visit.press("Sign in and accept")
            await visit.press("Confirm and accept")
            await self.is_in(visit, grace)

    async def test_takes_a_recovery_code_in_its_place(self, visit: Visit) -> None:
        grace = await visit.api.register("Grace Hopper")
        _, codes = await with_app(grace)
        await self.signing_in(visit, grace)
        await visit.press("Use a recovery code")
        await expect(visit.field("One of your recovery codes")).to_be_focused()
        await visit.page.keyboard.type(codes[0])
        await visit.press("Confirm and accept")
        await self.is_in(visit, grace)

    async def test_takes_a_passkey(self, browser: Browser, api: Api) -> None:
        async with visiting(browser, api, ORIGIN) as visit:
            grace = await api.register("Grace Hopper")
            await visit.open("accept-invite", token=None)
            await visit.add_passkey(grace)
            await self.signing_in(visit, grace)
            await expect(
                visit.page.get_by_role("button", name="Use a recovery code")
            ).to_be_visible()
            await visit.press("Use your passkey and accept")
            await self.is_in(visit, grace)

    async def test_goes_on_where_a_passkey_is_not_at_hand(self, browser: Browser, api: Api) -> None:
        async with visiting(browser, api, ORIGIN) as visit:
            grace = await api.register("Grace Hopper")
            _, codes = await with_app(grace)
            await with_passkey(grace)
            await visit.add_authenticator()  # which has another person's passkeys, or none
            await self.signing_in(visit, grace)
            await visit.press("Use a passkey")
            await visit.press("Use your passkey and accept")
            await visit.warns("No passkey was used. Try again, or choose another way.")
            await visit.press("Use a recovery code")
            await visit.fill("One of your recovery codes", codes[0])
            await visit.press("Confirm and accept")
            await self.is_in(visit, grace)

    async def test_turns_to_signing_in_where_an_account_was_made_meanwhile(
        self, visit: Visit
    ) -> None:
        email = unique_email("grace")
        await visit.open("accept-invite", await self.invite(visit, email))
        await visit.fill("Your name", "Grace Hopper")
        grace = await visit.api.register(email=email)
        await visit.fill("Choose a password", "another good one")
        await visit.press("Accept the invite")
        await visit.fill("Password", PASSWORD)
        await visit.press("Sign in and accept")
        await self.is_in(visit, grace)

    async def test_shows_names_as_text(self, visit: Visit) -> None:
        name = "<img src=//elsewhere.example/x onerror=alert(1)>"
        admin = await visit.api.register(name, organisationName=name)
        await visit.open("accept-invite", ok(await admin.invite(), 201)["token"])
        await visit.says(f"Join {name}")
        assert await visit.page.locator("img").count() == 0

    async def test_can_be_tried_again_where_the_server_was_away(self, visit: Visit) -> None:
        await visit.page.route("**/api/users/invites/open", lambda route: route.abort())
        await visit.open("accept-invite", await self.invite(visit))
        await visit.says("That did not work")
        await visit.page.unroute_all()
        await visit.press("Try again")
        await visit.says("Join Analytical Engines")
