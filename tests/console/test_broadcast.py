"""The console's broadcasts: who writes, who reads, and who never does."""

from playwright.async_api import expect

from tenantry.testing import Api, Organisation, ok
from tests.conftest import needs
from tests.console.conftest import OpenConsole


@needs("chromium")
class TestBroadcast:
    async def test_arrives_at_everybody_who_has_it_open(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/broadcast")
        theirs = await open_console(organisation.member, "/broadcast", phone=True)
        await console.is_live()
        await theirs.is_live()
        await console.fill("Message", "Lunch at noon?\nIn the garden.")
        await console.press("Send to everybody")
        for each in (console, theirs):
            first = each.card("Broadcasts").get_by_role("listitem").first
            await expect(first).to_contain_text("Lunch at noon? In the garden.")
            await expect(first).to_contain_text(organisation.admin.user["name"])
        await expect(console.row("Lunch at noon?")).to_contain_text("You")
        await expect(console.field("Message")).to_have_value("")
        await expect(console.field("Message")).to_be_focused()
        await console.is_accessible()

        ok(await organisation.owner.broadcast("Rather at one."), 201)
        for each in (console, theirs):
            first = each.card("Broadcasts").get_by_role("listitem").first
            await expect(first).to_contain_text("Rather at one.")

    async def test_says_whom_it_reaches(self, open_console: OpenConsole, api: Api) -> None:
        owner = await api.register()
        console = await open_console(owner, "/broadcast")
        compose = console.card("Write to everybody")
        await expect(compose).to_contain_text("nobody else receives it")
        member = await owner.add()
        await expect(compose).to_contain_text(
            "all 2 members. Nobody else is online just now; they see it when they come back."
        )
        theirs = await open_console(member)
        await theirs.is_live()
        await console.page.reload()
        await expect(compose).to_contain_text("Everybody is online, and sees it at once.")

    async def test_is_for_admins_which_a_member_is_told(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.member, "/broadcast", phone=True)
        await expect(console.page.get_by_role("main")).to_contain_text("This is for admins")
        await expect(console.page.get_by_role("textbox")).to_have_count(0)
        ok(await organisation.admin.broadcast("For you as well"), 201)
        await expect(console.row("For you as well")).to_be_visible()
        await console.is_accessible()
        await console.fits()

    async def test_can_be_sent_by_whoever_is_given_that(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.custom, "/broadcast")
        await console.fill("Message", "From an announcer")
        await console.press("Send to everybody")
        await expect(console.row("From an announcer")).to_be_visible()

    async def test_of_nothing_or_too_much_is_refused_at_the_field(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/broadcast", phone=True)
        compose = console.card("Write to everybody")
        await console.press("Send to everybody")
        await console.complains_at("Message", "Write a message first.")
        await console.fill("Message", "🎉" * 4002)
        await expect(compose).to_contain_text("2 over 4,000 characters")
        await console.press("Send to everybody")
        await console.complains_at("Message", "This is 2 characters too long.")
        await console.is_accessible()
        await console.fits()
        await console.fill("Message", "🎉" * 4000)
        await expect(compose).to_contain_text("4,000 of 4,000 characters")
        await console.press("Send to everybody")
        await expect(console.row("🎉🎉")).to_be_visible()

    async def test_that_is_not_sent_stays_to_be_sent_again(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/broadcast")
        await console.breaks("organisations/broadcast", "The service cannot reach its database")
        await console.fill("Message", "Do not lose this")
        await console.press("Send to everybody")
        await console.warns("The service cannot reach its database.")
        await expect(console.field("Message")).to_have_value("Do not lose this")
        await console.mends("organisations/broadcast")
        await console.press("Send to everybody")
        await expect(console.row("Do not lose this")).to_be_visible()

    async def test_of_long_ago_is_shown_on_request(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        for number in range(22):
            ok(await organisation.admin.broadcast(f"Number {number}."), 201)
        console = await open_console(organisation.member, "/broadcast")
        lines = console.card("Broadcasts").get_by_role("listitem")
        await expect(lines).to_have_count(20)
        await console.press("Show older")
        await expect(console.row("Number 0.")).to_be_visible()
        await expect(console.button("Show older")).to_have_count(0)

    async def test_never_arrives_in_another_organisation(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        theirs = await open_console(other_organisation.member, "/broadcast")
        await theirs.is_live()
        ok(await organisation.admin.broadcast("Only for us"), 201)
        # Whatever came to them came before this.
        ok(await other_organisation.admin.broadcast("Only for them"), 201)
        await expect(theirs.row("Only for them")).to_be_visible()
        await theirs.toasts("Only for them")
        await expect(theirs.page.locator("body")).not_to_contain_text("Only for us")
