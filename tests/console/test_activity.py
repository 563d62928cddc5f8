"""The console's activity feed: live, filtered, endless, with details."""

import asyncio

from playwright.async_api import expect

from tenantry.testing import Account, Organisation, ok
from tests.conftest import needs
from tests.console.conftest import OpenConsole


async def say(account: Account, *messages: str) -> None:
    for message in messages:
        ok(await account.broadcast(message), 201)


@needs("chromium")
class TestActivity:
    async def test_shows_each_line_as_it_comes_and_its_details(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.member, "/activity", phone=True)
        await console.is_live()
        first = console.page.locator(".feed summary").first
        await say(organisation.admin, "One", "Two")
        await expect(first).to_contain_text("“Two”")
        await first.click()
        facts = console.page.locator(".facts")
        await expect(facts).to_contain_text("BROADCAST_MESSAGE")
        await expect(facts).to_contain_text(organisation.admin.user["email"])
        await say(organisation.admin, "Three")
        await expect(first).to_contain_text("“Three”")
        await expect(facts).to_be_visible()  # what is open stays open
        await console.is_accessible()
        await console.fits()

    async def test_is_filtered_by_kind_and_by_person(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        await say(organisation.admin, "From the admin")
        await say(organisation.owner, "From the owner")
        console = await open_console(organisation.owner, "/activity")
        shown = console.page.locator(".feed summary")
        await console.field("Kind").select_option("Broadcasts")
        await expect(shown).to_have_count(2)
        await console.field("By").select_option(label=organisation.admin.user["name"])
        await expect(shown).to_have_count(1)
        await expect(shown).to_contain_text("From the admin")
        await console.is_accessible()
        # What comes meanwhile is filtered, too.
        await say(organisation.owner, "Once more from the owner")
        await say(organisation.admin, "Once more from the admin")
        await expect(shown).to_have_count(2)
        await expect(shown.first).to_contain_text("Once more from the admin")
        await console.field("Kind").select_option("Plan")
        await expect(console.page.get_by_text("Nothing of this kind")).to_be_visible()

    async def test_goes_back_to_the_first_line_as_one_scrolls(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        await asyncio.gather(*(say(organisation.admin, f"Number {n}") for n in range(70)))
        first = (await organisation.owner.feed(after=0, limit=1))[0]
        console = await open_console(organisation.owner, "/activity")
        shown = console.page.locator(".feed summary")
        await expect(shown.first).to_be_visible()
        while await console.button("Show older").is_visible():
            await console.page.mouse.wheel(0, 5000)
        await expect(shown.last).to_contain_text(first["message"])
        texts = await shown.all_inner_texts()
        assert len(texts) == (await organisation.owner.feed(limit=1))[0]["seq"]

    async def test_says_so_where_older_lines_cannot_be_loaded(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        await asyncio.gather(*(say(organisation.admin, f"Number {n}") for n in range(40)))
        console = await open_console(organisation.member)
        await console.breaks("activities?before=*", "The database is away")
        await console.go("Activity")
        await expect(console.page.locator(".feed summary")).to_have_count(30)
        await console.page.mouse.wheel(0, 5000)
        await console.toasts("The database is away.")
        await console.mends("activities?before=*")
        await console.press("Show older")
        await expect(console.button("Show older")).to_be_hidden()
