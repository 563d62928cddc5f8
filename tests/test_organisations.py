"""The organisation: what it is, its plan, its broadcasts."""

import asyncio
import re

import pytest

from tenantry.testing import Api, ok, refused


async def test_shows_the_organisation_to_every_member(api: Api) -> None:
    admin = await api.register()
    member = await admin.add()
    for account in (admin, member):
        data = ok(await account.get("/api/organisations"), 200, "Organisation fetched")
        assert data == {
            "id": admin.organisation["id"],
            "name": "Analytical Engines",
            "slug": admin.organisation["slug"],
            "subscriptionPlan": "FREE",
            "memberCount": 2,
            "memberLimit": 3,
            "requiresSecondFactor": False,
            "createdAt": data["createdAt"],
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", data["createdAt"])


class TestPlan:
    async def test_moves_up_and_changes_the_limit(self, api: Api) -> None:
        admin = await api.register()
        for plan, limit in (("PRO", 10), ("ENTERPRISE", None)):
            data = ok(await admin.change_plan(plan), 200, "Subscription plan upgraded")
            assert (data["subscriptionPlan"], data["memberLimit"]) == (plan, limit)

    async def test_says_so_where_it_is_the_plan_already(self, api: Api) -> None:
        admin = await api.register()
        await admin.change_plan("PRO")
        answer = await admin.change_plan("PRO")
        refused(answer, 400, "Organisation is already on the PRO plan", "ALREADY_ON_PLAN")

    async def test_calls_a_downgrade_one(self, api: Api) -> None:
        admin = await api.register()
        await admin.change_plan("ENTERPRISE")
        ok(await admin.change_plan("FREE"), 200, "Subscription plan downgraded")
        activity = (await admin.feed(limit=1))[0]
        assert activity["type"] == "PLAN_DOWNGRADED"
        assert activity["metadata"].items() >= {"from": "ENTERPRISE", "to": "FREE"}.items()

    async def test_does_not_move_down_while_members_exceed_the_seats(self, api: Api) -> None:
        admin = await api.register()
        await admin.change_plan("PRO")
        members = [await admin.add() for _ in range(3)]
        refused(await admin.change_plan("FREE"), 409, code="SEATS_EXCEEDED")
        assert ok(await admin.get("/api/organisations"))["subscriptionPlan"] == "PRO"
        ok(await admin.remove(members[0].id))
        ok(await admin.change_plan("FREE"))

    async def test_changes_once_however_many_ask_at_once(self, api: Api) -> None:
        admin = await api.register()
        answers = await asyncio.gather(*[admin.change_plan("PRO") for _ in range(10)])
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
        assert [line["type"] for line in await admin.feed()].count("PLAN_UPGRADED") == 1

    @pytest.mark.parametrize("plan", ["GOLD", "pro", "", 3, None])
    async def test_refuses_what_is_no_plan(self, api: Api, plan: object) -> None:
        admin = await api.register()
        answer = await admin.call("PATCH", "/api/organisations/subscription", json={"plan": plan})
        assert refused(answer, 422)["fields"][0]["field"] == "plan"

    async def test_is_the_admins_to_change(self, api: Api) -> None:
        member = await (await api.register()).add()
        answer = await member.change_plan("PRO")
        refused(answer, 403, "You do not have permission to perform this action")


class TestBroadcast:
    async def test_answers_with_the_activity(self, api: Api) -> None:
        admin = await api.register()
        activity = ok(await admin.broadcast("Lunch at noon?"), 201, "Message broadcasted")
        assert activity == (await admin.feed(limit=1))[0]
        assert activity["type"] == "BROADCAST_MESSAGE"
        assert activity["message"] == "Lunch at noon?"
        assert (
            activity["metadata"].items()
            >= {
                "message": "Lunch at noon?",
                "sentBy": admin.id,
            }.items()
        )
        assert activity["actor"] == {
            "id": admin.id,
            "name": "Ada Lovelace",
            "email": admin.user["email"],
        }

    @pytest.mark.parametrize("message", ["", "nul \x00", "x" * 4001, 7])
    async def test_refuses_an_unfit_message(self, api: Api, message: object) -> None:
        admin = await api.register()
        refused(await admin.post("/api/organisations/broadcast", message=message), 422)

    async def test_is_the_admins_to_send(self, api: Api) -> None:
        member = await (await api.register()).add()
        refused(await member.broadcast("hello"), 403)


class TestAuthority:
    async def test_needs_a_token(self, api: Api) -> None:
        refused(await api.get("/api/organisations"), 401, "No token provided", "TOKEN_MISSING")

    @pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "token"])
    async def test_needs_it_as_a_bearer(self, api: Api, header: str) -> None:
        answer = await api.http.get("/api/organisations", headers={"authorization": header})
        refused(answer, 401, "No token provided")

    async def test_refuses_a_removed_member_at_once(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        ok(await admin.remove(member.id))
        refused(await member.get("/api/organisations"), 401, "Invalid or expired access token")
        login = await api.post(
            "/api/auth/login", email=member.user["email"], password="correct horse battery"
        )
        refused(login, 401)

    async def test_lets_a_removed_person_be_invited_again(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        ok(await admin.remove(member.id))
        invite = ok(await admin.invite(member.user["email"]), 201)
        ok(await api.accept(invite["token"]), 201)
        again = await api.login(member.user["email"])
        assert again.id != member.id

    async def test_lets_a_removed_person_found_an_organisation(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        ok(await admin.remove(member.id))
        await api.register(email=member.user["email"])
