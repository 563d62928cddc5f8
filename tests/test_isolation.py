"""Isolation: as the server's role, without a WHERE, on every tenant table of the catalogue."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tenantry.db.database import Database
from tenantry.testing import Api, Installation, assert_isolated, ok
from tenantry.testing.attack.populated import fill, nothing
from tenantry.testing.servers import Db


async def enter(connection: Db, organisation: str) -> None:
    await connection.execute(
        "SELECT set_config('tenantry.organisation_id', $1, false)", organisation
    )


class TestTheWholeCore:
    async def test_is_out_of_another_organisations_reach(self, installation: Installation) -> None:
        await assert_isolated(installation)

    async def test_shows_the_people_of_ones_own_organisation_only(
        self, installation: Installation
    ) -> None:
        one, _ = await fill(installation, nothing), await fill(installation, nothing)
        runtime = installation.runtime
        for right in ("the server's", "every"):
            if right == "every":
                role = await runtime.fetchval("SELECT current_user")
                await installation.owner.execute(f"GRANT ALL ON users TO {role}")
            await enter(runtime, one.organisation["id"])
            assert await runtime.fetchval("SELECT count(*) FROM users") == 2


async def test_a_row_cannot_point_into_another_organisation(fresh: Api, owner: Db) -> None:
    mine, theirs = await fresh.register(), await fresh.register()
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


async def test_the_systems_scope_sees_nothing_on_a_connection_that_a_tenant_had(
    fresh: Api, owner: Db, runtime_url: str
) -> None:
    admin = await fresh.register()
    session = await owner.fetchval("SELECT id FROM sessions WHERE user_id = $1", UUID(admin.id))
    organisation = UUID(admin.organisation["id"])
    database = Database(runtime_url)
    for _ in range(2):
        entered = await database.enter(UUID(admin.id), session, organisation)
        assert entered is not None
        tenants = await entered[0].fetchval("SELECT pg_backend_pid()")
        database.release(entered[0])
        for _ in range(2):
            async with database.system() as connection:
                assert await connection.fetchval("SELECT pg_backend_pid()") == tenants
                assert await connection.fetchval("SELECT count(*) FROM memberships") == 0
                assert await connection.fetchval("SELECT count(*) FROM activities") == 0
    await database.close()
