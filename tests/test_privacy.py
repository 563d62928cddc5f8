"""Everything that is held about a person, and its erasure."""

import asyncio
import json
from typing import TypeAlias
from uuid import UUID

import asyncpg

from tenantry.db import isolation
from tenantry.testing import PASSWORD, Account, Api, ok, refused, unique_email

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def joined(account: Account, other: Account, role: str = "MEMBER") -> None:
    """The account becomes a member of the other's organisation, too."""
    invite = ok(await other.invite(account.user["email"], role), 201)
    ok(await account.post("/api/users/accept-invite", token=invite["token"]), 201)


async def erase(account: Account, password: str = PASSWORD) -> object:
    answer = await account.call("DELETE", "/api/auth/me", json={"password": password})
    return ok(answer, 200, "Account deleted")


class TestExport:
    async def test_has_what_is_held_in_every_organisation(self, api: Api) -> None:
        account, other = await api.register(), await api.register("Grace Hopper")
        await joined(account, other)
        ok(await account.broadcast("Lunch at noon?"), 201)
        await api.login(account.user["email"])
        ok(await other.remove(account.id))
        export = ok(await account.get("/api/auth/me/export"), 200, "Account exported")
        assert export["account"]["email"] == account.user["email"]
        assert len(export["sessions"]) == 2
        assert [
            (one["organisationId"], one["role"], one["leftAt"] is None)
            for one in export["memberships"]
        ] == [
            (account.organisation["id"], "ADMIN", True),
            (other.organisation["id"], "MEMBER", False),
        ]
        assert [line["type"] for line in export["activities"]] == [
            "USER_JOINED",
            "USER_JOINED",
            "INVITE_ACCEPTED",
            "BROADCAST_MESSAGE",
            "USER_REMOVED",
        ]
        assert export["activities"][3]["metadata"]["message"] == "Lunch at noon?"
        assert export["secondFactors"] == {
            "totpSince": None,
            "recoveryCodesLeft": 0,
            "passkeys": [],
        }

    async def test_has_no_secret_and_nothing_of_what_others_did(self, api: Api) -> None:
        account, other = await api.register(), await api.register("Grace Hopper")
        ok(await other.broadcast("nothing to do with it"), 201)
        await joined(account, other)
        ok(await other.broadcast("nor has this"), 201)
        text = json.dumps(ok(await account.get("/api/auth/me/export")))
        for foreign in ("nothing to do", "nor has this", other.user["email"], "argon2", "hash"):
            assert foreign not in text.lower()


