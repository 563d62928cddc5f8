"""The console's pages for who is not signed in."""

import asyncio
import re

from playwright.async_api import Route, expect

from tenantry.testing import PASSWORD, Api, ok, unique_email
from tests.authenticators import with_app
from tests.conftest import needs
from tests.console.conftest import OpenConsole
from tests.console.consoles import Console


@needs("chromium")
class TestSignUp:
    async def test_founds_an_organisation_and_opens_it(self, open_console: OpenConsole) -> None:
        console = await open_console(path="/sign-up")
        await console.is_accessible()
        await console.fill("Organisation", "Analytical Engines")
        await console.fill("Your name", "Ada Lovelace")
        await console.fill("Email", unique_email("ada"))
        await console.fill("Choose a password", PASSWORD)
        await console.press("Sign up")
        await console.shows("Overview")
        await expect(console.page).to_have_title("Overview · Analytical Engines")
        await console.is_live()

    async def test_shows_what_is_wrong_at_the_field(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(path="/sign-up", phone=True)
        await console.fill("Organisation", "Analytical Engines")
        await console.press("Sign up")
        await console.complains_at("Your name", "Enter a name of 2 characters or more.")
        ada = await api.register()
        await console.fill("Your name", "Ada Lovelace")
        await console.fill("Email", ada.user["email"])
        await console.fill("Choose a password", PASSWORD)
        await console.press("Sign up")
        await console.warns("Email already in use.")
        await console.is_accessible()
        await console.fits()


@needs("chromium")
class TestSignIn:
    async def test_leads_to_the_address_that_was_opened(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        console = await open_console(path="/account")
        await console.shows("Sign in")
        await console.is_accessible()
        await console.sign_in(ada.user["email"], "wrong")
        await console.warns("Invalid email or password.")
        await console.sign_in(ada.user["email"])
        await console.shows("Your account")

    async def test_asks_for_the_second_factor(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        app, codes = await with_app(ada)
        console = await open_console(phone=True)
        await console.sign_in(ada.user["email"])
        await console.shows("One more step")
        await console.is_accessible()
        await console.fill("Code from your authenticator app", app.wrong())
        await console.press("Confirm")
        await console.warns("This code or passkey is wrong, or has been used.")
        await console.press("Use a recovery code")
        await console.fill("One of your recovery codes", codes[0])
        await console.press("Confirm")
        await console.shows("Overview")

    async def test_keeps_its_token_from_scripts_and_outlives_a_reload(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        console = await open_console()
        await console.sign_in(ada.user["email"])
        await console.shows("Overview")
        kept = "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])"
        assert await console.page.evaluate(kept) == '["",{},{}]'
        await console.page.reload()
        await console.shows("Overview")

    async def test_leads_to_where_a_new_password_is_mailed_from(
        self, open_console: OpenConsole
    ) -> None:
        console = await open_console()
        await console.page.get_by_role("link", name="Forgot your password?").click()
        await console.shows("Forgot your password?")
        await expect(console.page).to_have_url(re.compile("/account/forgot-password$"))


@needs("chromium")
class TestSession:
    async def test_is_renewed_before_its_token_ends(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console()
        await console.page.clock.install()
        await console.sign_in((await api.register()).user["email"])
        await console.is_live()
        await console.page.clock.fast_forward("14:45")
        async with console.page.expect_response("**/api/auth/refresh") as renewed:
            await console.go("Your account")
        assert (await renewed.value).status == 200
        await console.shows("Your account")

    async def test_is_renewed_when_its_token_is_refused(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(await api.register())
        await console.is_live()
        refusal = {"success": False, "message": "", "code": "TOKEN_INVALID", "data": None}
        refusals = iter([refusal])

        async def refuse_once(route: Route) -> None:
            first = next(refusals, None)
            await (route.fulfill(status=401, json=first) if first else route.continue_())

        await console.page.route("**/api/auth/passkeys", refuse_once)
        async with console.page.expect_response("**/api/auth/refresh") as renewed:
            await console.go("Your account")
        assert (await renewed.value).status == 200
        await expect(console.card("Passkeys")).to_contain_text("You have none yet.")

    async def test_of_another_person_takes_this_ones_place(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada, grace = await api.register("Ada Lovelace"), await api.register("Grace Hopper")
        console = await open_console(ada)
        await console.is_live()
        await console.be(grace)  # as a tab does that signs in as her
        await console.page.clock.install()
        await console.page.clock.fast_forward("15:00")
        await console.go("Your account")
        await expect(console.page.get_by_role("main")).to_contain_text(grace.user["email"])
        await expect(console.page.locator("body")).not_to_contain_text(ada.user["email"])


@needs("chromium")
class TestInvite:
    async def test_leads_from_its_link_into_the_console(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        admin, email = await api.register(), unique_email("grace")
        token = ok(await admin.invite(email), 201)["token"]
        console = await open_console()
        await console.page.goto(f"{api.url}/account/accept-invite#token={token}")
        await console.fill("Your name", "Grace Hopper")
        await console.fill("Choose a password", PASSWORD)
        await console.press("Accept the invite")
        await console.page.get_by_role("link", name="Sign in").click()
        await console.sign_in(email)
        await expect(console.page).to_have_title("Overview · Analytical Engines")

    async def test_into_where_a_second_factor_is_required_says_what_to_do(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        member = await owner.add()
        await with_app(owner)
        ok(await owner.patch("/api/organisations", requireSecondFactor=True))
        console = await open_console(member)
        plan = console.page.locator("plan-card")
        await expect(plan).to_contain_text("A second factor is needed here")
        await plan.get_by_role("link", name="Open your account").click()
        await expect(console.button("Add an authenticator app")).to_be_visible()


@needs("chromium")
class TestSignOut:
    async def test_of_one_tab_signs_out_the_others(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(await api.register())
        await console.is_live()
        other = await console.page.context.new_page()
        await other.goto(console.page.url)
        await expect(other.get_by_role("heading", name="Overview")).to_be_visible()
        await console.press("Sign out")
        await console.shows("Sign in")
        await expect(other.get_by_role("status")).to_have_text(
            "You have signed out in another tab."
        )
        assert await console.page.context.cookies() == []

    async def test_is_told_as_such_where_the_stream_ends_before_the_other_tab_tells(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(await api.register())
        await console.is_live()
        other = await console.page.context.new_page()
        await other.goto(console.page.url)
        await expect(other.get_by_role("heading", name="Overview")).to_be_visible()
        hold = asyncio.Event()

        async def late(route: Route) -> None:
            answer = await route.fetch()
            await hold.wait()
            await route.fulfill(response=answer)

        await console.page.route("**/api/auth/logout", late)
        await console.press("Sign out")
        told = other.get_by_role("status")
        await expect(told).to_have_text("Your session has ended. Sign in again.")
        hold.set()
        await expect(told).to_have_text("You have signed out in another tab.")

    async def test_elsewhere_ends_this_session_at_once(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        console = await open_console(ada)
        await console.is_live()
        await ada.post("/api/auth/logout-all")
        await console.shows("Sign in")
        notice = console.page.get_by_text("Your session has ended. Sign in again.")
        await expect(notice).to_be_visible()


@needs("chromium")
class TestALinkForSomebodyElse:
    async def accept(self, console: Console, token: str) -> None:
        """Open an invite's link in the browser of somebody who is signed in."""
        await console.shows("Overview")
        await console.page.goto(f"{console.api.url}/account/accept-invite#token={token}")

    async def test_leads_on_as_who_has_accepted(self, open_console: OpenConsole, api: Api) -> None:
        ada, grace = await api.register(), await api.register("Grace Hopper")
        invite = ok(await (await api.register()).invite(grace.user["email"]), 201)
        console = await open_console(ada)
        await self.accept(console, invite["token"])
        await console.fill("Password", PASSWORD)
        await console.press("Sign in and accept")
        await console.page.get_by_role("link", name="Sign in").click()
        await console.shows("Choose an account")
        await expect(console.page.get_by_role("main")).to_contain_text(ada.user["email"])
        await console.is_accessible()
        await console.press(f"Sign out and use {grace.user['email']}")
        await expect(console.field("Email")).to_have_value(grace.user["email"])
        await expect(console.field("Password")).to_be_focused()
        await console.page.keyboard.type(PASSWORD)
        await console.page.keyboard.press("Enter")
        await console.shows("Overview")
        await expect(console.page.locator(".who")).to_contain_text(grace.user["email"])

    async def test_lets_who_is_signed_in_stay(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        invite = ok(await (await api.register()).invite(), 201)
        console = await open_console(ada, phone=True)
        await self.accept(console, invite["token"])
        await console.fill("Your name", "Grace Hopper")
        await console.fill("Choose a password", PASSWORD)
        await console.press("Accept the invite")
        await console.page.get_by_role("link", name="Sign in").click()
        await console.fits()
        await console.press(f"Continue as {ada.user['email']}")
        await console.shows("Overview")
        await expect(console.page.locator(".who")).to_contain_text(ada.user["email"])
