"""The console's plans: comparing and changing them."""

from playwright.async_api import expect

from tenantry.testing import Api, Organisation, ok
from tests.conftest import needs
from tests.console.conftest import OpenConsole


@needs("chromium")
class TestPlan:
    async def test_is_changed_and_everybody_sees_it(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        member = await owner.add()
        console = await open_console(owner, "/plan")
        theirs = await open_console(member, "/plan", phone=True)
        await theirs.is_live()
        await expect(theirs.row("Free")).to_contain_text("Your plan")
        await expect(theirs.page.get_by_role("main").get_by_role("button")).to_have_count(0)
        await console.is_accessible()
        await console.press("Upgrade to Pro")
        await console.press("Upgrade", console.dialog)
        await console.toasts("is on the Pro plan.")
        await expect(console.row("10 seats")).to_contain_text("Your plan")
        await expect(theirs.row("10 seats")).to_contain_text("Your plan")
        await expect(console.page.locator("organisation-switcher")).to_contain_text("Pro plan")
        await theirs.is_accessible()
        await theirs.fits()

    async def test_says_what_a_smaller_one_would_need(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.owner, "/plan")
        free = console.row("3 seats")
        await expect(free).to_contain_text("1 member must leave or be removed.")
        await expect(free).to_contain_text("1 custom role must be deleted.")
        ok(await organisation.owner.remove(organisation.member.id))
        await expect(free).not_to_contain_text("must leave")

    async def test_that_is_refused_says_why(self, open_console: OpenConsole, api: Api) -> None:
        owner = await api.register()
        console = await open_console(owner, "/plan")
        await console.press("Upgrade to Pro")
        ok(await owner.change_plan("PRO"))  # as another admin does in the same moment
        await console.press("Upgrade", console.dialog)
        await console.warns("Organisation is already on the PRO plan.")