class TestErasure:
    async def test_leaves_no_trace_of_who_somebody_was(self, fresh: Api, owner: Db) -> None:
        admin = await fresh.register("Grace Hopper")
        email = unique_email("unforgettable")
        invite = ok(await admin.invite(email), 201)
        ok(await fresh.accept(invite["token"], "Ada (Countess) Lovelace"), 201)
        account = await fresh.login(email)
        ok(await account.get("/api/activities"))
        second = await fresh.register()
        await joined(account, second)
        assert await erase(account) == {"erased": True}

        tables = await owner.fetch(
            """SELECT format('%I.%I', n.nspname, c.relname) AS name
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'r' AND n.nspname IN ('public', 'tenantry_jobs')
                  AND c.relname <> 'pgqueuer'"""
        )
        assert set(await isolation.tenant_tables(owner)) <= {row["name"] for row in tables}
        for table in tables:
            for row in await owner.fetch(f"SELECT t::text AS text FROM {table['name']} AS t"):
                assert "unforgettable" not in row["text"].lower(), table["name"]
                assert "Countess" not in row["text"], table["name"]

    async def test_keeps_the_feed_whole_with_a_former_member_in_it(self, api: Api) -> None:
        admin = await api.register("Grace Hopper")
        account = await admin.add("Ada Lovelace", role="ADMIN")
        ok(await account.broadcast("I was here"), 201)
        before = await admin.feed()
        await erase(account)
        removal, *after = await admin.feed()
        assert (removal["type"], removal["message"]) == (
            "USER_REMOVED",
            "Former member left the organisation",
        )
        assert removal["metadata"] == {"userId": account.id, "removedBy": account.id}
        assert [line["seq"] for line in after] == [line["seq"] for line in before]
        assert [(line["type"], line["message"]) for line in after] == [
            ("BROADCAST_MESSAGE", "I was here"),
            ("INVITE_ACCEPTED", "Former member accepted the invite"),
            ("USER_JOINED", "Former member joined the organisation"),
            ("INVITE_SENT", "Former member was invited as ADMIN"),
            ("USER_JOINED", "Grace Hopper joined the organisation"),
        ]
        assert after[2]["metadata"] == {
            "userId": account.id,
            "name": "Former member",
            "email": "",
            "role": "ADMIN",
        }
        assert after[0]["actor"] == {"id": account.id, "name": "Former member", "email": ""}

    async def test_ends_sessions_and_sockets_and_frees_address_and_seat(self, api: Api) -> None:
        admin = await api.register()
        account = await admin.add()
        elsewhere = await api.login(account.user["email"])
        async with elsewhere.socket() as socket:
            await erase(account)
            assert (await socket.closed())[0] in (4001, 4003)
        for session in (account, elsewhere):
            refused(await session.get("/api/auth/me"), 401)
            refused(await api.post("/api/auth/refresh", refreshToken=session.refresh_token), 401)
        body = {"email": account.user["email"], "password": PASSWORD}
        refused(await api.post("/api/auth/login", **body), 401)
        assert ok(await admin.get("/api/organisations"))["memberCount"] == 1
        again = await api.register(email=account.user["email"])
        assert again.id != account.id

    async def test_takes_along_organisations_that_nobody_else_is_in(
        self, fresh: Api, owner: Db
    ) -> None:
        account = await fresh.register()
        ok(await account.post("/api/organisations", name="Difference Engines"), 201)
        await erase(account)
        await owner.execute("SELECT tenantry.purge_organisations()")
        assert await owner.fetchval("SELECT count(*) FROM organisations") == 0

    async def test_is_refused_to_the_only_owner_of_others(self, api: Api) -> None:
        account = await api.register(organisationName="Analytical Engines")
        member = await account.add()
        answer = await account.call("DELETE", "/api/auth/me", json={"password": PASSWORD})
        body = refused(answer, 409, code="LAST_OWNER")
        assert "Analytical Engines" in body["message"]
        ok(await account.get("/api/organisations"))
        answer = await account.post(
            "/api/organisations/transfer-ownership", userId=member.id, password=PASSWORD
        )
        ok(answer)
        await erase(account)
        assert len(ok(await member.get("/api/users"))) == 1

    async def test_needs_the_password(self, api: Api) -> None:
        account = await api.register()
        answer = await account.call("DELETE", "/api/auth/me", json={"password": "wrong"})
        refused(answer, 403, code="PASSWORD_WRONG")
        ok(await account.get("/api/auth/me"))

    async def test_of_two_last_owners_at_once_leaves_one(self, api: Api) -> None:
        """Neither can see the other go and leave the organisation to nobody."""
        for _ in range(3):
            first = await api.register()
            second = await first.add(role="ADMIN")
            await first.add("Somebody else")
            role = {"role": "OWNER"}
            ok(await first.call("PATCH", f"/api/users/{second.id}", json=role))
            answers = await asyncio.gather(
                *[
                    one.call("DELETE", "/api/auth/me", json={"password": PASSWORD})
                    for one in (first, second)
                ]
            )
            assert sorted(answer.status_code for answer in answers) == [200, 409]

    async def test_while_joining_elsewhere_does_not_lose_the_membership(
        self, fresh: Api, owner: Db
    ) -> None:
        for _ in range(3):
            account, other = await fresh.register(), await fresh.register()
            token = ok(await other.invite(account.user["email"]), 201)["token"]
            erased, accepted = await asyncio.gather(
                account.call("DELETE", "/api/auth/me", json={"password": PASSWORD}),
                account.post("/api/users/accept-invite", token=token),
            )
            assert erased.status_code in (200, 401), erased.text
            assert accepted.status_code in (201, 401, 403, 404), accepted.text
            member = await owner.fetchval(
                "SELECT removed_at IS NULL FROM memberships WHERE user_id = $1 "
                "AND organisation_id = $2",
                UUID(account.id),
                UUID(other.organisation["id"]),
            )
            closed = await owner.fetchval(
                "SELECT closed_at IS NOT NULL FROM users WHERE id = $1", UUID(account.id)
            )
            assert bool(member) != closed
