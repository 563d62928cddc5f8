"""Open invites: listed, revoked, sent again, several at once, shown to whom they are for."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
import pytest
from asyncpg import Connection, Record

from tenantry.testing import Account, Api, Serve, ok, refused, unique_email
from tests.test_authority import enterprise, with_role

Db: TypeAlias = "Connection[Record]"

INVITES = "/api/users/invites"
COOLED = "UPDATE invites SET sent_at = sent_at - interval '1 minute'"
EXPIRED = "UPDATE invites SET expires_at = now() - interval '1 second'"


async def revoke(account: Account, invite: str) -> httpx.Response:
    return await account.delete(f"{INVITES}/{invite}")


async def resend(account: Account, invite: str) -> httpx.Response:
    return await account.post(f"{INVITES}/{invite}/resend")


async def listed(account: Account, **params: Any) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = ok(await account.get(INVITES, **params), 200, "Invites fetched")
    return data


class TestListing:
    async def test_shows_what_is_open_newest_first(self, fresh: Api, owner: Db) -> None:
        account = await enterprise(fresh)
        role = await account.define("Billing", "plan:change")
        first = ok(await account.invite(role="ADMIN"), 201)
        await owner.execute(EXPIRED)
        email = unique_email()
        answer = await account.post("/api/users/invite", email=email, customRoleId=role)
        second = ok(answer, 201)
        assert second["customRole"] == {"id": role, "name": "Billing"}
        newest, oldest = await listed(account)
        assert newest == {
            "id": second["id"],
            "email": email,
            "role": "MEMBER",
            "customRole": {"id": role, "name": "Billing"},
            "invitedBy": {"id": account.id, "name": "Ada Lovelace"},
            "createdAt": newest["createdAt"],
            "expiresAt": second["expiresAt"],
            "expired": False,
        }
        assert (oldest["id"], oldest["role"], oldest["expired"]) == (first["id"], "ADMIN", True)

    async def test_leaves_out_what_was_accepted_or_revoked(self, api: Api) -> None:
        owner = await api.register()
        await owner.add()
        invite = ok(await owner.invite(), 201)
        ok(await revoke(owner, invite["id"]))
        assert await listed(owner) == []

    async def test_comes_in_pages(self, api: Api) -> None:
        owner = await enterprise(api)
        emails = [unique_email() for _ in range(7)]
        ok(await owner.post(INVITES, emails=emails))
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await owner.get(INVITES, limit=3, **cursor)
            seen += [one["email"] for one in ok(answer)]
            if (before := answer.json()["nextCursor"]) is None:
                break
            cursor = {"before": before}
        assert seen == emails[::-1]

    async def test_is_for_who_may_invite(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        invite = ok(await owner.invite(), 201)
        for answer in (
            await member.get(INVITES),
            await member.post(INVITES, emails=["x@example.com"]),
            await revoke(member, invite["id"]),
            await resend(member, invite["id"]),
        ):
            refused(answer, 403, code="FORBIDDEN")


class TestRevoking:
    async def test_kills_the_token_and_frees_the_seat(self, api: Api) -> None:
        owner = await api.register()
        await owner.add()
        invite = ok(await owner.invite(), 201)
        refused(await owner.invite(), 403, code="SEAT_LIMIT_REACHED")
        async with owner.socket() as socket:
            assert ok(await revoke(owner, invite["id"]), 200, "Invite revoked") == {"revoked": True}
            event = await socket.next()
        assert event["type"] == "INVITE_REVOKED"
        assert event["payload"] == {
            "inviteId": invite["id"],
            "email": invite["email"],
            "role": "MEMBER",
        }
        refused(await api.accept(invite["token"]), 404, code="INVITE_UNKNOWN")
        ok(await owner.invite(), 201)

    async def test_is_of_open_invites_of_ones_own(self, api: Api) -> None:
        owner, other = await api.register(), await api.register()
        theirs = ok(await other.invite(), 201)
        mine = ok(await owner.invite(), 201)
        ok(await revoke(owner, mine["id"]))
        for unknown in (theirs["id"], mine["id"], str(uuid4()), "nonsense"):
            refused(await revoke(owner, unknown), 404, code="INVITE_NOT_OPEN")
            refused(await resend(owner, unknown), 404, code="INVITE_NOT_OPEN")
        ok(await api.accept(theirs["token"]), 201)

    async def test_against_accepting_has_one_winner(self, api: Api) -> None:
        for _ in range(5):
            owner = await api.register()
            invite = ok(await owner.invite(), 201)
            revoked, accepted = await asyncio.gather(
                revoke(owner, invite["id"]), api.accept(invite["token"])
            )
            assert (revoked.status_code, accepted.status_code) in ((200, 404), (404, 201))
            members = ok(await owner.get("/api/organisations"))["memberCount"]
            assert members == (2 if accepted.status_code == 201 else 1)

    async def test_of_an_admins_invite_needs_what_an_admin_has(self, api: Api) -> None:
        """Else whoever may invite could have an admin's token sent again, and take it."""
        owner = await enterprise(api)
        inviter = await with_role(owner, "Inviter", "members:invite")
        invite = ok(await owner.invite(role="ADMIN"), 201)
        refused(await revoke(inviter, invite["id"]), 403, code="BEYOND_OWN_PERMISSIONS")
        refused(await resend(inviter, invite["id"]), 403, code="BEYOND_OWN_PERMISSIONS")


