"""Isolation: as the server's role, without a WHERE, on every tenant table of the catalogue."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest
from asyncpg import Connection, Record
from litestar import Litestar
from litestar.di import Provide

from tenantry.app import GIVEN, ROUTES
from tenantry.db import isolation
from tenantry.docs.spec import document, undeclared
from tests.api import PASSWORD, Account, Api, ok

Db: TypeAlias = "Connection[Record]"


async def enter(connection: Db, organisation: str) -> None:
    await connection.execute(
        "SELECT set_config('tenantry.organisation_id', $1, false)", organisation
    )


async def populated(api: Api) -> Account:
    """An organisation with a row in every tenant table, but for presences."""
    admin = await api.register()
    ok(await admin.change_plan("ENTERPRISE"))
    role = await admin.define("Billing", "plan:change")
    member = await admin.add()
    ok(await admin.change_role(member.id, customRoleId=role))
    ok(await admin.invite(), 201)
    token = ok(await admin.delete("/api/organisations", password=PASSWORD))["token"]
    ok(await api.post("/api/organisations/restore", token=token))
    ok(await admin.post("/api/realtime/ticket"), 201)
    return admin


@pytest.fixture
async def two(fresh: Api) -> AsyncIterator[tuple[Account, Account]]:
    one, other = await populated(fresh), await populated(fresh)
    async with one.socket(), other.socket():
        yield one, other


class TestUnfilteredStatements:
    """What a programmer who forgets the WHERE can do, with the server's rights and with all."""

    @pytest.fixture(params=["the server's rights", "every right"])
    async def attacker(
        self, request: pytest.FixtureRequest, runtime: Db, owner: Db, two: tuple[Account, Account]
    ) -> Db:
        if request.param == "every right":
            role = await runtime.fetchval("SELECT current_user")
            await owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        return runtime

    async def test_see_and_touch_their_own_organisation_only(
        self, attacker: Db, owner: Db, two: tuple[Account, Account]
    ) -> None:
        mine, theirs = (account.organisation["id"] for account in two)
        tables = await isolation.tenant_tables(owner)
        assert len(tables) >= 4
        for table in tables:
            key = "id" if table == "public.organisations" else "organisation_id"
            foreign = f"SELECT to_jsonb(t) AS row FROM {table} t WHERE {key} <> '{mine}' ORDER BY 1"
            before = await owner.fetch(foreign)
            assert before, f"{table} has no foreign row to protect"
            await enter(attacker, mine)
            seen = await attacker.fetch(f"SELECT {key} FROM {table}")
            assert {str(row[0]) for row in seen} == {mine}
            for statement in (
                f"UPDATE {table} SET {key} = {key}",
                f"DELETE FROM {table}",
                f"UPDATE {table} SET {key} = '{theirs}'",
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, $1)",
            ):
                await self.attempt(attacker, owner, statement, table, before)
            assert await owner.fetch(foreign) == before

    async def attempt(
        self, attacker: Db, owner: Db, statement: str, table: str, rows: list[Record]
    ) -> None:
        """Run it and roll it back; whatever it says, no foreign row may have been in its reach."""
        transaction = attacker.transaction()
        await transaction.start()
        try:
            if "$1" in statement:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await attacker.execute(statement, rows[0]["row"])
            else:
                status = await attacker.execute(statement)
                assert int(status.split()[-1]) <= await owner.fetchval(
                    f"SELECT count(*) FROM {table}"
                ) - len(rows)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.ForeignKeyViolationError):
            pass  # not allowed to, or held by what points to it
        finally:
            await transaction.rollback()

    async def test_see_nothing_at_all_where_nobody_has_entered(
        self, attacker: Db, owner: Db
    ) -> None:
        for table in [*await isolation.tenant_tables(owner), "users"]:
            assert await attacker.fetchval(f"SELECT count(*) FROM {table}") == 0
        await enter(attacker, "")
        for table in [*await isolation.tenant_tables(owner), "users"]:
            assert await attacker.fetchval(f"SELECT count(*) FROM {table}") == 0

    async def test_see_the_people_of_their_own_organisation_only(
        self, attacker: Db, two: tuple[Account, Account]
    ) -> None:
        await enter(attacker, two[0].organisation["id"])
        assert await attacker.fetchval("SELECT count(*) FROM users") == 2


