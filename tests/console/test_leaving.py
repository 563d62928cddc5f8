"""The console's settings: handing the organisation over, leaving it, and deleting it."""

import re

from playwright.async_api import expect

from tenantry.testing import PASSWORD, Api, Organisation, ok
from tests.conftest import needs
from tests.console.conftest import OpenConsole


@needs("chromium")
class TestHandingOver:
    async def test_makes_another_the_owner_which_both_see_at_once(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        owner, heir = organisation.owner, organisation.admin
        name = owner.organisation["name"]
        console = await open_console(owner, "/settings")
        theirs = await open_console(heir, "/settings")
        await theirs.is_live()
        await expect(theirs.button(f"Delete {name}")).to_have_count(0)
        await console.press(f"Hand {name} over")
        await console.press("Hand it over")
        await console.complains_at("New owner", "Choose who is to have it.")
        await console.field("New owner").select_option(heir.id)
        await console.fill("Your password", "wrong")
        await console.press("Hand it over")
        await console.complains_at("Your password", "The password is wrong.")
        await console.is_accessible()
        await console.fill("Your password", PASSWORD)
        await console.press("Hand it over")
        await expect(theirs.button(f"Delete {name}")).to_be_visible()
        await expect(console.button(f"Delete {name}")).to_have_count(0)
        await expect(console.card("Leaving")).to_be_visible()

    async def test_needs_somebody_else(self, open_console: OpenConsole, api: Api) -> None:
        ada = await api.register()
        console = await open_console(ada, "/settings")
        await console.press(f"Hand {ada.organisation['name']} over")
        await expect(console.dialog).to_contain_text("You are the only member")


@needs("chromium")
class TestLeaving:
    async def test_signs_out_who_is_nowhere_else(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        member, name = organisation.member, organisation.owner.organisation["name"]
        console = await open_console(member, "/settings", phone=True)
        await console.is_live()
        await console.press(f"Leave {name}")
        await expect(console.dialog).to_contain_text("your account is closed as well")
        await console.is_accessible()
        await console.press("Leave", console.dialog)
        await console.shows("Sign in")
        notice = console.page.get_by_text(f"You have left {name}, and your account is closed.")
        await expect(notice).to_be_visible()

    async def test_goes_on_in_another_organisation(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        member, name = organisation.member, organisation.owner.organisation["name"]
        invite = ok(await other_organisation.owner.invite(member.user["email"]), 201)
        ok(await member.post("/api/users/accept-invite", token=invite["token"]), 201)
        console = await open_console(member, "/settings")
        await console.is_live()
        await console.press(f"Leave {name}")
        await console.press("Leave", console.dialog)
        other = other_organisation.owner.organisation["name"]
        await expect(console.page).to_have_title(f"Settings · {other}")
        await console.toasts(f"You have left {name}.")
        await console.is_live()

    async def test_is_not_for_the_last_owner(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        name = organisation.owner.organisation["name"]
        console = await open_console(organisation.owner, "/settings")
        await console.press(f"Leave {name}")
        await console.press("Leave", console.dialog)
        await console.warns(re.compile("You are the organisation's last owner"))
        await console.is_live()


@needs("chromium")
class TestDeleting:
    async def test_asks_for_the_name_and_the_password(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        name = organisation.owner.organisation["name"]
        console = await open_console(organisation.owner, "/settings", phone=True)
        await console.press(f"Delete {name}")
        await console.fill("Name of the organisation", "Another")
        await console.fill("Your password", "wrong")
        await console.press("Delete the organisation")
        await console.complains_at("Name of the organisation", f"This is not “{name}”.")
        await console.fill("Name of the organisation", name)
        await console.press("Delete the organisation")
        await console.complains_at("Your password", "The password is wrong.")
        await console.is_accessible()
        await console.fits()
        ok(await organisation.member.get("/api/organisations"))

    async def test_closes_it_for_everybody_until_its_link_restores_it(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        owner, name = organisation.owner, organisation.owner.organisation["name"]
        console = await open_console(owner, "/settings")
        theirs = await open_console(organisation.member)
        await console.is_live()
        await theirs.is_live()
        await console.press(f"Delete {name}")
        await console.fill("Name of the organisation", name)
        await console.fill("Your password", PASSWORD)
        await console.press("Delete the organisation")
        await theirs.shows("Sign in")
        await expect(theirs.page.get_by_text(f"{name} has been deleted.")).to_be_visible()
        # This server sends no mail, so the link is there to keep.
        await expect(console.dialog).to_contain_text("can be restored")
        await console.is_accessible()
        link = await console.dialog.locator("code").inner_text()
        await console.page.reload()
        await expect(console.page.get_by_role("heading", name="Sign in")).to_be_visible()
        await console.sign_in(owner.user["email"])
        await console.warns(re.compile("organisation"))

        await console.page.goto(link)
        await console.page.get_by_role("button", name=re.compile("Restore")).click()
        await console.page.get_by_role("link", name="Sign in").click()
        await console.sign_in(owner.user["email"])
        await expect(console.page).to_have_title(f"Overview · {name}")
