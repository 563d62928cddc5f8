"""The organisation changed, deleted, restored and purged."""

import asyncio
import time
from typing import TypeAlias
from uuid import UUID

import pytest
from asyncpg import Connection, Record
from websockets.exceptions import ConnectionClosed

from tenantry.db import isolation
from tenantry.testing import PASSWORD, Account, Api, Serve, ok, refused
from tests.test_authority import enterprise, with_role

Db: TypeAlias = "Connection[Record]"

ORGANISATION = "/api/organisations"
RESTORE = "/api/organisations/restore"
PURGE = "SELECT tenantry.purge_organisations()"


async def deleted(owner: Account) -> str:
    """The organisation is; gives the token that restores it."""
    answer = await owner.delete(ORGANISATION, password=PASSWORD)
    return str(ok(answer, 200, "Organisation deleted")["token"])


class TestChanging:
    async def test_names_it_anew_and_says_so(self, api: Api) -> None:
        owner = await api.register()
        slug = f"engines-{owner.id[-12:]}"
        async with owner.socket() as socket:
            answer = await owner.patch(ORGANISATION, name=" Difference Engines ", slug=slug)
            changed = ok(answer, 200, "Organisation changed")
            event = await socket.next()
        assert (changed["name"], changed["slug"]) == ("Difference Engines", slug)
        assert ok(await owner.get(ORGANISATION)) == changed
        assert event["type"] == "ORGANISATION_CHANGED"
        assert event["payload"] == {
            "name": "Difference Engines",
            "slug": slug,
            "requiresSecondFactor": False,
            "changedBy": owner.id,
        }
        ok(await owner.patch(ORGANISATION, name="Difference Engines"))
        ok(await owner.patch(ORGANISATION))
        assert len(await owner.feed(type="ORGANISATION_CHANGED")) == 1

    async def test_gives_a_slug_to_one_only(self, api: Api) -> None:
        accounts = [await api.register() for _ in range(5)]
        slug = f"contested-{accounts[0].id[-12:]}"
        answers = await asyncio.gather(
            *[account.patch(ORGANISATION, slug=slug) for account in accounts]
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 4
        loser = next(answer for answer in answers if answer.status_code == 409)
        refused(loser, 409, code="SLUG_TAKEN")

    @pytest.mark.parametrize("slug", ["A", "Upper", "-a", "a-", "a--b", "ü", "a b", "x" * 49, 3])
    async def test_refuses_what_is_no_slug(self, api: Api, slug: object) -> None:
        owner = await api.register()
        answer = refused(await owner.patch(ORGANISATION, slug=slug), 422)
        assert answer["fields"][0]["field"] == "slug"

    async def test_needs_the_permission(self, api: Api) -> None:
        owner = await enterprise(api)
        refused(await (await owner.add()).patch(ORGANISATION, name="Mine"), 403)
        editor = await with_role(owner, "Editor", "organisation:update")
        ok(await editor.patch(ORGANISATION, name="Theirs"))


class TestSecondFactor:
    async def test_is_the_owners_to_require(self, api: Api) -> None:
        owner = await api.register()
        admin = await owner.add(role="ADMIN")
        answer = await admin.patch(ORGANISATION, requireSecondFactor=True)
        refused(answer, 403, "Only an owner can say whether a second factor is required")

    async def test_is_not_required_by_who_would_lock_themselves_out(self, api: Api) -> None:
        owner = await api.register()
        answer = await owner.patch(ORGANISATION, requireSecondFactor=True)
        refused(answer, 403, code="SECOND_FACTOR_REQUIRED")
        assert ok(await owner.get(ORGANISATION))["requiresSecondFactor"] is False

    async def test_ends_weak_requests_and_sockets_on_every_node_within_a_second(
        self, serve: Serve, owner: Db
    ) -> None:
        one, other = await serve(), await serve()
        strong = await one.register()
        await owner.execute("UPDATE sessions SET second_factor = true")
        weak = await strong.add()
        async with strong.socket() as mine, weak.at(other).socket() as theirs:
            began = time.monotonic()
            ok(await strong.patch(ORGANISATION, requireSecondFactor=True))
            assert (await theirs.closed())[0] == 4001
            assert time.monotonic() - began < 1
            assert (await mine.next())["payload"]["requiresSecondFactor"] is True
        refused(await weak.get(ORGANISATION), 403, code="SECOND_FACTOR_REQUIRED")
        ok(await strong.get(ORGANISATION))
        ok(await strong.patch(ORGANISATION, requireSecondFactor=False))
        ok(await weak.get(ORGANISATION))

    async def test_tells_the_weak_nothing_that_comes_after(self, serve: Serve, owner: Db) -> None:
        api = await serve()
        strong = await api.register()
        await owner.execute("UPDATE sessions SET second_factor = true")
        weak = await strong.add()
        async with weak.socket() as socket:
            ok(await strong.patch(ORGANISATION, requireSecondFactor=True))
            ok(await strong.broadcast("for the strong only"), 201)
            with pytest.raises(ConnectionClosed):
                await socket.next()


class TestDeleting:
    async def test_closes_it_to_everybody_at_once_and_on_every_node(self, serve: Serve) -> None:
        api, other = await serve(), await serve()
        owner = await api.register()
        member = await owner.add()
        invite = ok(await owner.invite(), 201)
        async with (
            owner.socket() as mine,
            member.at(other).socket() as theirs,
            member.at(other).events() as source,
        ):
            await source.next()
            began = time.monotonic()
            await deleted(owner)
            for socket in (mine, theirs):
                assert await socket.closed() == (4004, "The organisation was deleted.")
            assert (await source.next())["data"].startswith("4004 ")
            assert time.monotonic() - began < 1
        for account in (owner, member):
            refused(await account.get(ORGANISATION), 401)
            refused(await api.post("/api/auth/refresh", refreshToken=account.refresh_token), 401)
            login = await api.post(
                "/api/auth/login", email=account.user["email"], password=PASSWORD
            )
            refused(login, 403, code="NO_ORGANISATION")
        refused(await api.accept(invite["token"]), 404, code="INVITE_UNKNOWN")
        answer = await api.post("/api/users/invites/open", token=invite["token"])
        refused(answer, 404, code="INVITE_UNKNOWN")

    async def test_needs_an_owner_and_their_password(self, api: Api) -> None:
        owner = await api.register()
        admin = await owner.add(role="ADMIN")
        refused(await admin.delete(ORGANISATION, password=PASSWORD), 403, code="FORBIDDEN")
        refused(await owner.delete(ORGANISATION, password="wrong"), 403, code="PASSWORD_WRONG")
        refused(await owner.delete(ORGANISATION), 422)
        ok(await owner.get(ORGANISATION))

    async def test_leaves_the_other_organisations_of_its_people(self, api: Api) -> None:
        owner = await api.register()
        elsewhere = ok(await owner.post(ORGANISATION, name="Elsewhere"), 201)
        await deleted(owner)
        again = await api.login(owner.user["email"])
        assert again.organisation["id"] == elsewhere["id"]
        me = ok(await again.get("/api/auth/me"))
        assert [one["organisation"]["name"] for one in me["memberships"]] == ["Elsewhere"]

    async def test_at_once_with_whatever_else_wants_its_lock(self, api: Api) -> None:
        """What had waited for the lock finds no organisation any more."""
        for _ in range(3):
            owner = await api.register()
            member = await owner.add()
            answers = await asyncio.gather(
                owner.delete(ORGANISATION, password=PASSWORD),
                owner.delete(ORGANISATION, password=PASSWORD),
                owner.change_role(member.id, role="ADMIN"),
                owner.change_plan("PRO"),
                owner.invite(),
                member.post("/api/organisations/leave"),
            )
            assert sorted(answer.status_code for answer in answers[:2]) == [200, 401]
            assert {answer.status_code for answer in answers[2:]} <= {200, 201, 401, 404}


class TestRestoring:
    async def test_opens_it_again_with_everybody_and_their_sessions(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        token = await deleted(owner)
        restored = ok(await api.post(RESTORE, token=token), 200, "Organisation restored")
        assert restored == {
            "id": owner.organisation["id"],
            "name": owner.organisation["name"],
            "slug": owner.organisation["slug"],
        }
        ok(await member.get(ORGANISATION))
        after, before = (await owner.feed())[:2]
        assert (after["type"], before["type"]) == ("ORGANISATION_RESTORED", "ORGANISATION_DELETED")
        assert after["actor"]["id"] == owner.id
        async with owner.socket(after=before["seq"] - 1) as socket:  # what was missed is replayed
            assert [(await socket.next())["type"] for _ in range(2)] == [
                "ORGANISATION_DELETED",
                "ORGANISATION_RESTORED",
            ]
            ok(await owner.broadcast("back"), 201)
            assert (await socket.next())["type"] == "BROADCAST_MESSAGE"

    async def test_works_once(self, api: Api) -> None:
        owner = await api.register()
        token = await deleted(owner)
        answers = await asyncio.gather(*[api.post(RESTORE, token=token) for _ in range(10)])
        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9
        second = await deleted(owner)
        refused(await api.post(RESTORE, token=token), 404, code="RESTORE_TOKEN_UNKNOWN")
        ok(await api.post(RESTORE, token=second))

    async def test_is_over_after_thirty_days(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        token = await deleted(account)
        await owner.execute("UPDATE organisations SET deleted_at = deleted_at - interval '30 days'")
        refused(await fresh.post(RESTORE, token=token), 404, code="RESTORE_TOKEN_UNKNOWN")

    async def test_is_by_mail_only_where_mail_is_configured(self, serve: Serve, owner: Db) -> None:
        api = await serve(
            smtp_url="smtp://localhost:1",
            mail_from="Example <no-reply@example.com>",
            public_url="https://example.com",
        )
        account = await api.register()
        answer = ok(await account.delete(ORGANISATION, password=PASSWORD))
        assert answer["token"] is None
        payloads = await owner.fetch(
            "SELECT convert_from(payload, 'UTF8') AS text FROM tenantry_jobs.pgqueuer ORDER BY id"
        )
        assert '"template":"organisation_deleted"' in payloads[-1]["text"]
        assert account.user["email"] in payloads[-1]["text"]


class TestPurging:
    async def test_takes_what_is_thirty_days_gone_and_nothing_else(
        self, fresh: Api, owner: Db
    ) -> None:
        gone, recent, standing = [await enterprise(fresh) for _ in range(3)]
        for account in (gone, recent, standing):
            await with_role(account, "Billing", "plan:change")
            ok(await account.invite(), 201)
            ok(await account.post("/api/realtime/ticket"), 201)
        async with gone.socket():
            tables = await isolation.tenant_tables(owner)
            await deleted(gone)
        await deleted(recent)
        await owner.execute(
            "UPDATE organisations SET deleted_at = deleted_at - interval '30 days' WHERE id = $1",
            UUID(gone.organisation["id"]),
        )
        await owner.execute("SET ROLE tenantry_worker")
        assert await owner.fetchval(PURGE) == 1
        assert await owner.fetchval(PURGE) == 0
        await owner.execute("RESET ROLE")
        for table in tables:
            key = "id" if table == "public.organisations" else "organisation_id"
            left = await owner.fetch(f"SELECT DISTINCT {key}::text AS key FROM {table}")
            assert gone.organisation["id"] not in {row["key"] for row in left}, table
        ok(await standing.get("/api/users"))

    async def test_reaches_every_table_that_points_to_organisations(self, owner: Db) -> None:
        kept = await owner.fetch(
            """SELECT conrelid::regclass::text AS table FROM pg_constraint
                WHERE contype = 'f' AND confrelid = 'organisations'::regclass
                  AND confdeltype <> 'c'"""
        )
        assert not kept

    async def test_closes_the_accounts_that_are_left_nowhere(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        member, elsewhere = await account.add(), await account.add()
        ok(await elsewhere.post(ORGANISATION, name="Elsewhere"), 201)
        await deleted(account)
        await owner.execute("UPDATE organisations SET deleted_at = deleted_at - interval '30 days'")
        await owner.execute(PURGE)
        for closed in (account, member):
            login = {"email": closed.user["email"], "password": PASSWORD}
            refused(await fresh.post("/api/auth/login", **login), 401)
            refused(await closed.get("/api/auth/me"), 401)
            await fresh.register(email=closed.user["email"])
        ok(await elsewhere.get("/api/auth/me"))
        ok(await fresh.post("/api/auth/login", email=elsewhere.user["email"], password=PASSWORD))

    async def test_is_the_workers_alone(self, runtime: Db) -> None:
        with pytest.raises(Exception, match="permission denied"):
            await runtime.execute(PURGE)
        with pytest.raises(Exception, match="permission denied"):
            await runtime.execute("DELETE FROM organisations")
