"""The hot statements: how many there are, and that each finds its rows by an index."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from tenantry.activities.routes import MAX_SEQ, page_statement
from tenantry.db.database import ENTER, ENTER_NOWHERE, ENTER_TO_READ
from tenantry.db.pool import Connection, Pool
from tenantry.db.reader import Reader
from tenantry.db.wire import Raw, Statement
from tenantry.organisations.organisation import ORGANISATION_TO_READ
from tenantry.organisations.roles import ALL_ROLES
from tenantry.realtime.reading import EVENTS_AFTER
from tenantry.tenancy.authority import MEMBERSHIP, OTHER_OWNERS
from tenantry.testing import Account, Api, Serve, ok, unique_email
from tenantry.users.inviting import LOOK
from tenantry.users.members import MEMBERS
from tenantry.users.open_invites import LAST, OPEN_INVITES

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class TestRoundTrips:
    @pytest.fixture
    def statements(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What goes to the database of requests to servers started in this test, in its order: a
        line for each round trip.
        """
        sent: list[str] = []
        pooled: set[Connection] = set()
        opened = Pool._opened

        async def opening(pool: Pool) -> Connection:
            connection = await opened(pool)
            pooled.add(connection)
            return connection

        def listening(name: str) -> Callable[..., Any]:
            asked = getattr(Connection, name)

            async def ask(connection: Connection, *arguments: Any) -> Any:
                if name == "together":
                    all_of_it = [*(connection._later or []), *arguments]
                    sent.append(" | ".join(" ".join(sql.split()[:2]) for sql, _ in all_of_it))
                elif connection in pooled and connection._later is None:
                    sent.append(arguments[0])
                return await asked(connection, *arguments)

            return ask

        monkeypatch.setattr(Pool, "_opened", opening)
        for name in ("execute", "fetch", "fetchrow", "fetchval", "together"):
            monkeypatch.setattr(Connection, name, listening(name))
        return sent

    @pytest.fixture
    def reads(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """What goes out together, of each read, in their order."""
        sent: list[list[str]] = []
        read = Reader.read

        async def listening(
            reader: Reader, organisation: UUID, *statements: Statement
        ) -> list[Raw | None]:
            sent.append([sql for sql, _ in statements])
            return await read(reader, organisation, *statements)

        monkeypatch.setattr(Reader, "read", listening)
        return sent

    async def test_are_one_for_a_read(
        self, serve: Serve, statements: list[str], reads: list[list[str]]
    ) -> None:
        api = await serve()
        admin = await api.register()
        await admin.change_plan("PRO")

        page = page_statement(forward=False, by_type=False, by_actor=False)
        for number in range(6):
            await admin.add(f"Member {number}")
        for path, statement in [
            ("/api/organisations", ORGANISATION_TO_READ),
            ("/api/users", MEMBERS),
            ("/api/activities", page),
        ]:
            statements.clear()
            reads.clear()
            ok(await admin.get(path))
            assert reads == [[ENTER_TO_READ, statement]], "however many rows there are"
            assert not statements

    async def test_of_a_write_are_few(self, serve: Serve, statements: list[str]) -> None:
        api = await serve()
        admin = await api.register()
        statements.clear()
        ok(await admin.broadcast("hello"), 201)
        entered, *others = statements
        assert entered == ENTER
        assert others == ["BEGIN | WITH organisation | SELECT activity.id,", "COMMIT"]

    async def test_of_a_sign_in_are_one_more_for_the_counting_of_guesses(
        self, serve: Serve, statements: list[str]
    ) -> None:
        api = await serve()
        email = (await api.register()).user["email"]
        await api.login(email)
        statements.clear()
        await api.login(email)
        counted, *others = statements
        assert counted.split()[:2] == ["SELECT", "wait,"], "counts the guess, finds the account"
        assert others == [
            "BEGIN | SELECT tenantry.login_succeeded($1, | SELECT totp_since,",
            "SELECT organisation_id, | SELECT users.id,",
            "COMMIT",
        ]

    async def test_of_an_invite_and_its_acceptance_are_few(
        self, serve: Serve, statements: list[str]
    ) -> None:
        api = await serve()
        admin = await api.register()
        statements.clear()
        token = ok(await admin.invite(unique_email("grace")), 201)["token"]
        entered, *others = statements
        assert "FROM tenantry.enter(" in entered
        assert others == [
            "BEGIN | SELECT subscription_plan, | SELECT users.name | SELECT members,",
            "INSERT INTO | WITH organisation | SELECT tenantry.enqueue($1, | COMMIT",
        ]
        statements.clear()
        ok(await api.accept(token), 201)
        *others, last = [one for one in statements if one != ENTER_NOWHERE]
        assert others == [
            "SELECT wait, | SELECT organisation_id,",
            "BEGIN | SELECT organisation_id,",
        ]
        assert last.split(" | ") == [
            "WITH joined",
            "WITH organisation",
            "UPDATE invites",
            "WITH organisation",
            "SELECT tenantry.attempt_succeeded($1,",
            "COMMIT",
        ]


GENERATE = """
INSERT INTO organisations (id, name, slug, last_seq)
SELECT gen_random_uuid(), 'Organisation ' || n, 'organisation-' || n, 1
  FROM generate_series(1, 3000) AS n;
INSERT INTO users (id, email, name, password_hash)
SELECT gen_random_uuid(), 'user' || n || '@example.com', 'User ' || n, ''
  FROM generate_series(1, 6000) AS n;
INSERT INTO memberships (organisation_id, user_id, role)
SELECT o.id, u.id, 'MEMBER'
  FROM (SELECT id, row_number() OVER () AS n FROM organisations) AS o
  JOIN (SELECT id, row_number() OVER () AS n FROM users) AS u ON u.n % 3000 = o.n % 3000
ON CONFLICT DO NOTHING;
INSERT INTO sessions (id, user_id, expires_at)
SELECT gen_random_uuid(), id, now() + interval '1 day' FROM users;
INSERT INTO invites (organisation_id, id, email, role, token_hash, invited_by, expires_at)
SELECT organisation_id, gen_random_uuid(), 'invited@example.com', 'MEMBER',
       sha256(organisation_id::text::bytea), (array_agg(user_id))[1], now() + interval '1 day'
  FROM memberships GROUP BY organisation_id ON CONFLICT DO NOTHING;
INSERT INTO roles (organisation_id, id, name, permissions)
SELECT id, gen_random_uuid(), 'Role ' || n, '{}' FROM organisations, generate_series(1, 3) AS n;
INSERT INTO activities
SELECT id, seq, gen_random_uuid(),
       (ARRAY['INVITE_SENT', 'USER_JOINED', 'USER_REMOVED'])[1 + seq % 3],
       NULL, NULL, '', '{}', now()
  FROM organisations, generate_series(2, 9) AS seq WHERE slug LIKE 'organisation-%';
INSERT INTO invites
       (organisation_id, id, email, role, token_hash, invited_by, expires_at, accepted_at, sent_at)
SELECT $1::uuid, gen_random_uuid(), 'user' || n || '@example.com', 'MEMBER', sha256(n::text::bytea),
       $2::uuid, now(), now() - interval '40 days', now() - interval '40 days'
  FROM generate_series(1, 5000) AS n;
INSERT INTO activities
SELECT $1::uuid, seq, gen_random_uuid(),
       CASE WHEN seq % 1000 = 0 THEN 'INVITE_SENT' ELSE 'USER_JOINED' END,
       $2::uuid, NULL, '', '{}', now()
  FROM generate_series(100, 20000) AS seq;
ANALYZE;
"""


class TestPlans:
    """On thousands of organisations, one of them large, as the server's role sees them."""

    @pytest.fixture
    async def giant(self, fresh: Api, owner: Db, runtime: Db) -> Account:
        account = await fresh.register()
        script = GENERATE.replace("$1::uuid", f"'{account.organisation['id']}'::uuid")
        await owner.execute(script.replace("$2::uuid", f"'{account.id}'::uuid"))
        await runtime.execute(
            "SELECT set_config('tenantry.organisation_id', $1, false)",
            account.organisation["id"],
        )
        return account

    async def test_use_an_index_for_every_row(self, giant: Account, runtime: Db) -> None:
        organisation = UUID(giant.organisation["id"])
        window = (-1, MAX_SEQ, 50)
        page = (organisation, *window, None, None)
        by_type = (organisation, *window, ["INVITE_SENT"], None)
        by_actor = (organisation, *window, None, [UUID(giant.id)])
        for statement, arguments, indexes in (
            (ORGANISATION_TO_READ, (organisation, "{}"), {"organisations_pkey"}),
            (MEMBERS, (organisation,), {"memberships_pkey", "users_pkey"}),
            (
                LOOK,
                (organisation, ["x@example.com"], UUID(giant.id), timedelta(days=1)),
                {"invites_expiring", "invites_sent", "users_pkey", "organisations_pkey"},
            ),
            (OPEN_INVITES, (organisation, LAST, 51), {"invites_open", "users_pkey"}),
            (ALL_ROLES, (organisation,), {"memberships_of_role"}),
            (OTHER_OWNERS, (organisation, UUID(giant.id)), {"memberships_owners"}),
            (MEMBERSHIP, (organisation, UUID(giant.id)), {"memberships_pkey", "users_pkey"}),
            (
                page_statement(forward=False, by_type=False, by_actor=False),
                page,
                {"activities_pkey", "users_pkey"},
            ),
            (
                page_statement(forward=True, by_type=False, by_actor=False),
                page,
                {"activities_pkey", "users_pkey"},
            ),
            (
                page_statement(forward=False, by_type=True, by_actor=False),
                by_type,
                {"activities_by_type", "users_pkey"},
            ),
            (
                page_statement(forward=False, by_type=False, by_actor=True),
                by_actor,
                {"activities_by_actor", "users_pkey"},
            ),
        ):
            plan = await explain(runtime, statement, arguments)
            assert not scans(plan, "Seq Scan"), (statement, plan)
            assert indexes <= scans(plan, "Index"), (statement, scans(plan, "Index"))

    async def test_of_the_doors_use_an_index_too(
        self, giant: Account, runtime: Db, owner: Db
    ) -> None:
        """Plans inside functions are not shown: what they read instead is."""
        session = await owner.fetchval("SELECT id FROM sessions WHERE user_id = $1", UUID(giant.id))
        organisation = UUID(giant.organisation["id"])
        for statement, arguments in (
            (ENTER, (UUID(giant.id), session, organisation)),
            (EVENTS_AFTER, ([organisation], [19_990], 500)),
            ("SELECT * FROM tenantry.attempt_login($1, '192.0.2.1')", ("a@example.com",)),
            ("SELECT * FROM tenantry.find_account($1)", (giant.user["email"].upper(),)),
            ("SELECT * FROM tenantry.enter_by_invite($1)", (b"x",)),
        ):
            for _ in range(4):  # the first calls read the catalogue
                plan = await explain(runtime, statement, arguments, analyze=True)
            blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert blocks < 100, (statement, blocks)

    async def test_invite_without_reading_who_else_is_there(
        self, giant: Account, runtime: Db, owner: Db
    ) -> None:
        organisation = UUID(giant.organisation["id"])
        await owner.execute(
            "INSERT INTO memberships (organisation_id, user_id, role) "
            "SELECT $1, id, 'MEMBER' FROM users WHERE id <> $2 ON CONFLICT DO NOTHING",
            *(organisation, UUID(giant.id)),
        )
        await owner.execute(
            "INSERT INTO invites "
            "(organisation_id, id, email, role, token_hash, invited_by, expires_at, sent_at) "
            "SELECT $1, gen_random_uuid(), 'late' || n || '@example.com', 'MEMBER', "
            "sha256(('late' || n)::bytea), $2, now() - interval '9 days', "
            "now() - interval '10 days' FROM generate_series(1, 5000) AS n",
            *(organisation, UUID(giant.id)),
        )
        emails = ["user7@example.com", "late8@example.com", "new@example.com"]
        arguments = (organisation, emails, UUID(giant.id), timedelta(days=1))
        for _ in range(4):
            plan = await explain(runtime, LOOK, arguments, analyze=True)
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 100
        found = await runtime.fetchrow(LOOK, *arguments)
        assert found is not None
        assert (found["members"], found["expired"]) == ([emails[0]], [emails[1]])

    async def test_let_people_through_by_key(self, giant: Account, runtime: Db) -> None:
        """A hash of every member would cost a large organisation as many rows at each read."""
        statement = page_statement(forward=False, by_type=False, by_actor=False)
        page = (UUID(giant.organisation["id"]), -1, MAX_SEQ, 50, None, None)
        plan = await explain(runtime, statement, page)
        filters = [node["Filter"] for node in nodes(plan) if "SubPlan" in node.get("Filter", "")]
        assert len(filters) == 2, "actor and target"
        assert not [text for text in filters if "hashed" in text]

    async def test_read_the_setting_once_a_statement(self, giant: Account, runtime: Db) -> None:
        plan = await explain(runtime, "SELECT seq FROM activities", (), analyze=True)
        once = [node for node in nodes(plan) if node.get("Subplan Name", "").startswith("InitPlan")]
        assert [node["Actual Loops"] for node in once] == [1]


async def explain(
    connection: Db, statement: str, arguments: tuple[Any, ...], *, analyze: bool = False
) -> dict[str, Any]:
    """The plan's root."""
    options = "FORMAT JSON" + (", ANALYZE, BUFFERS" if analyze else "")
    text = await connection.fetchval(f"EXPLAIN ({options}) {statement}", *arguments)
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(inner for child in plan.get("Plans", ()) for inner in nodes(child))]


def scans(plan: dict[str, Any], kind: str) -> set[str]:
    """The indexes used, or the tables that are scanned whole."""
    return {
        node.get("Index Name") or node["Relation Name"]
        for node in nodes(plan)
        if kind in node["Node Type"] and ("Index Name" in node or "Relation Name" in node)
    }
