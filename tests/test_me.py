"""One's own account: its organisations, its sessions."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from asyncpg import Connection, Record
from uuid_utils.compat import uuid7

from tenantry.testing import PASSWORD, Account, Api, eventually, ok, refused


async def founded(account: Account, name: str = "Difference Engines") -> str:
    """Another organisation of the same person; its id."""
    return str(ok(await account.post("/api/organisations", name=name), 201)["id"])


async def switched(account: Account, organisation: str) -> Account:
    """The same session, in another organisation."""
    answer = await account.post("/api/auth/switch", organisationId=organisation)
    return Account(account.api, ok(answer, 200, "Organisation switched"))


class TestMe:
    async def test_says_who_one_is_and_where_one_belongs(self, api: Api) -> None:
        account = await api.register()
        other = await api.register()
        invite = ok(await other.invite(account.user["email"]), 201)
        ok(await account.post("/api/users/accept-invite", token=invite["token"]), 201)
        me = ok(await account.get("/api/auth/me"), 200, "Account fetched")
        assert (me["id"], me["name"], me["email"]) == (
            account.id,
            "Ada Lovelace",
            account.user["email"],
        )
        assert (me["emailVerified"], me["secondFactor"]) == (False, False)
        assert me["organisationId"] == account.organisation["id"]
        own, joined = me["memberships"]
        assert own["organisation"] == {
            "id": account.organisation["id"],
            "name": "Analytical Engines",
            "slug": account.organisation["slug"],
            "subscriptionPlan": "FREE",
            "requiresSecondFactor": False,
        }
        assert (own["role"], own["owner"], own["customRole"]) == ("ADMIN", True, None)
        assert (joined["role"], joined["owner"]) == ("MEMBER", False)
        assert joined["organisation"]["id"] == other.organisation["id"]

    async def test_does_not_name_organisations_that_one_has_been_removed_from(
        self, api: Api
    ) -> None:
        account, other = await api.register(), await api.register()
        invite = ok(await other.invite(account.user["email"]), 201)
        ok(await account.post("/api/users/accept-invite", token=invite["token"]), 201)
        ok(await other.remove(account.id))
        me = ok(await account.get("/api/auth/me"))
        assert [one["organisation"]["id"] for one in me["memberships"]] == [
            account.organisation["id"]
        ]


class TestFounding:
    async def test_makes_another_organisation_which_one_owns(self, api: Api) -> None:
        account = await api.register()
        answer = await account.post("/api/organisations", name="  Difference Engines ")
        made = ok(answer, 201, "Organisation created")
        assert (made["name"], made["subscriptionPlan"], made["memberCount"]) == (
            "Difference Engines",
            "FREE",
            1,
        )
        there = await switched(account, made["id"])
        assert (there.user["role"], there.user["owner"]) == ("ADMIN", True)
        assert [line["type"] for line in await there.feed()] == ["USER_JOINED"]

    async def test_needs_a_name(self, api: Api) -> None:
        account = await api.register()
        refused(await account.post("/api/organisations", name="x"), 422)
        refused(await api.post("/api/organisations", name="Difference Engines"), 401)


class TestSwitch:
    async def test_gives_tokens_for_the_other_organisation_and_leaves_the_first(
        self, api: Api
    ) -> None:
        account = await api.register()
        there = await switched(account, await founded(account))
        assert ok(await there.get("/api/organisations"))["name"] == "Difference Engines"
        assert ok(await account.get("/api/organisations"))["name"] == "Analytical Engines"
        assert there.user["id"] == account.id

    async def test_refuses_organisations_that_one_is_not_in(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        for foreign in (other.organisation["id"], str(uuid7())):
            answer = await account.post("/api/auth/switch", organisationId=foreign)
            refused(answer, 404, code="NOT_A_MEMBER")
        refused(await account.post("/api/auth/switch", organisationId="nonsense"), 422)

    async def test_keeps_the_tokens_of_each_tab_apart(self, api: Api) -> None:
        """Both go on refreshing, in turns, and neither is taken for a thief."""
        account = await api.register()
        there = await switched(account, await founded(account))
        for _ in range(3):
            for tab in (account, there):
                answer = await api.post("/api/auth/refresh", refreshToken=tab.refresh_token)
                pair = ok(answer)
                tab.token, tab.refresh_token = pair["accessToken"], pair["refreshToken"]
        assert ok(await there.get("/api/organisations"))["name"] == "Difference Engines"
        assert ok(await account.get("/api/organisations"))["name"] == "Analytical Engines"

    async def test_is_the_same_session_which_a_stolen_token_ends_whole(self, api: Api) -> None:
        account = await api.register()
        there = await switched(account, await founded(account))
        assert len(ok(await account.get("/api/auth/sessions"))) == 1
        stolen = there.refresh_token
        for _ in range(2):
            answer = await api.post("/api/auth/refresh", refreshToken=there.refresh_token)
            there.refresh_token = ok(answer)["refreshToken"]
        refused(await api.post("/api/auth/refresh", refreshToken=stolen), 401)
        for tab in (account, there):
            refused(await tab.get("/api/organisations"), 401)

    async def test_is_where_the_next_login_begins(self, api: Api) -> None:
        account = await api.register()
        organisation = await founded(account)
        await switched(account, organisation)
        again = await api.login(account.user["email"])
        assert again.organisation["id"] == organisation

    async def test_refreshes_die_with_the_membership_and_the_others_live(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        invite = ok(await other.invite(account.user["email"]), 201)
        ok(await account.post("/api/users/accept-invite", token=invite["token"]), 201)
        there = await switched(account, other.organisation["id"])
        ok(await other.remove(account.id))
        refused(await there.get("/api/organisations"), 401)
        refused(await api.post("/api/auth/refresh", refreshToken=there.refresh_token), 401)
        ok(await api.post("/api/auth/refresh", refreshToken=account.refresh_token))
        assert len(ok(await there.get("/api/auth/me"))["memberships"]) == 1


class TestSessions:
    async def test_lists_where_one_is_signed_in(self, api: Api) -> None:
        account = await api.register()
        phone = {"user-agent": "Phone " + "x" * 500}
        body = {"email": account.user["email"], "password": PASSWORD}
        signed_in = await api.http.post("/api/auth/login", json=body, headers=phone)
        ok(signed_in)
        newest, oldest = ok(await account.get("/api/auth/sessions"), 200, "Sessions fetched")
        assert newest["device"].startswith("Phone xxx")
        assert len(newest["device"]) == 200
        assert (newest["current"], oldest["current"]) == (False, True)
        assert oldest["address"] == "127.0.0.1"
        assert oldest["createdAt"] <= newest["usedAt"]

    async def test_says_when_one_was_last_used(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        account = await fresh.register()
        await owner.execute("UPDATE sessions SET used_at = used_at - interval '1 hour'")
        [before] = ok(await account.get("/api/auth/sessions"))
        ok(await fresh.post("/api/auth/refresh", refreshToken=account.refresh_token))
        [after] = ok(await account.get("/api/auth/sessions"))
        assert after["usedAt"] > before["usedAt"]
        assert after["createdAt"] == before["createdAt"]

    async def test_end_one_by_one_with_their_sockets(self, api: Api) -> None:
        account = await api.register()
        lost = await api.login(account.user["email"])
        async with lost.socket() as socket:
            [session] = [
                one["id"]
                for one in ok(await account.get("/api/auth/sessions"))
                if not one["current"]
            ]
            answer = await account.call("DELETE", f"/api/auth/sessions/{session}")
            assert ok(answer, 200, "Session ended") == {"ended": 1}
            assert (await socket.closed())[0] == 4001
        refused(await lost.get("/api/organisations"), 401)
        refused(await api.post("/api/auth/refresh", refreshToken=lost.refresh_token), 401)
        ok(await account.get("/api/organisations"))
        refused(await account.call("DELETE", f"/api/auth/sessions/{session}"), 404)

    async def test_of_somebody_else_cannot_be_ended(self, api: Api) -> None:
        account, mallory = await api.register(), await api.register("Mallory")
        [session] = ok(await account.get("/api/auth/sessions"))
        for unknown in (session["id"], str(uuid7()), "nonsense"):
            answer = await mallory.call("DELETE", f"/api/auth/sessions/{unknown}")
            refused(answer, 404, code="SESSION_UNKNOWN")
        ok(await account.get("/api/organisations"))

    async def test_end_all_at_once(self, api: Api) -> None:
        account = await api.register()
        others = [await api.login(account.user["email"]) for _ in range(2)]
        async with others[0].socket() as socket:
            answer = await account.post("/api/auth/logout-all")
            assert ok(answer, 200, "Logged out everywhere") == {"ended": 3}
            assert (await socket.closed())[0] == 4001
        for one in (account, *others):
            refused(await one.get("/api/auth/me"), 401)
        await api.login(account.user["email"])

    async def test_hold_for_ninety_days_at_the_most_however_much_they_are_used(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        account = await fresh.register()
        await owner.execute("UPDATE sessions SET created_at = now() - interval '89 days'")
        ok(await fresh.post("/api/auth/refresh", refreshToken=account.refresh_token))
        left = await owner.fetchval("SELECT expires_at - now() FROM sessions")
        assert left < timedelta(days=1)

    async def test_are_a_hundred_at_the_most_and_the_longest_unused_ends(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        account = await fresh.register()
        await owner.execute("UPDATE sessions SET used_at = now() - interval '1 day'")
        await owner.execute(
            """INSERT INTO sessions (id, user_id, expires_at)
               SELECT gen_random_uuid(), $1, now() + interval '1 day'
                 FROM generate_series(1, 99)""",
            UUID(account.id),
        )
        ok(await account.get("/api/organisations"))
        newest = await fresh.login(account.user["email"])
        refused(await account.get("/api/organisations"), 401)
        assert len(ok(await newest.get("/api/auth/sessions"))) == 100


class TestAcceptingWhileSignedIn:
    async def test_joins_with_the_account_that_one_has(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        invite = ok(await other.invite(account.user["email"].upper(), "ADMIN"), 201)
        refused(await api.accept(invite["token"]), 409, code="ACCOUNT_EXISTS")
        answer = await account.post("/api/users/accept-invite", token=invite["token"])
        member = ok(answer, 201, "Invite accepted successfully")
        assert (member["id"], member["name"], member["role"], member["organisationId"]) == (
            account.id,
            "Ada Lovelace",
            "ADMIN",
            other.organisation["id"],
        )
        there = await switched(account, other.organisation["id"])
        ok(await there.get("/api/users"))
        assert {line["type"] for line in await there.feed(limit=2)} == {
            "USER_JOINED",
            "INVITE_ACCEPTED",
        }

    async def test_works_once_however_many_ask_at_once(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        token = ok(await other.invite(account.user["email"]), 201)["token"]
        answers = await asyncio.gather(
            *[account.post("/api/users/accept-invite", token=token) for _ in range(10)]
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [404] * 9
        assert ok(await other.get("/api/organisations"))["memberCount"] == 2

    async def test_is_for_the_address_that_was_invited(self, api: Api) -> None:
        account, mallory, other = [await api.register() for _ in range(3)]
        token = ok(await other.invite(account.user["email"]), 201)["token"]
        answer = await mallory.post("/api/users/accept-invite", token=token)
        refused(answer, 403, code="INVITE_FOR_SOMEBODY_ELSE")
        ok(await account.post("/api/users/accept-invite", token=token), 201)

    async def test_brings_a_former_member_back(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        for _ in range(2):
            token = ok(await other.invite(account.user["email"]), 201)["token"]
            ok(await account.post("/api/users/accept-invite", token=token), 201)
            there = await switched(account, other.organisation["id"])
            ok(await there.get("/api/organisations"))
            ok(await other.remove(account.id))
        assert ok(await other.get("/api/organisations"))["memberCount"] == 1

    async def test_needs_a_free_seat(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        await other.change_plan("PRO")
        token = ok(await other.invite(account.user["email"]), 201)["token"]
        for _ in range(2):
            await other.add()
        ok(await other.change_plan("FREE"))
        answer = await account.post("/api/users/accept-invite", token=token)
        refused(answer, 403, code="SEAT_LIMIT_REACHED")

    async def test_asks_for_name_and_password_where_nobody_is_signed_in(self, api: Api) -> None:
        body = refused(await api.post("/api/users/accept-invite", token="x"), 422)
        assert [item["field"] for item in body["fields"]] == ["name", "password"]
        token = ok(await (await api.register()).invite(), 201)["token"]
        answer = await api.http.post(
            "/api/users/accept-invite",
            json={"token": token},
            headers={"authorization": "Bearer nonsense"},
        )
        refused(answer, 401, code="TOKEN_INVALID")

    @pytest.mark.parametrize("sent", ["Bearer stale", "Bearer", "Bearer null", "Basic YTpi"])
    async def test_with_name_and_password_asks_nobody_who_they_are(
        self, api: Api, sent: str
    ) -> None:
        """Clients that send what they have with every request are those of the original too."""
        owner = await api.register()
        token = ok(await owner.invite(), 201)["token"]
        new = {"token": token, "name": "Grace Hopper", "password": PASSWORD}
        answer = await api.http.post(
            "/api/users/accept-invite", json=new, headers={"authorization": sent}
        )
        ok(answer, 201)

    async def test_with_name_and_password_is_for_a_new_account(self, api: Api) -> None:
        owner, known = await api.register(), await api.register()
        token = ok(await owner.invite(), 201)["token"]
        new = {"name": "Grace Hopper", "password": PASSWORD}
        joined = ok(await owner.post("/api/users/accept-invite", token=token, **new), 201)
        assert joined["id"] != owner.id
        token = ok(await owner.invite(known.user["email"]), 201)["token"]
        answer = await known.post("/api/users/accept-invite", token=token, **new)
        refused(answer, 409, code="ACCOUNT_EXISTS")


class TestRequiredSecondFactor:
    """An organisation that asks for one is closed to sessions without."""

    @pytest.fixture
    async def account(self, fresh: Api, owner: "Connection[Record]") -> Account:
        account = await fresh.register()
        await founded(account)
        await owner.execute(
            "UPDATE organisations SET requires_second_factor = true WHERE id = $1",
            UUID(account.organisation["id"]),
        )
        return account

    async def test_keeps_a_weak_session_out_of_it_and_nothing_else(self, account: Account) -> None:
        refused(await account.get("/api/organisations"), 403, code="SECOND_FACTOR_REQUIRED")
        me = ok(await account.get("/api/auth/me"))
        assert [one["organisation"]["requiresSecondFactor"] for one in me["memberships"]] == [
            True,
            False,
        ]
        there = await switched(account, me["memberships"][1]["organisation"]["id"])
        ok(await there.get("/api/organisations"))

    async def test_lets_a_strong_one_in(
        self, account: Account, owner: "Connection[Record]"
    ) -> None:
        await owner.execute("UPDATE sessions SET second_factor = true")
        ok(await account.get("/api/organisations"))

        async def status() -> int:
            return (await account.get("/api/organisations")).status_code

        await owner.execute("UPDATE sessions SET second_factor = false")
        await eventually(status, 403)
