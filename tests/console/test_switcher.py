"""The console's menu of organisations: switching, founding, and keeping them apart."""

import pytest
from playwright.async_api import Locator, expect

from tenantry.testing import Account, Api, Organisation, ok
from tests.authenticators import with_app
from tests.conftest import needs
from tests.console.conftest import OpenConsole
from tests.console.consoles import Console, join, name_of


@pytest.fixture
async def in_both(organisation: Organisation, other_organisation: Organisation) -> Account:
    """Who is an admin of the one organisation, which they open first, and a member of the other."""
    person = organisation.admin
    await join(person, other_organisation)
    return person


def switch(console: Console) -> Locator:
    return console.page.locator(".switch")


async def choose(console: Console, name: str) -> None:
    await switch(console).click()
    await console.page.get_by_role("menuitemradio", name=name).click()


@needs("chromium")
class TestSwitching:
    async def test_shows_the_other_organisation_in_every_tab(
        self,
        open_console: OpenConsole,
        in_both: Account,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both, "/members")
        await console.is_live()
        tab = await console.page.context.new_page()
        await tab.goto(f"{console.api.url}/console")
        await expect(tab).to_have_title(f"Overview · {name_of(organisation)}")
        await choose(console, name_of(other_organisation))
        await expect(console.page).to_have_title(f"Members · {name_of(other_organisation)}")
        await console.toasts(f"You are in {name_of(other_organisation)} now.")
        await expect(console.card("Members")).to_contain_text("This is for admins")
        await console.is_live()
        await expect(tab).to_have_title(f"Overview · {name_of(other_organisation)}")
        await console.page.reload()
        await expect(console.page).to_have_title(f"Members · {name_of(other_organisation)}")

    async def test_leaves_nothing_of_the_one_in_the_other(
        self,
        open_console: OpenConsole,
        in_both: Account,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both, "/broadcast")
        await console.is_live()
        ok(await organisation.owner.broadcast("Said before"), 201)
        await console.toasts("Said before")
        await choose(console, name_of(other_organisation))
        await expect(console.page).to_have_title(f"Broadcast · {name_of(other_organisation)}")
        await console.is_live()
        ok(await organisation.owner.broadcast("Said after"), 201)
        ok(await other_organisation.owner.broadcast("Said here"), 201)
        await console.toasts("Said here")
        await expect(console.row("Said here")).to_be_visible()
        for left in ("Said before", "Said after", organisation.owner.user["name"]):
            await expect(console.page.locator("body")).not_to_contain_text(left)
        # Back again, it is there, as nothing is lost.
        await choose(console, name_of(organisation))
        await expect(console.row("Said after")).to_be_visible()
        await expect(console.page.locator("body")).not_to_contain_text("Said here")

    async def test_is_done_by_keyboard(
        self,
        open_console: OpenConsole,
        in_both: Account,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both)
        keyboard, menu = console.page.keyboard, console.page.get_by_role("menu")
        here = menu.get_by_role("menuitemradio", name=name_of(organisation))
        other = menu.get_by_role("menuitemradio", name=name_of(other_organisation))
        new = menu.get_by_role("menuitem", name="New organisation")
        await switch(console).focus()
        await keyboard.press("Enter")
        await expect(here).to_be_focused()
        await expect(here).to_have_attribute("aria-checked", "true")
        await expect(switch(console)).to_have_attribute("aria-expanded", "true")
        await console.is_accessible()
        await keyboard.press("ArrowUp")
        await expect(new).to_be_focused()
        await keyboard.press("Home")
        await expect(here).to_be_focused()
        await keyboard.press("n")
        await expect(new).to_be_focused()
        await keyboard.press("Escape")
        await expect(menu).to_have_count(0)
        await expect(switch(console)).to_be_focused()
        await keyboard.press("ArrowDown")
        await keyboard.press("ArrowDown")
        await expect(other).to_be_focused()
        await keyboard.press("Enter")
        await expect(console.page).to_have_title(f"Overview · {name_of(other_organisation)}")
        await expect(console.page.get_by_role("heading", level=1)).to_be_focused()

    async def test_is_done_on_a_telephone(
        self, open_console: OpenConsole, in_both: Account, other_organisation: Organisation
    ) -> None:
        console = await open_console(in_both, phone=True)
        await console.press("Menu")
        await switch(console).click()
        await expect(console.page.get_by_role("menuitemradio")).to_have_count(2)
        await console.is_accessible()
        await console.fits()
        await console.page.get_by_role("menuitemradio", name=name_of(other_organisation)).click()
        await expect(console.page).to_have_title(f"Overview · {name_of(other_organisation)}")
        await expect(console.button("Menu")).to_have_attribute("aria-expanded", "false")

    async def test_to_where_one_is_no_member_any_more_says_so_and_stays(
        self,
        open_console: OpenConsole,
        in_both: Account,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(in_both)
        await switch(console).click()
        other = console.page.get_by_role("menuitemradio", name=name_of(other_organisation))
        await expect(other).to_be_visible()
        ok(await other_organisation.owner.remove(in_both.id))
        await other.click()
        await console.toasts("You are in no such organisation.")
        await console.toasts(f"You are still in {name_of(organisation)}")
        await expect(console.page).to_have_title(f"Overview · {name_of(organisation)}")
        await switch(console).click()
        await expect(console.page.get_by_role("menuitemradio")).to_have_count(1)

    async def test_to_where_a_second_factor_is_required_says_what_to_do(
        self, open_console: OpenConsole, in_both: Account, other_organisation: Organisation
    ) -> None:
        owner = other_organisation.owner
        await with_app(owner)
        ok(await owner.patch("/api/organisations", requireSecondFactor=True))
        console = await open_console(in_both)
        await switch(console).click()
        other = console.page.get_by_role("menuitemradio", name=name_of(other_organisation))
        await expect(other).to_contain_text("asks for a second factor")
        await other.click()
        await expect(console.page.locator("plan-card")).to_contain_text("A second factor is needed")
        await expect(console.page).to_have_title(f"Overview · {name_of(other_organisation)}")

    async def test_shows_where_one_has_been_invited_to_meanwhile(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        ada, grace = await api.register("Ada Lovelace"), await api.register("Grace Hopper")
        console = await open_console(ada)
        await switch(console).click()
        await expect(console.page.get_by_role("menuitemradio")).to_have_count(1)
        await console.page.keyboard.press("Escape")
        invite = ok(await grace.invite(ada.user["email"]), 201)
        ok(await ada.post("/api/users/accept-invite", token=invite["token"]), 201)
        await switch(console).click()
        await expect(console.page.get_by_role("menuitemradio")).to_have_count(2)


@needs("chromium")
class TestFounding:
    async def test_opens_the_new_organisation(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        console = await open_console(ada)
        await switch(console).click()
        await console.page.get_by_role("menuitem", name="New organisation").click()
        await console.press("Found it")
        await console.complains_at("Name", "Enter a name of 2 characters or more.")
        await console.is_accessible()
        await console.fill("Name", "Difference Bakery")
        await console.press("Found it")
        await expect(console.page).to_have_title("Overview · Difference Bakery")
        await console.is_live()
        names = [
            each["organisation"]["name"]
            for each in ok(await ada.get("/api/auth/me"))["memberships"]
        ]
        assert names == [ada.organisation["name"], "Difference Bakery"]

    async def test_that_fails_says_why(self, open_console: OpenConsole, api: Api) -> None:
        console = await open_console(await api.register(), phone=True)
        await console.press("Menu")
        await switch(console).click()
        await console.page.get_by_role("menuitem", name="New organisation").click()
        await console.breaks("organisations", "The service cannot reach its database")
        await console.fill("Name", "Difference Bakery")
        await console.press("Found it")
        await console.warns("The service cannot reach its database.")
        await console.fits()