async def test_a_row_cannot_point_into_another_organisation(
    owner: Db, two: tuple[Account, Account]
) -> None:
    mine, theirs = two
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await owner.execute(
            """INSERT INTO activities VALUES ($1, 99, gen_random_uuid(), 'X', $2, NULL, '', '{}',
                                              now())""",
            UUID(mine.organisation["id"]),
            UUID(theirs.id),
        )


async def test_the_server_cannot_read_hashes_or_sessions(runtime: Db) -> None:
    for statement in (
        "SELECT password_hash FROM users",
        "SELECT * FROM sessions",
        "SELECT token_hash FROM invites",
        "SELECT secret FROM totp_secrets",
        "SELECT code_hash FROM recovery_codes",
        "SELECT public_key FROM passkeys",
        "SELECT token_hash FROM challenges",
        "SET ROLE tenantry_door",
        "ALTER TABLE activities NO FORCE ROW LEVEL SECURITY",
        "TRUNCATE activities",
        "DELETE FROM activities",
        "UPDATE activities SET message = ''",
        "CREATE TABLE public.mine ()",
        "CREATE FUNCTION tenantry.mine() RETURNS int LANGUAGE sql RETURN 1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runtime.execute(statement)


# What ends the caller's own session, and has tests that it ends nobody else's; and the stream,
# which has no end, and a test that it carries nobody else's events.
NOT_CALLED = {"logout", "logoutAll", "listen"}


class TestRoutes:
    """Organisation B calls every route of the document with A's ids."""

    @staticmethod
    def operations() -> list[tuple[str, str, dict[str, Any]]]:
        spec = document(ROUTES, GIVEN)
        return [
            (method.upper(), path, operation)
            for path, item in spec["paths"].items()
            for method, operation in item.items()
            if "security" in operation and operation["operationId"] not in NOT_CALLED
        ]

    async def test_of_another_organisation_see_and_change_nothing(
        self, fresh: Api, owner: Db
    ) -> None:
        theirs = await populated(fresh)
        mine = await fresh.register("Mallory")
        member = next(one for one in ok(await theirs.get("/api/users")) if one["role"] == "MEMBER")
        before = await self.snapshot(owner, theirs)
        [invite] = ok(await theirs.get("/api/users/invites"))
        ids = [theirs.organisation["id"], theirs.id]
        ids += [member["id"], member["customRole"]["id"], invite["id"]]
        secrets = {*ids, theirs.user["email"], member["email"], invite["email"]}
        operations = self.operations()
        assert len(operations) >= 7
        for method, path, operation in operations:
            for foreign in ids:
                answer = await mine.call(
                    method,
                    re.sub(r"\{\w+\}", foreign, path),
                    params={
                        parameter["name"]: foreign
                        for parameter in operation.get("parameters", [])
                        if parameter["in"] == "query" and parameter["name"] == "actor"
                    },
                    json=self.body_for(path, foreign) if "requestBody" in operation else None,
                )
                assert answer.status_code < 500, (method, path, answer.text)
                assert answer.status_code != 401, (method, path, answer.text)
                asked = {foreign} if answer.status_code >= 400 else set()
                leaked = {secret for secret in secrets - asked if secret in answer.text}
                assert not leaked, (method, path, answer.text)
        assert await self.snapshot(owner, theirs) == before

    @staticmethod
    def body_for(path: str, foreign: str) -> dict[str, Any]:
        bodies: dict[str, dict[str, Any]] = {
            "/api/users/invite": {"email": "mallory@example.com"},
            "/api/users/invites": {"emails": ["eve@example.com"], "customRoleId": foreign},
            "/api/users/{user_id}": {"customRoleId": foreign},
            "/api/organisations/subscription": {"plan": "ENTERPRISE"},
            "/api/organisations/transfer-ownership": {"userId": foreign, "password": PASSWORD},
            "/api/organisations/roles": {"name": "Mine", "permissions": ["plan:change"]},
            "/api/organisations/roles/{role_id}": {"name": "Mine now"},
            "/api/organisations/broadcast": {"message": "hello"},
            "/api/organisations": {"name": "Mallory's"},
            "/api/auth/switch": {"organisationId": foreign},
            "/api/auth/passkeys/{passkey_id}": {"name": "Mallory's"},
        }
        return bodies.get(path, {})

    @staticmethod
    async def snapshot(owner: Db, account: Account) -> list[list[Record]]:
        organisation = UUID(account.organisation["id"])
        return [
            await owner.fetch(f"SELECT * FROM {table} WHERE {key} = $1 ORDER BY 1, 2", organisation)
            for table, key in (
                ("organisations", "id"),
                ("memberships", "organisation_id"),
                ("invites", "organisation_id"),
                ("roles", "organisation_id"),
                ("deletions", "organisation_id"),
                ("activities", "organisation_id"),
            )
        ]

    def test_have_a_guard_or_a_declared_reason_to_be_public(self) -> None:
        nothing = {name: Provide(lambda: None, sync_to_thread=False) for name in GIVEN}
        assert (
            undeclared(
                Litestar(ROUTES, dependencies=nothing, openapi_config=None, logging_config=None)
            )
            == []
        )


class TestEnter:
    """The one door: what it refuses, and that no connection keeps what another scope left."""

    async def test_sets_the_organisation_only_where_session_and_membership_stand(
        self, fresh: Api, runtime: Db, owner: Db
    ) -> None:
        one, other = await fresh.register(), await fresh.register()
        session = await owner.fetchval("SELECT id FROM sessions WHERE user_id = $1", UUID(one.id))
        home = UUID(one.organisation["id"])

        async def entered(user: str, session: UUID, organisation: UUID) -> tuple[Any, Any]:
            row = await runtime.fetchrow(
                "SELECT * FROM tenantry.enter($1, $2, $3)", UUID(user), session, organisation
            )
            assert row is not None
            return row["role"], await runtime.fetchval("SELECT tenantry.current_organisation()")

        assert await entered(one.id, session, home) == ("ADMIN", home)
        assert await entered(other.id, session, home) == (None, None)
        assert await entered(one.id, session, UUID(other.organisation["id"])) == (None, None)
        assert await entered(one.id, UUID(int=0), home) == (None, None)
        assert await entered(one.id, session, home) == ("ADMIN", home)
        await owner.execute("UPDATE sessions SET expires_at = now()")
        assert await entered(one.id, session, home) == (None, None)

    async def test_knows_the_organisations_of_one_user_apart(
        self, fresh: Api, runtime: Db, owner: Db
    ) -> None:
        one, other = await fresh.register(), await fresh.register()
        await owner.execute(
            "INSERT INTO memberships (organisation_id, user_id, role) VALUES ($1, $2, 'MEMBER')",
            UUID(other.organisation["id"]),
            UUID(one.id),
        )
        session = await owner.fetchval("SELECT id FROM sessions WHERE user_id = $1", UUID(one.id))
        roles = [
            await runtime.fetchval(
                "SELECT role FROM tenantry.enter($1, $2, $3)",
                UUID(one.id),
                session,
                UUID(account.organisation["id"]),
            )
            for account in (one, other)
        ]
        assert roles == ["ADMIN", "MEMBER"]

    async def test_keeps_simultaneous_requests_of_two_organisations_apart(self, api: Api) -> None:
        one, other = await api.register(), await api.register()
        answers = await asyncio.gather(
            *[account.get("/api/organisations") for account in (one, other) for _ in range(50)]
        )
        seen = [ok(answer)["id"] for answer in answers]
        assert seen == [one.organisation["id"]] * 50 + [other.organisation["id"]] * 50

    async def test_would_be_undone_by_a_rollback_and_so_runs_before_any_transaction(
        self, fresh: Api, runtime: Db, owner: Db
    ) -> None:
        """The trap: entered inside a transaction, a rollback puts the last organisation back."""
        one, other = await fresh.register(), await fresh.register()
        await enter(runtime, other.organisation["id"])
        transaction = runtime.transaction()
        await transaction.start()
        await enter(runtime, one.organisation["id"])
        await transaction.rollback()
        left = str(await runtime.fetchval("SELECT tenantry.current_organisation()"))
        assert left == other.organisation["id"]
        # The same rollback in a server: the next request on the connection is not the last one's.
        refusals = [await one.remove(str(UUID(int=number))) for number in range(12)]
        assert {answer.status_code for answer in refusals} == {404}
        assert ok(await other.get("/api/organisations"))["id"] == other.organisation["id"]
        assert ok(await one.get("/api/organisations"))["id"] == one.organisation["id"]
