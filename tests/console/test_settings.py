"""The console's settings: names, the second factor, and custom roles."""

import re

from playwright.async_api import expect

from tenantry.testing import Api, Organisation, ok, refused
from tests.authenticators import with_app
from tests.conftest import needs
from tests.console.conftest import OpenConsole


@needs("chromium")
class TestNames:
    async def test_that_change_are_seen_by_everybody_at_once(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/settings")
        theirs = await open_console(organisation.member, "/settings", phone=True)
        await theirs.is_live()
        await console.fill("Name", "Difference Bakery")
        await console.press("Save")
        await console.toasts("The settings are saved.")
        await expect(console.page.locator(".switch")).to_contain_text("Difference Bakery")
        await expect(theirs.card("Organisation")).to_contain_text("Difference Bakery")
        await expect(theirs.page.locator(".here")).to_have_text("Difference Bakery")
        await expect(theirs.page.get_by_role("textbox")).to_have_count(0)
        await theirs.is_accessible()
        await theirs.fits()
        changed = ok(await organisation.member.get("/api/organisations"))
        assert changed["slug"] == organisation.owner.organisation["slug"]

    async def test_that_are_wrong_or_taken_say_so_at_the_field(
        self,
        open_console: OpenConsole,
        organisation: Organisation,
        other_organisation: Organisation,
    ) -> None:
        console = await open_console(organisation.owner, "/settings", phone=True)
        await expect(console.field("Slug")).to_have_value(re.compile("engines"))
        await console.fill("Slug", "Two Words")
        await console.press("Save")
        await console.complains_at("Slug", "lower-case words of letters and digits")
        await console.fill("Slug", other_organisation.owner.organisation["slug"])
        await console.press("Save")
        await console.complains_at("Slug", "Another organisation has this slug already.")
        await console.is_accessible()
        await console.fits()

    async def test_that_somebody_else_changes_do_not_undo_what_is_typed(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/settings")
        await console.is_live()
        await expect(console.field("Name")).not_to_have_value("")
        slug = f"s-{organisation.id}"
        await console.fill("Slug", slug)
        ok(await organisation.owner.patch("/api/organisations", name="From Elsewhere"))
        await expect(console.field("Name")).to_have_value("From Elsewhere")
        await expect(console.field("Slug")).to_have_value(slug)
        await console.press("Save")
        await console.toasts("The settings are saved.")
        changed = ok(await organisation.owner.get("/api/organisations"))
        assert (changed["name"], changed["slug"]) == ("From Elsewhere", slug)

    async def test_that_cannot_be_loaded_say_why_and_come_back(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.owner)
        await console.breaks("organisations", "The service cannot reach its database")
        await console.go("Settings")
        names = console.page.locator("names-card")
        await expect(names.get_by_role("alert")).to_contain_text("cannot reach its database.")
        await console.mends("organisations")
        await console.press("Try again", names)
        await expect(console.field("Name")).to_have_value(re.compile("Engines"))


@needs("chromium")
class TestSecondFactor:
    async def test_is_required_of_everybody_by_an_owner_who_has_given_one(
        self, open_console: OpenConsole, organisation: Organisation, api: Api
    ) -> None:
        owner = organisation.owner
        app, _ = await with_app(await api.login(owner.user["email"]))
        console = await open_console(owner, "/settings")
        admin = await open_console(organisation.admin, "/settings")
        await expect(admin.card("Second factor")).to_contain_text("An owner can change this.")
        await expect(admin.button("Require a second factor")).to_have_count(0)
        await admin.is_live()

        await console.press("Require a second factor")
        await console.is_accessible()
        await console.fill("Code from your authenticator app", app.wrong())
        await console.press("Confirm")
        await console.warns("This code or passkey is wrong, or has been used.")
        await console.fill("Code from your authenticator app", app.code())
        await console.press("Confirm")
        await expect(console.dialog).to_contain_text("shut out")
        await console.is_accessible()
        await console.press("Require it", console.dialog)
        await expect(console.card("Second factor")).to_contain_text("Everybody must have one")
        refused(await organisation.admin.get("/api/organisations"), 403)
        # Who has none is shut out of the open page as well, and told why.
        await admin.go("Members")
        await expect(admin.page.locator("members-card")).to_contain_text(
            "A second factor is needed here"
        )

        await console.press("Require it no more")
        await console.press("Require it no more", console.dialog)
        await console.toasts("A second factor is not required any more.")
        ok(await organisation.admin.get("/api/organisations"))

    async def test_newly_required_hides_what_an_open_page_shows(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        owner = organisation.owner
        await with_app(owner)
        ok(await owner.broadcast("For members only"), 201)
        console = await open_console(organisation.member, "/activity")
        await console.is_live()
        activity = console.page.get_by_role("main")
        await expect(activity).to_contain_text("For members only")
        ok(await owner.patch("/api/organisations", requireSecondFactor=True))
        await expect(activity).to_contain_text("A second factor is needed here")
        await expect(activity).not_to_contain_text("For members only")

    async def test_is_not_required_by_who_would_lock_themselves_out(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        console = await open_console(await api.register(), "/settings", phone=True)
        await console.press("Require a second factor")
        await expect(console.dialog).to_contain_text("you would lock yourself out")
        await console.is_accessible()
        await console.page.get_by_role("link", name="Open your account").click()
        await console.shows("Your account")

    async def test_is_asked_for_of_whoever_has_a_custom_role_too(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        await with_app(organisation.owner)
        ok(await organisation.owner.patch("/api/organisations", requireSecondFactor=True))
        console = await open_console(organisation.custom, "/settings")
        await expect(console.page.locator("names-card")).to_contain_text(
            "A second factor is needed here"
        )

    async def test_says_what_could_not_be_asked(self, open_console: OpenConsole, api: Api) -> None:
        console = await open_console(await api.register(), "/settings")
        await console.breaks("auth/second-factors", "The service cannot reach its database")
        await console.press("Require a second factor")
        await console.toasts(re.compile("Nothing has been changed.*cannot reach its database"))


@needs("chromium")
class TestRoles:
    async def test_are_made_changed_and_deleted_which_others_see_at_once(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.owner, "/settings")
        theirs = await open_console(organisation.member, "/settings", phone=True)
        await theirs.is_live()
        await console.press("New role")
        await console.fill("Name of the role", "Front desk")
        await console.page.get_by_label("Invite people").check()
        await console.page.get_by_label("See the list of members").check()
        await console.is_accessible()
        await console.press("Create the role")
        for each in (console, theirs):
            row = each.row("Front desk")
            await expect(row).to_contain_text("Invite people · See the list of members")
            await expect(row).to_contain_text("Nobody yet")
        await expect(theirs.row("Front desk").get_by_role("button")).to_have_count(0)
        await theirs.is_accessible()
        await theirs.fits()

        await console.press("Change the role Front desk")
        await console.page.get_by_label("Write to everybody").check()
        await console.press("Save", console.dialog)
        await expect(theirs.row("Front desk")).to_contain_text("Write to everybody")
        await expect(console.button("Change the role Front desk")).to_be_focused()
        await console.press("Change the role Front desk")
        await expect(console.page.get_by_label("Invite people")).to_be_checked()
        await console.page.get_by_label("Invite people").uncheck()
        await console.fill("Name of the role", "Reception")
        await console.press("Save", console.dialog)
        await expect(theirs.row("Reception")).to_contain_text("See the list of members")
        await expect(theirs.row("Reception")).not_to_contain_text("Invite people")

        await console.press("Delete the role Reception")
        await console.press("Delete the role", console.dialog)
        await expect(theirs.row("Reception")).to_have_count(0)
        await expect(console.page.get_by_role("heading", name="Custom roles")).to_be_focused()

    async def test_with_a_name_that_is_taken_say_so_at_the_field(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/settings", phone=True)
        await console.press("New role")
        await console.press("Create the role")
        await console.complains_at("Name of the role", "Enter a name of 2 characters or more.")
        await console.fill("Name of the role", "Admin")
        await console.press("Create the role")
        await console.complains_at("Name of the role", "A role has this name already.")
        await console.fits()

    async def test_that_somebody_has_are_not_deleted(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        (role,) = ok(await organisation.owner.get("/api/organisations/roles"))
        console = await open_console(organisation.owner, "/settings")
        await console.press(f"Delete the role {role['name']}")
        await expect(console.dialog).to_contain_text("1 member has it.")
        await console.press("Delete the role", console.dialog)
        await console.warns(re.compile("The role is in use"))

    async def test_give_no_more_than_one_has(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        permissions = ("roles:manage", "members:read")
        manager = await organisation.owner.add("Rosa Parks", permissions=permissions)
        console = await open_console(manager, "/settings")
        await expect(console.row("Write to everybody").get_by_role("button")).to_have_count(0)
        await console.press("New role")
        await expect(console.page.get_by_label("Change the plan")).to_be_disabled()
        await console.page.get_by_label("See the list of members").check()
        await console.is_accessible()
        await console.fill("Name of the role", "Reader")
        await console.press("Create the role")
        await expect(console.row("Reader")).to_contain_text("See the list of members")

    async def test_that_the_plan_does_not_have_name_the_plan_that_does(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        console = await open_console(owner, "/settings", phone=True)
        await console.is_live()
        roles = console.card("Custom roles")
        await expect(roles).to_contain_text("Custom roles are part of the Enterprise plan")
        await expect(console.button("New role")).to_have_count(0)
        await console.is_accessible()
        await console.fits()
        ok(await owner.change_plan("ENTERPRISE"))
        await expect(console.button("New role")).to_be_visible()
