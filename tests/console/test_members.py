"""The console's members: inviting, roles, removing; who may, and who may not."""

import re

from playwright.async_api import expect

from tenantry.testing import Api, Organisation, ok, unique_email
from tests.conftest import needs
from tests.console.conftest import OpenConsole


@needs("chromium")
class TestInvites:
    async def test_several_at_once_are_pending_until_revoked(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.owner, "/members")
        first, second = unique_email("hedy"), unique_email("katherine")
        await console.press("Invite people")
        await console.fill("Email addresses", f"{first}, {second}")
        await console.field("Role").select_option("Admin")
        await console.press("Send invites")
        # This server sends no mail, so the links are there to hand over.
        await expect(console.dialog).to_contain_text("/account/accept-invite#token=")
        await console.press("Close", console.dialog)
        pending = console.card("Pending invites")
        await expect(pending.get_by_role("listitem")).to_have_count(2)
        await expect(console.row(first)).to_contain_text("Admin")
        await console.press(f"Revoke the invite of {first}")
        await console.press("Revoke", console.dialog)
        await expect(pending.get_by_role("listitem")).to_have_count(1)
        await expect(pending).not_to_contain_text(first)

    async def test_of_wrong_addresses_and_of_members_say_so_at_the_field(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/members", phone=True)
        await console.press("Invite people")
        await console.press("Send invites")
        await console.complains_at("Email addresses", "such as grace@example.com.")
        await console.fill("Email addresses", "grace@example.com, grace")
        await console.press("Send invites")
        await console.complains_at("Email addresses", "“grace” is not an email address.")
        await console.fill("Email addresses", organisation.member.user["email"])
        await console.press("Send invites")
        await console.complains_at("Email addresses", "User already exists in this organisation.")
        await console.is_accessible()

    async def test_beyond_the_seats_are_refused_with_the_reason(
        self, open_console: OpenConsole, api: Api
    ) -> None:
        owner = await api.register()
        console = await open_console(owner, "/members")
        await console.press("Invite people")
        addresses = [unique_email(name) for name in ("one", "two", "three")]
        await console.fill("Email addresses", "\n".join(addresses))
        await console.press("Send invites")
        await console.complains_at("Email addresses", "Member limit reached for FREE plan.")
        await expect(console.field("Email addresses")).to_have_value(addresses[2])

    async def test_are_not_sent_again_at_once(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        email = unique_email("hedy")
        ok(await organisation.owner.invite(email), 201)
        console = await open_console(organisation.owner, "/members")
        await console.press(f"Send again to {email}")
        await console.toasts(re.compile(f"{email} was not sent anything.*sent a moment ago"))


@needs("chromium")
class TestMembers:
    async def test_get_another_role_which_both_see_at_once(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        member = organisation.member
        console = await open_console(organisation.owner, "/members")
        theirs = await open_console(member, "/members", phone=True)
        await expect(theirs.card("Members")).to_contain_text("This is for admins")
        await theirs.is_accessible()
        await theirs.fits()
        await theirs.is_live()

        await console.press(f"Change role of {member.user['name']}")
        await console.field("Role").select_option("Admin")
        await console.press("Change the role")
        await expect(console.row(member.user["email"])).to_contain_text("Admin")
        await expect(theirs.row(member.user["email"])).to_contain_text("Admin")
        await expect(theirs.card("Pending invites")).to_be_visible()

    async def test_are_removed_and_told_so_at_once(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        member = organisation.member
        console = await open_console(organisation.admin, "/members")
        theirs = await open_console(member)
        await theirs.is_live()
        await console.press(f"Remove {member.user['name']}")
        await console.is_accessible()
        await console.press("Remove", console.dialog)
        await console.toasts(f"{member.user['name']} has been removed.")
        await expect(console.card("Members")).not_to_contain_text(member.user["email"])
        await theirs.shows("Sign in")
        await expect(theirs.page.get_by_role("status").first).to_contain_text("not a member")

    async def test_are_found_by_name_and_address(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        for name in ("Alan Turing", "Hedy Lamarr", "Katherine Johnson", "Joan Clarke"):
            await organisation.owner.add(name)
        console = await open_console(organisation.admin, "/members")
        await expect(console.row("Joan Clarke")).to_be_visible()
        await console.page.get_by_role("searchbox").fill("clar")
        await expect(console.card("Members").get_by_role("listitem")).to_have_count(1)
        await console.is_accessible()

    async def test_offers_only_what_one_may_do(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.admin, "/members")
        owner, member = organisation.owner, organisation.member
        await expect(console.row(owner.user["email"]).get_by_role("button")).to_have_count(0)
        await expect(console.row(member.user["email"]).get_by_role("button")).to_have_count(2)
        await console.press(f"Change role of {member.user['name']}")
        await expect(console.field("Role")).to_be_focused()
        roles = await console.field("Role").get_by_role("option").all_inner_texts()
        assert "Owner" not in roles
        assert "Admin" in roles

    async def test_that_cannot_be_loaded_say_why_and_come_back(
        self, open_console: OpenConsole, organisation: Organisation
    ) -> None:
        console = await open_console(organisation.owner)
        broken = {
            "success": False,
            "message": "The service cannot reach its database",
            "code": "UNAVAILABLE",
        }
        await console.page.route(
            "**/api/users", lambda route: route.fulfill(status=503, json=broken)
        )
        await console.go("Members")
        failed = console.page.get_by_role("alert")
        await expect(failed).to_contain_text("The service cannot reach its database.")
        await console.mends("users")
        await console.press("Try again")
        await expect(console.row(organisation.member.user["email"])).to_be_visible()
        await console.is_accessible()
