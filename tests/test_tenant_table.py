"""The SQL of a tenant table, written from its columns: what it says, holds and refuses."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from tenantry.db import isolation
from tenantry.migrations import member, reference, tenant_table
from tenantry.testing import Account, Api, ok

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

PROJECTS = tenant_table("projects", {"name": "text NOT NULL"}, unique=[["name"]])
TASKS = tenant_table(
    "tasks",
    {"title": "text NOT NULL", "project_id": "uuid NOT NULL", "assignee_id": "uuid"},
    references=[reference("project_id", "projects", on_delete="CASCADE"), member("assignee_id")],
    indexes=[["title"]],
    grants=["SELECT", "INSERT", "UPDATE (title, assignee_id)"],
)
ENTER = "SELECT set_config('tenantry.organisation_id', $1, false)"


def test_is_what_one_would_write_by_hand() -> None:
    assert TASKS == (
        """\
CREATE TABLE tasks (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id              uuid NOT NULL,
    title           text NOT NULL,
    project_id      uuid NOT NULL,
    assignee_id     uuid,
    PRIMARY KEY (organisation_id, id),
    FOREIGN KEY (organisation_id, project_id) REFERENCES projects (organisation_id, id)"""
        """ ON DELETE CASCADE,
    FOREIGN KEY (organisation_id, assignee_id) REFERENCES memberships (organisation_id, user_id)
);
CREATE INDEX tasks_by_project_id ON tasks (organisation_id, project_id);
CREATE INDEX tasks_by_assignee_id ON tasks (organisation_id, assignee_id);
CREATE INDEX tasks_by_title ON tasks (organisation_id, title);
ALTER TABLE tasks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON tasks
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT, UPDATE (title, assignee_id) ON tasks TO tenantry_runtime;
"""
    )


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (lambda: tenant_table("my table", {}), "'my table' cannot be a name"),
        (lambda: tenant_table("t; DROP TABLE users", {}), "cannot be a name"),
        (lambda: tenant_table("t", {"Name": "text"}), "'Name' cannot be a name"),
        (lambda: tenant_table("t", {"x" * 64: "text"}), "at most 63"),
        (lambda: tenant_table("t", {"id": "uuid"}), "t.id is written by itself"),
        (lambda: tenant_table("t", {"name": " "}), "t.name has no type"),
        (lambda: tenant_table("t", {"name": "text UNIQUE"}), 'Say unique=\\[\\["name"\\]\\]'),
        (lambda: tenant_table("t", {"of": "uuid references p"}), 'reference\\("of", …\\)'),
        (lambda: tenant_table("t", {"n": "int primary  key"}), "says PRIMARY  KEY"),
        (lambda: tenant_table("t", {}, indexes=[["nmae"]]), "t has no column 'nmae'"),
        (lambda: tenant_table("t", {}, unique=[["organisation_id"]]), "written by itself"),
        (lambda: tenant_table("t", {}, references=[member("by")]), "t has no column 'by'"),
        (lambda: tenant_table("t", {}, grants=["TRUNCATE"]), "'TRUNCATE' on t cannot be granted"),
        (lambda: tenant_table("t", {}, grants=["DELETE (id)"]), "cannot be granted"),
        (lambda: tenant_table("t", {}, grants=["UPDATE (nmae)"]), "t has no column 'nmae'"),
        (lambda: reference("of", "p", on_delete="RESTRICT"), "cannot be ON DELETE RESTRICT"),  # type: ignore[arg-type]
        (lambda: member("the owner"), "'the owner' cannot be a name"),
    ],
)
def test_refuses_what_would_not_hold(written: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        written()


def test_takes_words_in_strings_for_what_they_are() -> None:
    assert "DEFAULT 'unique'" in tenant_table("t", {"kind": "text DEFAULT 'unique'"})


@pytest.fixture
async def tables(owner: Db, runtime: Db) -> None:
    await owner.execute(PROJECTS + TASKS)


@pytest.mark.usefixtures("tables")
class TestHolds:
    async def test_what_check_asks_for(self, owner: Db) -> None:
        assert await isolation.faults(owner) == []

    async def test_organisations_apart(self, fresh: Api, runtime: Db, owner: Db) -> None:
        mine, theirs = await fresh.register(), await fresh.register()
        project = await add(runtime, mine, "Apollo")
        await add(runtime, theirs, "Apollo")  # unique in each
        assert [row["name"] for row in await runtime.fetch("SELECT name FROM projects")] == [
            "Apollo"
        ]
        with pytest.raises(asyncpg.ForeignKeyViolationError):  # entered into theirs
            await task(runtime, theirs, project)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await task(runtime, mine, project)
        assert await runtime.execute("DELETE FROM projects WHERE id = $1", project) == "DELETE 0"

    async def test_people_to_their_own_organisation(self, fresh: Api, runtime: Db) -> None:
        mine, theirs = await fresh.register(), await fresh.register()
        project = await add(runtime, mine, "Apollo")
        await task(runtime, mine, project, mine)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await task(runtime, mine, project, theirs)

    async def test_what_a_member_had_when_they_leave(self, fresh: Api, runtime: Db) -> None:
        """The row still says whose it was, and memberships that they are gone."""
        admin = await fresh.register()
        member = await admin.add()
        await task(runtime, admin, await add(runtime, admin, "Apollo"), member)
        ok(await admin.remove(member.id))
        row = await runtime.fetchrow(
            """SELECT users.name, memberships.removed_at IS NULL AS member
                 FROM tasks
                 JOIN memberships ON memberships.organisation_id = tasks.organisation_id
                                 AND memberships.user_id = tasks.assignee_id
                 JOIN users ON users.id = tasks.assignee_id"""
        )
        assert row is not None
        assert row["name"]
        assert row["member"] is False

    async def test_nothing_of_an_organisation_that_is_purged(
        self, fresh: Api, runtime: Db, owner: Db, worker_url: str
    ) -> None:
        mine, theirs = await fresh.register(), await fresh.register()
        for account in (mine, theirs):
            project = await add(runtime, account, "Apollo")
            await task(runtime, account, project, account)
        await owner.execute(
            "UPDATE organisations SET deleted_at = now() - interval '31 days' WHERE id = $1",
            UUID(mine.organisation["id"]),
        )
        worker = await asyncpg.connect(worker_url)
        assert await worker.fetchval("SELECT tenantry.purge_organisations()") == 1
        await worker.close()
        for table in ("projects", "tasks"):
            left = [row[0] for row in await owner.fetch(f"SELECT organisation_id FROM {table}")]
            assert left == [UUID(theirs.organisation["id"])]

    async def test_no_name_of_a_person_who_is_erased(
        self, fresh: Api, runtime: Db, owner: Db
    ) -> None:
        """A row that points to a person says who they were only through users, which forgets."""
        admin = await fresh.register()
        member = await admin.add()
        await task(runtime, admin, await add(runtime, admin, "Apollo"), member)
        ok(await admin.remove(member.id))
        assert await runtime.fetchval("SELECT tenantry.erase_person($1)", UUID(member.id))
        name = "SELECT users.name FROM tasks JOIN users ON users.id = tasks.assignee_id"
        assert await runtime.fetchval(name) == "Former member"


async def add(runtime: Db, account: Account, name: str) -> UUID:
    """A project in the organisation of this account, which stays entered."""
    organisation = account.organisation["id"]
    await runtime.execute(ENTER, organisation)
    found: UUID = await runtime.fetchval(
        "INSERT INTO projects VALUES ($1, $2, $3) RETURNING id", UUID(organisation), uuid4(), name
    )
    return found


async def task(
    runtime: Db, account: Account, project: UUID, assignee: Account | None = None
) -> None:
    await runtime.execute(
        "INSERT INTO tasks VALUES ($1, $2, 'Land', $3, $4)",
        UUID(account.organisation["id"]),
        uuid4(),
        project,
        UUID(assignee.id) if assignee else None,
    )
