"""The console's overview, and what comes over the stream."""

import asyncio

from playwright.async_api import Route, expect

from tenantry.testing import Api, Organisation, eventually, ok, unique_email
from tests.conftest import needs
from tests.console.conftest import OpenConsole
from tests.console.consoles import join, name_of
from tests.test_authority import enterprise, with_role


@needs("chromium")
class TestOverview:
    async def test_shows_the_plan_its_seats_and_the_latest(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        await owner.add("Grace Hopper")
        console = await open_console(owner)
        seats = console.page.get_by_role("meter", name="Seats in use")
        await expect(seats).to_have_attribute("aria-valuetext", "2 of 3")
        await console.is_accessible()
        email = unique_email("hedy")
        ok(await owner.invite(email), 201)
        await expect(seats).to_have_attribute("aria-valuetext", "3 of 3")
        await expect(console.card("Plan")).to_contain_text("2 members and 1 open invite")
        latest = console.card("Latest activity").get_by_role("listitem").first
        await expect(latest).to_contain_text(f"{email} was invited as MEMBER")

    async def test_shows_who_is_online(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.owner, phone=True)
        online = console.card("Online now")
        await expect(online.get_by_role("listitem")).to_have_count(1)
        theirs = await open_console(organisation.member)
        await theirs.is_live()
        ok(await organisation.admin.broadcast("Hello"), 201)
        await expect(online).to_contain_text(organisation.member.user["name"])
        await console.is_accessible()
        await console.fits()

    async def test_shows_those_online_with_their_roles(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await enterprise(api)
        reader = await with_role(owner, "Reader", "members:read")
        console = await open_console(owner)
        await console.is_live()
        online = console.card("Online now")
        async with reader.socket():
            await eventually(owner.present, {owner.user["name"]: 1, reader.user["name"]: 1})
            ok(await owner.broadcast("Hello"), 201)
            reading = online.get_by_role("listitem").filter(has_text=reader.user["name"])
            await expect(reading.locator(".fine")).to_have_text("Reader")
            mine = online.get_by_role("listitem").filter(has_text="You")
            await expect(mine.locator(".fine")).to_have_text("Owner")

    async def test_says_what_could_not_be_loaded_and_shows_the_rest(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.member, "/nowhere")
        await console.shows("Not found")
        await console.page.route("**/api/realtime/presence", lambda route: route.abort())
        await console.go("Overview")
        await expect(console.card("Latest activity").get_by_role("listitem").first).to_be_visible()
        alert = console.page.locator("presence-card").get_by_role("alert")
        await expect(alert).to_contain_text("The server cannot be reached.")

    async def test_opens_a_view_once_the_server_is_back(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin)
        await console.is_live()
        for path in ("console/files/views/members.js", "health"):
            await console.page.route(f"**/{path}", lambda route: route.abort())
        await console.go("Members")
        alert = console.page.get_by_role("main").get_by_role("alert")
        await expect(alert).to_contain_text("The server cannot be reached.")
        await console.page.unroute_all()
        await console.shows("Members")


@needs("chromium")
class TestStream:
    async def test_broadcasts_are_told_to_everybody_of_the_organisation_and_nobody_else(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(organisation.member)
        other = await open_console(other_organisation.owner)
        await console.is_live()
        await other.is_live()
        ok(await organisation.admin.broadcast("Only for us"), 201)
        await console.toasts("Only for us")
        await console.toasts(f"{organisation.admin.user['name']} to everybody")
        # Whatever came to the other one came before this.
        ok(await other_organisation.admin.broadcast("Only for them"), 201)
        await other.toasts("Only for them")
        await expect(other.page.locator("body")).not_to_contain_text("Only for us")

    async def test_makes_good_what_was_missed_while_offline(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.member)
        console.forgive("WebSocket connection")
        await console.is_live()
        await console.page.context.set_offline(True)
        shell = console.page.locator("console-shell")
        await expect(shell).to_have_attribute("data-connection", "offline")
        await expect(shell.get_by_role("status")).to_contain_text("Not connected")
        ok(await organisation.admin.broadcast("Said meanwhile"), 201)
        await console.page.context.set_offline(False)
        await console.is_live()
        latest = console.card("Latest activity").get_by_role("listitem").first
        await expect(latest).to_contain_text("Said meanwhile")
        await console.toasts("Said meanwhile")

    async def test_goes_on_after_sleep(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.member)
        await console.page.clock.install()
        await console.page.reload()
        await console.is_live()
        await console.page.clock.pause_at("2030-01-01")
        ok(await organisation.admin.broadcast("While it slept"), 201)
        await console.page.clock.resume()
        await console.is_live()
        latest = console.card("Latest activity").get_by_role("listitem").first
        await expect(latest).to_contain_text("While it slept")

    async def test_is_not_needed_to_notice_that_one_has_been_removed(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        member = organisation.member
        await join(member, other_organisation)
        console = await open_console(member, "/account")
        await console.is_live()
        await console.page.route_web_socket("**/ws?*", lambda socket: socket.close())
        await console.page.reload()
        await expect(console.button("Change the password")).to_be_visible()
        ok(await organisation.owner.remove(member.id))
        await console.go("Overview")
        await expect(console.page).to_have_title(f"Overview · {name_of(other_organisation)}")

    async def test_goes_on_in_another_organisation_of_whoever_is_removed(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        member = organisation.member
        await join(member, other_organisation)
        console = await open_console(member)
        await console.is_live()
        left = name_of(organisation)
        await expect(console.page).to_have_title(f"Overview · {left}")
        ok(await organisation.owner.remove(member.id))
        await expect(console.page).to_have_title(f"Overview · {name_of(other_organisation)}")
        await console.toasts(f"You are not a member of {left} any more.")
        await console.is_live()

    async def test_goes_on_there_also_while_the_old_token_is_still_being_refused(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        member = organisation.member
        await join(member, other_organisation)
        console = await open_console(member)
        await console.is_live()
        removed, leaving = asyncio.Event(), asyncio.Event()
        order = []

        async def ask_when_removed(route: Route) -> None:
            await removed.wait()
            await route.continue_()

        async def refuse_while_leaving(route: Route) -> None:
            answer = await route.fetch()
            await leaving.wait()
            order.append(f"refresh {answer.status}")
            await route.fulfill(response=answer)

        async def switch(route: Route) -> None:
            order.append("switch")
            await route.continue_()

        await console.page.route("**/api/users", ask_when_removed)
        await console.page.route("**/api/auth/refresh", refuse_while_leaving)
        await console.page.route("**/api/auth/switch", switch)
        async with console.page.expect_request("**/api/users"):
            await console.page.evaluate(
                """async () => {
                  const { api } = await import("/console/files/api.js");
                  api.get("users").catch(() => {});
                }"""
            )
        async with (
            console.page.expect_request("**/api/auth/refresh"),
            console.page.expect_response("**/api/auth/me"),
        ):
            ok(await organisation.owner.remove(member.id))
            removed.set()
        leaving.set()
        left = name_of(organisation)
        await console.toasts(f"You are not a member of {left} any more.")
        await console.is_live()
        assert order == ["refresh 401", "switch"]
