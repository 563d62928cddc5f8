"""The console while answers are late, or missing: it shows, and does, what the token is for."""

import json
import re

import pytest
from playwright.async_api import Page, expect

from tenantry.testing import PASSWORD, Account, Api, Organisation, ok, unique_email
from tests.conftest import needs
from tests.console.conftest import OpenConsole
from tests.console.consoles import Console, join, name_of
from tests.console.test_switcher import choose, switch

SEND = "document.querySelector('compose-card form').requestSubmit()"
# As another tab would, of which this one has not heard yet.
SWITCHED = """async ({ organisationId, token }) => {
    const headers = { "x-session-cookie": "1", "content-type": "application/json" };
    headers.authorization = `Bearer ${token}`;
    const body = JSON.stringify({ organisationId });
    return (await fetch("/api/auth/switch", { method: "POST", headers, body })).status;
}"""
AN_HOUR_LATER = "{ const now = Date.now; Date.now = () => now() + 3_600_000; }"


@pytest.fixture
async def in_both(organisation: Organisation, other_organisation: Organisation) -> Account:
    """An admin of both, who opens the first one first."""
    person = organisation.admin
    await join(person, other_organisation, "ADMIN")
    return person


async def said_in(organisation: Organisation) -> list[str]:
    lines = await organisation.owner.feed(type="BROADCAST_MESSAGE")
    return [line["message"] for line in lines]


async def another_tab(console: Console) -> Page:
    tab = await console.page.context.new_page()
    await tab.goto(f"{console.api.url}/console")
    await expect(tab.locator("console-shell")).to_have_attribute("data-connection", "live")
    return tab


