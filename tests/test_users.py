"""Members and invites."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asyncpg import Connection, Record
from uuid_utils.compat import uuid7

from tenantry.testing import PASSWORD, Account, Api, ok, refused, unique_email


class TestMembers:
    async def test_lists_them_in_the_order_of_joining(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add("Grace Hopper")
        listed = ok(await admin.get("/api/users"), 200, "Users fetched")
        assert [one["name"] for one in listed] == ["Ada Lovelace", "Grace Hopper"]
        assert listed[1] == {
            "id": member.id,
            "name": "Grace Hopper",
            "email": member.user["email"],
            "role": "MEMBER",
            "owner": False,
            "customRole": None,
            "organisationId": admin.organisation["id"],
            "createdAt": listed[1]["createdAt"],
            "updatedAt": listed[1]["updatedAt"],
        }

    async def test_shows_them_to_admins_only(self, api: Api) -> None:
        member = await (await api.register()).add()
        refused(await member.get("/api/users"), 403, code="FORBIDDEN")

    async def test_reads_the_role_from_the_database_at_each_request(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        admin = await fresh.register()
        ok(await admin.get("/api/users"))
        await owner.execute("UPDATE memberships SET role = 'MEMBER', owner = false")
        refused(await admin.get("/api/users"), 403)


class TestRemove:
    async def test_takes_the_member_out_of_list_and_count(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        answer = await admin.remove(member.id)
        assert ok(answer, 200, "User removed successfully") == {"removed": True}
        assert len(ok(await admin.get("/api/users"))) == 1
        assert ok(await admin.get("/api/organisations"))["memberCount"] == 1

    async def test_keeps_the_former_member_in_the_feed(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add("Grace Hopper")
        ok(await admin.remove(member.id))
        line = (await admin.feed(limit=1))[0]
        assert (line["type"], line["target"]["name"]) == ("USER_REMOVED", "Grace Hopper")
        assert line["metadata"] == {"userId": member.id, "removedBy": admin.id}

    async def test_removes_once_however_many_ask_at_once(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        answers = await asyncio.gather(*[admin.remove(member.id) for _ in range(10)])
        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9
        assert ok(await admin.get("/api/organisations"))["memberCount"] == 1

    async def test_refuses_what_must_not_be(self, api: Api) -> None:
        admin = await api.register()
        other = await admin.add(role="ADMIN")
        yourself = await admin.remove(admin.id)
        refused(yourself, 400, "You cannot remove yourself from the organisation")
        an_admin = await admin.remove(other.id)
        refused(an_admin, 403, "You cannot remove an admin from the organisation")
        for unknown in (str(uuid7()), "nonsense", "%00", "1"):
            refused(await admin.remove(unknown), 404, "User not found in this organisation")

    async def test_does_not_reach_into_another_organisation(self, api: Api) -> None:
        admin, other = await api.register(), await api.register()
        member = await other.add()
        refused(await admin.remove(member.id), 404)
        ok(await member.get("/api/organisations"))


class TestInvite:
    async def test_gives_a_token_that_holds_for_a_day(self, api: Api) -> None:
        admin = await api.register()
        email = unique_email()
        invite = ok(await admin.post("/api/users/invite", email=email), 201)
        assert (invite["email"], invite["role"]) == (email, "MEMBER")
        expires = datetime.fromisoformat(invite["expiresAt"])
        assert abs(expires - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)

    async def test_refuses_a_second_one_for_the_address(self, api: Api) -> None:
        admin = await api.register()
        email = unique_email()
        ok(await admin.invite(email), 201, "Invite sent successfully")
        refused(await admin.invite(email.upper()), 409, "Invite already sent to this email")

    async def test_refuses_a_member(self, api: Api) -> None:
        admin = await api.register()
        answer = await admin.invite(admin.user["email"].upper())
        refused(answer, 409, "User already exists in this organisation")

    async def test_refuses_when_the_seats_are_taken(self, api: Api) -> None:
        admin = await api.register()
        await admin.add()
        ok(await admin.invite(), 201)
        answer = await admin.invite()
        message = "Member limit reached for FREE plan. Please upgrade."
        refused(answer, 403, message, "SEAT_LIMIT_REACHED")
        ok(await admin.change_plan("PRO"))
        ok(await admin.invite(), 201)

    async def test_never_reserves_more_seats_than_there_are(self, api: Api) -> None:
        admin = await api.register()
        answers = await asyncio.gather(*[admin.invite() for _ in range(20)])
        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [403] * 18

    async def test_supersedes_an_expired_one(self, fresh: Api, owner: "Connection[Record]") -> None:
        admin = await fresh.register()
        email = unique_email()
        first = ok(await admin.invite(email), 201)
        await owner.execute("UPDATE invites SET expires_at = now() - interval '1 second'")
        second = ok(await admin.invite(email), 201)
        refused(await fresh.accept(first["token"]), 410, "Invite has expired")
        ok(await fresh.accept(second["token"]), 201)

    async def test_an_expired_one_holds_no_seat(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        admin = await fresh.register()
        for _ in range(2):
            ok(await admin.invite(), 201)
        refused(await admin.invite(), 403)
        await owner.execute("UPDATE invites SET expires_at = now() - interval '1 second'")
        ok(await admin.invite(), 201)

    @pytest.mark.parametrize(
        ("field", "value"), [("email", "x"), ("email", None), ("role", "OWNER"), ("role", "admin")]
    )
    async def test_names_the_field_that_is_wrong(self, api: Api, field: str, value: str) -> None:
        admin = await api.register()
        body = {"email": unique_email(), "role": "MEMBER", field: value}
        answer = refused(await admin.post("/api/users/invite", **body), 422)
        assert [item["field"] for item in answer["fields"]] == [field]

    async def test_is_the_admins_to_send(self, api: Api) -> None:
        member = await (await api.register()).add()
        refused(await member.invite(), 403)


class TestAccept:
    async def test_makes_a_member_with_the_invites_role(self, api: Api) -> None:
        admin = await api.register()
        invite = ok(await admin.invite(role="ADMIN"), 201)
        member = ok(await api.accept(invite["token"]), 201, "Invite accepted successfully")
        assert member == {
            "id": member["id"],
            "name": "Grace Hopper",
            "email": invite["email"],
            "role": "ADMIN",
            "organisationId": admin.organisation["id"],
        }
        account = await api.login(invite["email"])
        ok(await account.get("/api/users"))

    async def test_works_once(self, api: Api) -> None:
        admin = await api.register()
        token = ok(await admin.invite(), 201)["token"]
        answers = await asyncio.gather(*[api.accept(token) for _ in range(10)])
        assert sorted(answer.status_code for answer in answers) == [201] + [404] * 9
        refused(await api.accept(token), 404, "Invalid or already used invite token")

    async def test_refuses_an_unknown_token(self, api: Api) -> None:
        refused(await api.accept("nonsense"), 404, code="INVITE_UNKNOWN")

    async def test_refuses_an_expired_one(self, fresh: Api, owner: "Connection[Record]") -> None:
        admin = await fresh.register()
        token = ok(await admin.invite(), 201)["token"]
        await owner.execute("UPDATE invites SET expires_at = now()")
        refused(await fresh.accept(token), 410, "Invite has expired")

    async def test_refuses_an_address_that_has_an_account(self, api: Api) -> None:
        admin, other = await api.register(), await api.register()
        token = ok(await admin.invite(other.user["email"]), 201)["token"]
        refused(await api.accept(token), 409, "An account with this email already exists")

    async def test_names_the_field_that_is_wrong(self, api: Api) -> None:
        answer = await api.post("/api/users/accept-invite", token="", name="", password="")
        fields = {item["field"] for item in refused(answer, 422)["fields"]}
        assert fields == {"token", "name", "password"}

    async def test_fifty_at_once_never_pass_the_limit(self, fresh: Api) -> None:
        admin = await fresh.register()
        await admin.change_plan("ENTERPRISE")
        tokens = [ok(await admin.invite(), 201)["token"] for _ in range(50)]
        ok(await admin.change_plan("PRO"))
        answers = await asyncio.gather(*[fresh.accept(token) for token in tokens])
        assert sorted(answer.status_code for answer in answers) == [201] * 9 + [403] * 41
        organisation = ok(await admin.get("/api/organisations"))
        members = ok(await admin.get("/api/users"))
        assert organisation["memberCount"] == len(members) == 10

    async def test_one_of_two_invites_for_an_address_makes_the_account(self, api: Api) -> None:
        email = unique_email()
        tokens = []
        for _ in range(5):
            admin = await api.register()
            tokens.append(ok(await admin.invite(email), 201)["token"])
        answers = await asyncio.gather(*[api.accept(token) for token in tokens])
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4
        account: Account = await api.login(email, PASSWORD)
        assert account.user["email"] == email


async def test_a_member_removed_while_a_downgrade_waits_lets_it_pass_or_not_but_never_lies(
    api: Api,
) -> None:
    admin = await api.register()
    await admin.change_plan("PRO")
    members = [await admin.add() for _ in range(3)]
    downgrade, *_ = await asyncio.gather(
        admin.change_plan("FREE"), admin.remove(members[0].id), admin.invite(), admin.invite()
    )
    organisation = ok(await admin.get("/api/organisations"))
    assert organisation["memberCount"] == 3
    assert (downgrade.status_code == 200) == (organisation["subscriptionPlan"] == "FREE")