class TestResending:
    async def test_gives_a_new_token_for_another_day(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        invite = ok(await account.invite(role="ADMIN"), 201)
        await owner.execute(COOLED)
        again = ok(await resend(account, invite["id"]), 200, "Invite sent again")
        assert (again["id"], again["email"], again["role"]) == (
            invite["id"],
            invite["email"],
            "ADMIN",
        )
        expires = datetime.fromisoformat(again["expiresAt"])
        assert abs(expires - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)
        refused(await fresh.accept(invite["token"]), 404, code="INVITE_UNKNOWN")
        ok(await fresh.accept(again["token"]), 201)

    async def test_brings_an_expired_one_back_if_there_is_a_seat(
        self, fresh: Api, owner: Db
    ) -> None:
        account = await fresh.register()
        first = ok(await account.invite(), 201)
        await owner.execute(EXPIRED)
        await owner.execute(COOLED)
        others = [ok(await account.invite(), 201) for _ in range(2)]
        refused(await resend(account, first["id"]), 403, code="SEAT_LIMIT_REACHED")
        ok(await revoke(account, others[0]["id"]))
        again = ok(await resend(account, first["id"]))
        ok(await fresh.accept(again["token"]), 201)

    async def test_waits_a_minute(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        invite = ok(await account.invite(), 201)
        answer = await resend(account, invite["id"])
        refused(answer, 429, code="INVITE_SENT_LATELY")
        assert 0 < int(answer.headers["retry-after"]) <= 60
        await owner.execute(COOLED)
        answers = await asyncio.gather(*[resend(account, invite["id"]) for _ in range(5)])
        assert sorted(answer.status_code for answer in answers) == [200] + [429] * 4

    async def test_floods_no_address(self, fresh: Api, owner: Db) -> None:
        """Neither by sending again nor by inviting and revoking in turns."""
        account = await fresh.register()
        email = unique_email()
        for _ in range(5):
            invite = ok(await account.invite(email), 201)
            await owner.execute(COOLED)
            ok(await resend(account, invite["id"]))
            ok(await revoke(account, invite["id"]))
        refused(await account.invite(email), 429, code="TOO_MANY_INVITES")
        ok(await account.invite(), 201)
        await owner.execute("UPDATE invites SET sent_at = sent_at - interval '1 day'")
        ok(await account.invite(email), 201)

    async def test_against_accepting_leaves_one_token_at_most(self, fresh: Api, owner: Db) -> None:
        for _ in range(5):
            account = await fresh.register()
            invite = ok(await account.invite(), 201)
            await owner.execute(COOLED)
            again, accepted = await asyncio.gather(
                resend(account, invite["id"]), fresh.accept(invite["token"])
            )
            assert (again.status_code, accepted.status_code) in ((200, 404), (404, 201))


class TestSeveral:
    async def test_are_invited_or_told_why_not_each_in_its_place(self, api: Api) -> None:
        owner = await api.register()
        await owner.change_plan("PRO")
        invited = ok(await owner.invite(), 201)["email"]
        new = unique_email()
        answer = await owner.post(
            INVITES, emails=[new, owner.user["email"].upper(), invited, new.upper()], role="ADMIN"
        )
        outcomes = ok(answer, 200, "1 of 4 invites sent")
        assert [one["error"] and one["error"]["code"] for one in outcomes] == [
            None,
            "ALREADY_MEMBER",
            "ALREADY_INVITED",
            "INVITE_REPEATED",
        ]
        assert outcomes[1]["error"]["message"] == "User already exists in this organisation"
        invite = outcomes[0]["invite"]
        assert (invite["email"], invite["role"]) == (new, "ADMIN")
        ok(await api.accept(invite["token"]), 201)

    async def test_fill_the_seats_in_order(self, api: Api) -> None:
        owner = await api.register()
        outcomes = ok(await owner.post(INVITES, emails=[unique_email() for _ in range(4)]))
        assert [one["invite"] is not None for one in outcomes] == [True, True, False, False]
        assert outcomes[2]["error"] == {
            "code": "SEAT_LIMIT_REACHED",
            "message": "Member limit reached for FREE plan. Please upgrade.",
        }

    async def test_never_pass_the_seats_however_many_ask_at_once(self, api: Api) -> None:
        owner = await api.register()
        await owner.change_plan("PRO")
        answers = await asyncio.gather(
            *[owner.post(INVITES, emails=[unique_email() for _ in range(5)]) for _ in range(4)],
            *[owner.invite() for _ in range(4)],
        )
        assert {answer.status_code for answer in answers} <= {200, 201, 403}
        assert len(await listed(owner)) == 9

    async def test_may_be_fifty_of_a_custom_role(self, api: Api) -> None:
        owner = await enterprise(api)
        role = await owner.define("Billing", "plan:change")
        emails = [unique_email() for _ in range(50)]
        outcomes = ok(await owner.post(INVITES, emails=emails, customRoleId=role))
        assert [one["invite"]["customRole"]["name"] for one in outcomes] == ["Billing"] * 50
        assert len(await owner.feed(type="INVITE_SENT", limit=100)) == 50
        answer = await owner.post(INVITES, emails=[*emails, unique_email()])
        assert refused(answer, 422)["fields"][0]["field"] == "emails"

    @pytest.mark.parametrize("emails", [[], ["nonsense"], "x@example.com", None])
    async def test_are_addresses(self, api: Api, emails: object) -> None:
        owner = await api.register()
        assert refused(await owner.post(INVITES, emails=emails), 422)["fields"]

    async def test_are_bounded_in_a_day(self, fresh: Api, owner: Db) -> None:
        account = await enterprise(fresh)
        ok(await account.invite(), 201)
        await owner.execute("UPDATE invites SET sends = 998")
        outcomes = ok(await account.post(INVITES, emails=[unique_email() for _ in range(3)]))
        assert [one["error"] and one["error"]["code"] for one in outcomes] == [
            None,
            None,
            "TOO_MANY_INVITES",
        ]


class TestCustomRole:
    async def test_is_what_whoever_accepts_has(self, api: Api) -> None:
        owner = await enterprise(api)
        role = await owner.define("Billing", "plan:change")
        known = await api.register()
        tokens = []
        for email in (unique_email(), known.user["email"]):
            answer = await owner.post("/api/users/invite", email=email, customRoleId=role)
            tokens.append((email, ok(answer, 201)["token"]))
        ok(await api.accept(tokens[0][1]), 201)
        ok(await known.post("/api/users/accept-invite", token=tokens[1][1]), 201)
        shown = {one["email"]: one["customRole"] for one in ok(await owner.get("/api/users"))}
        for email, _ in tokens:
            assert shown[email] == {"id": role, "name": "Billing"}
        member = await api.login(tokens[0][0])
        refused(await member.get("/api/users"), 403)
        refused(await member.change_plan("FREE"), 409)

    async def test_is_beside_no_other_role_than_member(self, api: Api) -> None:
        owner = await enterprise(api)
        role = await owner.define("Billing")
        body = {"email": unique_email(), "customRoleId": role}
        refused(await owner.post("/api/users/invite", **body, role="ADMIN"), 422)
        ok(await owner.post("/api/users/invite", **body, role="MEMBER"), 201)


class TestPage:
    async def test_says_who_invites_to_what(self, api: Api) -> None:
        owner = await enterprise(api)
        role = await owner.define("Billing")
        known = await api.register()
        for email, exists in ((unique_email(), False), (known.user["email"], True)):
            answer = await owner.post("/api/users/invite", email=email, customRoleId=role)
            invite = ok(answer, 201)
            shown = ok(
                await api.post(f"{INVITES}/open", token=invite["token"]), 200, "Invite opened"
            )
            assert shown == {
                "organisation": "Analytical Engines",
                "inviter": "Ada Lovelace",
                "email": email,
                "role": "MEMBER",
                "customRole": "Billing",
                "expiresAt": invite["expiresAt"],
                "accountExists": exists,
            }

    async def test_takes_nothing_from_the_invite(self, api: Api) -> None:
        owner = await api.register()
        token = ok(await owner.invite(), 201)["token"]
        for _ in range(3):
            ok(await api.post(f"{INVITES}/open", token=token))
        ok(await api.accept(token), 201)
        refused(await api.post(f"{INVITES}/open", token=token), 404, code="INVITE_UNKNOWN")

    async def test_needs_a_good_token(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        token = ok(await account.invite(), 201)["token"]
        await owner.execute(EXPIRED)
        refused(await fresh.post(f"{INVITES}/open", token=token), 410, code="INVITE_EXPIRED")
        refused(await fresh.post(f"{INVITES}/open", token="x"), 404, code="INVITE_UNKNOWN")
        refused(await fresh.post(f"{INVITES}/open", token=""), 422)


class TestMail:
    async def test_has_the_only_token_where_it_is_configured(self, serve: Serve, owner: Db) -> None:
        api = await serve(
            smtp_url="smtp://localhost:1",
            mail_from="Example <no-reply@example.com>",
            public_url="https://example.com",
        )
        account = await api.register()
        invite = ok(await account.invite(), 201)
        [several] = ok(await account.post(INVITES, emails=[unique_email()]))
        await owner.execute(COOLED)
        again = ok(await resend(account, invite["id"]))
        assert invite["token"] is again["token"] is several["invite"]["token"] is None
        jobs = await owner.fetch("SELECT convert_from(payload, 'UTF8') FROM tenantry_jobs.pgqueuer")
        assert len([job for job in jobs if '"template":"invite"' in job[0]]) == 3

    async def test_is_not_sent_for_what_is_refused(self, serve: Serve, owner: Db) -> None:
        api = await serve()
        account = await api.register()
        jobs = "SELECT count(*) FROM tenantry_jobs.pgqueuer"
        before = await owner.fetchval(jobs)  # that to prove the address
        refused(await account.invite(account.user["email"]), 409)
        assert await owner.fetchval(jobs) == before