@needs("chromium")
class TestSwitching:
    async def test_is_not_undone_by_an_answer_about_the_organisation_before(
        self,
        open_console: OpenConsole,
        in_both: Account,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both)
        await console.is_live()
        other = name_of(other_organisation)
        about_the_one = await console.holds("auth/me")
        await choose(console, other)  # to open the menu asks what there is by now
        await expect(console.page).to_have_title(f"Overview · {other}")
        await about_the_one.comes()
        await console.go("Settings")
        await expect(console.page).to_have_title(f"Settings · {other}")
        await expect(switch(console)).to_contain_text(other)
        await expect(console.button(f"Leave {other}")).to_be_visible()

    async def test_lets_nothing_be_done_before_the_other_is_shown(
        self,
        open_console: OpenConsole,
        in_both: Account,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both, "/broadcast")
        await console.is_live()
        tab = await another_tab(console)
        await console.fill("Message", "For the one only")
        about_the_other = await console.holds("auth/me")
        await tab.locator(".switch").click()
        await tab.get_by_role("menuitemradio", name=name_of(other_organisation)).click()
        await about_the_other.asked.wait()
        await expect(console.page.locator("#app")).to_have_attribute("inert", "")
        await console.page.evaluate(SEND)
        await expect(console.page.locator("compose-card form [role=alert]")).to_have_text(
            "You are signed in elsewhere now."
        )
        await about_the_other.comes()
        await expect(console.page).to_have_title(f"Broadcast · {name_of(other_organisation)}")
        await expect(console.page.locator("#app")).not_to_have_attribute("inert", "")
        assert await said_in(organisation) == await said_in(other_organisation) == []

    async def test_elsewhere_is_noticed_before_anything_is_sent(
        self,
        open_console: OpenConsole,
        in_both: Account,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both, "/broadcast")
        await console.is_live()
        there = {"organisationId": other_organisation.owner.organisation["id"]}
        switched = {**there, "token": in_both.token}
        assert await console.page.evaluate(SWITCHED, switched) == 200
        await console.fill("Message", "For the one only")
        await console.page.evaluate(AN_HOUR_LATER)  # so that the token is renewed, by the cookie
        await console.press("Send to everybody")
        await expect(console.page).to_have_title(f"Broadcast · {name_of(other_organisation)}")
        await console.is_live()
        assert await said_in(organisation) == await said_in(other_organisation) == []

    async def test_opens_no_dialog_of_the_one_in_the_other(
        self,
        open_console: OpenConsole,
        in_both: Account,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both, "/members")
        await console.is_live()
        roles = await console.holds("organisations/roles")
        await console.press("Invite people")
        await roles.asked.wait()
        await choose(console, name_of(other_organisation))
        await expect(console.page).to_have_title(f"Members · {name_of(other_organisation)}")
        await roles.comes()
        await expect(console.card("Members").get_by_role("listitem").first).to_be_visible()
        await expect(console.dialog).to_have_count(0)

    async def test_there_and_back_elsewhere_leaves_the_page_usable(
        self,
        open_console: OpenConsole,
        in_both: Account,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both)
        await console.is_live()
        tab = await another_tab(console)
        for there in (name_of(other_organisation), name_of(organisation)):
            late = await console.holds("auth/me")
            await tab.locator(".switch").click()
            await tab.get_by_role("menuitemradio", name=there).click()
            await late.asked.wait()
            await expect(tab).to_have_title(f"Overview · {there}")
        await console.page.evaluate(
            "import('/console/files/session.js').then(({ session }) => session.reload())"
        )
        await late.comes()
        await console.is_live()
        await expect(console.page.locator("#app")).not_to_have_attribute("inert", "")
        await expect(console.page).to_have_title(f"Overview · {name_of(organisation)}")

    async def test_that_cannot_be_loaded_is_tried_again(
        self,
        open_console: OpenConsole,
        in_both: Account,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both)
        await console.is_live()
        await console.breaks("auth/me", "The service is unavailable")
        await choose(console, name_of(other_organisation))
        await console.fails()
        await console.mends("auth/me")
        await console.press("Try again")
        await expect(console.page).to_have_title(f"Overview · {name_of(other_organisation)}")
        await console.is_live()

    async def test_after_being_removed_is_tried_again_too(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        person = organisation.member
        await join(person, other_organisation)
        console = await open_console(person, "/account")
        await console.is_live()
        await expect(console.page.locator(".skeleton")).to_have_count(0)
        await console.breaks("auth/switch", "The service is unavailable")
        ok(await organisation.owner.remove(person.id))
        await console.fails()
        await console.mends("auth/switch")
        await console.press("Try again")
        await expect(console.page).to_have_title(f"Your account · {name_of(other_organisation)}")
        await console.toasts(f"You are not a member of {name_of(organisation)} any more.")


@needs("chromium")
class TestSigningOut:
    async def test_is_not_undone_by_an_answer_about_who_has_left(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        console = await open_console(ada)
        await console.is_live()
        about_ada = await console.holds("auth/me")
        await switch(console).click()
        await about_ada.asked.wait()
        await console.page.keyboard.press("Escape")
        await console.press("Sign out")
        await console.shows("Sign in")
        await about_ada.comes()
        await console.page.get_by_role("link", name="Found an organisation").click()
        await console.fill("Your name", "Bob")
        await expect(console.page.locator("body")).not_to_contain_text(ada.user["email"])

    async def test_of_a_session_that_has_ended_already_is_done(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        console = await open_console(ada)
        await console.page.route_web_socket("**/ws?*", lambda socket: socket.close())
        await console.page.reload()
        await expect(console.page).to_have_title(re.compile("Overview"))
        other = await api.login(ada.user["email"])
        ok(await other.post("/api/auth/logout-all"))
        await console.press("Sign out")
        await console.shows("Sign in")

    async def test_tells_nothing_of_a_session_that_ended(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(await api.register())
        await console.is_live()
        answer = await console.holds("auth/logout")
        await console.press("Sign out")
        await answer.asked.wait()
        await expect(console.page.locator("console-shell")).not_to_have_attribute(
            "data-connection", "live"
        )  # the stream has been told
        await answer.comes()
        await console.shows("Sign in")
        await expect(console.page.locator("main")).not_to_contain_text("has ended")


@needs("chromium")
class TestSigningIn:
    async def test_that_succeeded_is_not_asked_for_again(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada = await api.register()
        console = await open_console()
        await console.breaks("auth/me", "The service is unavailable")
        await console.sign_in(ada.user["email"], PASSWORD)
        await console.fails()
        await console.mends("auth/me")
        await console.press("Try again")
        await console.shows("Overview")
        await console.is_live()


@needs("chromium")
class TestDialog:
    async def test_stays_while_something_is_being_done(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        grace = await owner.add("Grace Hopper")
        console = await open_console(owner, "/members")
        await console.press("Remove Grace Hopper")
        removal = await console.holds(f"users/{grace.id}")
        await console.press("Remove", console.dialog)
        await removal.asked.wait()
        for way_out in ("Cancel", "Close"):
            await expect(console.button(way_out, console.dialog)).to_be_disabled()
        for _ in range(2):
            await console.page.keyboard.press("Escape")
        await expect(console.dialog).to_be_visible()
        await removal.comes()
        await console.toasts("Grace Hopper has been removed.")
        await expect(console.dialog).to_have_count(0)

    async def test_that_is_left_after_a_failure_has_done_nothing(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        grace = await owner.add("Grace Hopper")
        console = await open_console(owner, "/members")
        await console.press("Remove Grace Hopper")
        await console.breaks(f"users/{grace.id}", "The service is unavailable")
        await console.press("Remove", console.dialog)
        await console.warns("The service is unavailable.")
        await console.press("Cancel", console.dialog)
        await expect(console.dialog).to_have_count(0)
        await expect(console.page.locator(".toast")).to_have_count(0)
        await expect(console.row("Grace Hopper")).to_be_visible()

    async def test_whose_page_has_gone_still_tells_what_became_of_it(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        grace = await owner.add("Grace Hopper")
        console = await open_console(owner)
        await console.go("Members")
        await console.press("Remove Grace Hopper")
        removal = await console.holds(f"users/{grace.id}")
        await console.press("Remove", console.dialog)
        await removal.asked.wait()
        await console.page.go_back()
        await console.shows("Overview")
        await removal.comes()
        await console.toasts("Grace Hopper has been removed.")

    async def test_whose_page_has_gone_still_shows_what_is_shown_once(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        console = await open_console(owner)
        await console.go("Members")
        await console.press("Invite people")
        invited = unique_email("hedy")
        await console.fill("Email addresses", f"{invited}, {owner.user['email']}")
        answer = await console.holds("users/invites")
        await console.press("Send invites")
        await answer.asked.wait()
        await console.page.go_back()
        await console.shows("Overview")
        await answer.comes()
        await expect(console.dialog).to_contain_text(invited)
        await expect(console.dialog.locator("code")).to_contain_text("accept-invite#token=")
        await console.toasts(owner.user["email"])

    async def test_that_cannot_be_opened_says_why(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(await api.register(), "/members")
        await console.breaks("organisations/roles", "The service is unavailable")
        await console.press("Invite people")
        await console.toasts("The service is unavailable.")
        await expect(console.dialog).to_have_count(0)


@needs("chromium")
async def test_a_page_that_cannot_be_loaded_says_so(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.page.route(
        "**/client.js", lambda route: route.fulfill(status=429, body=json.dumps({}))
    )
    await console.page.reload()
    await expect(console.page.get_by_text("The console could not be loaded.")).to_be_visible()
