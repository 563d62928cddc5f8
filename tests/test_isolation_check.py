"""`tenantry check` finds what breaks the isolation, and names it."""

import re
from pathlib import Path
from typing import TypeAlias

import pytest
from asyncpg import Connection, IntegrityConstraintViolationError, Record

from tenantry.db import isolation

Db: TypeAlias = "Connection[Record]"


async def test_finds_nothing_wrong_with_the_migrations(owner: Db, runtime: Db) -> None:
    assert await isolation.faults(owner) == []


@pytest.mark.parametrize(
    ("damage", "what", "problem"),
    [
        (
            "ALTER TABLE invites DISABLE ROW LEVEL SECURITY",
            "public.invites",
            "not enabled",
        ),
        ("ALTER TABLE invites NO FORCE ROW LEVEL SECURITY", "public.invites", "not forced"),
        ("DROP POLICY isolation ON invites", "public.invites", "no isolation policy"),
        (
            "CREATE POLICY more ON invites USING (true)",
            "public.invites",
            "more lets through more",
        ),
        (
            "CREATE POLICY more ON invites FOR INSERT WITH CHECK (role = 'MEMBER')",
            "public.invites",
            "more lets through more",
        ),
        (
            "CREATE TABLE projects (id uuid PRIMARY KEY, organisation_id uuid)",
            "public.projects",
            "does not begin with organisation_id",
        ),
        (
            """CREATE TABLE projects (organisation_id uuid, id uuid, owner uuid,
                   PRIMARY KEY (organisation_id, id));
               CREATE TABLE tasks (organisation_id uuid, id uuid, project uuid,
                   PRIMARY KEY (organisation_id, id));
               ALTER TABLE projects ADD UNIQUE (id);
               ALTER TABLE tasks ADD CONSTRAINT of_project FOREIGN KEY (project)
                   REFERENCES projects (id)""",
            "public.tasks",
            "of_project to projects lacks the organisation",
        ),
        (
            "CREATE POLICY more ON users USING (true)",
            "public.users",
            "more does not ask for the entered organisation",
        ),
        (
            "GRANT SELECT ON users TO tenantry_runtime",
            "public.users.password_hash",
            "only the doors may",
        ),
        (
            """CREATE POLICY more ON sessions USING (true);
               GRANT SELECT (id) ON sessions TO tenantry_runtime""",
            "public.sessions.id",
            "only the doors may",
        ),
        (
            "GRANT SELECT (token_hash) ON invites TO {login}",
            "public.invites.token_hash",
            "only the doors may",
        ),
        (
            """CREATE OR REPLACE FUNCTION tenantry.current_organisation() RETURNS uuid
                   LANGUAGE sql STABLE RETURN (SELECT id FROM organisations LIMIT 1)""",
            "tenantry.current_organisation()",
            "is not the migrations' own",
        ),
        (
            "GRANT CREATE ON DATABASE {database} TO {login}",
            "{login}",
            "may create schemas",
        ),
        ("GRANT TRUNCATE ON activities TO tenantry_runtime", "public.activities", "TRUNCATE"),
        (
            "GRANT CREATE ON SCHEMA public TO tenantry_runtime",
            "tenantry_runtime",
            "may create in the schema public",
        ),
        (
            "CREATE TABLE settings (key text); GRANT SELECT ON settings TO tenantry_runtime",
            "public.settings",
            "no forced row-level security",
        ),
        (
            """CREATE VIEW everybody AS SELECT * FROM users;
               GRANT SELECT ON everybody TO tenantry_runtime""",
            "public.everybody",
            "a view runs with its owner's rights",
        ),
        (
            """CREATE MATERIALIZED VIEW everybody AS SELECT email FROM users;
               GRANT SELECT ON everybody TO tenantry_runtime""",
            "public.everybody",
            "a materialised view has no policies",
        ),
        (
            """CREATE FUNCTION leak() RETURNS SETOF users LANGUAGE sql SECURITY DEFINER
                   RETURN NULL::users""",
            "leak()",
            "runs with the rights of postgres",
        ),
        (
            "ALTER FUNCTION tenantry.enter RESET search_path",
            "tenantry.enter(uuid,uuid,uuid)",
            "without a pinned search_path",
        ),
        ("ALTER TABLE invites OWNER TO {login}", "{login}", "owns invites"),
        ("ALTER ROLE {login} BYPASSRLS", "{login}", "has BYPASSRLS"),
        ("ALTER ROLE {login} CREATEROLE", "{login}", "may create roles"),
        ("GRANT pg_read_all_data TO {login}", "{login}", "is a member of pg_read_all_data"),
        ("GRANT tenantry_door TO {login}", "{login}", "is a member of tenantry_door"),
        ("GRANT tenantry_worker TO {login}", "{login}", "is a member of tenantry_worker"),
        (
            "GRANT SELECT ON tenantry_jobs.pgqueuer TO {login}",
            "tenantry_jobs.pgqueuer",
            "no forced",
        ),
        ("GRANT SELECT (id) ON users TO {worker}", "public.users", "the worker's business"),
        ("GRANT DELETE ON invites TO tenantry_worker", "public.invites", "the worker's business"),
        ("ALTER ROLE {worker} BYPASSRLS", "{worker}", "has BYPASSRLS"),
        ("GRANT tenantry_runtime TO {worker}", "{worker}", "is a member of tenantry_runtime"),
        (
            """CREATE FUNCTION leak() RETURNS SETOF users LANGUAGE sql SECURITY DEFINER
                   RETURN NULL::users;
               REVOKE EXECUTE ON FUNCTION leak() FROM PUBLIC;
               GRANT EXECUTE ON FUNCTION leak() TO {worker}""",
            "leak()",
            "{worker} may call it",
        ),
    ],
)
async def test_names_the_table_or_role(
    owner: Db, runtime: Db, damage: str, what: str, problem: str
) -> None:
    login = await runtime.fetchval("SELECT current_user")
    database = await owner.fetchval("SELECT current_database()")
    names = {"login": login, "database": database, "worker": f"{database}_worker"}
    await owner.execute(damage.format(**names))
    faults = await isolation.faults(owner)
    matching = [fault for fault in faults if problem.format(**names) in fault.problem]
    assert what.format(**names) in {fault.what for fault in matching}, faults
    await mend(owner)


async def mend(owner: Db) -> None:
    """Run what the faults say, as somebody does who copies it, until there are none."""
    for _ in range(3):
        faults = await isolation.faults(owner)
        for fault in faults:
            await owner.execute(fault.mend)
    assert await isolation.faults(owner) == []


PROJECTS = """
CREATE TABLE projects (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id              uuid NOT NULL,
    name            text NOT NULL,
    PRIMARY KEY (organisation_id, id)
);
ALTER TABLE projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON projects
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT, UPDATE, DELETE ON projects TO tenantry_runtime;
"""
TASKS = PROJECTS.replace("projects", "tasks").replace(
    "name            text", "project_id      uuid"
)
TO_PROJECTS = "FOREIGN KEY (organisation_id, project_id) REFERENCES projects (organisation_id, id)"


@pytest.mark.parametrize(
    ("mistake", "problem", "mend_text"),
    [
        (
            "ALTER TABLE projects DROP CONSTRAINT projects_organisation_id_fkey",
            "its rows are not deleted with their organisation",
            (
                "ALTER TABLE public.projects ADD FOREIGN KEY (organisation_id) "
                "REFERENCES public.organisations ON DELETE CASCADE"
            ),
        ),
        (
            """ALTER TABLE projects DROP CONSTRAINT projects_organisation_id_fkey,
                   ADD FOREIGN KEY (organisation_id) REFERENCES organisations""",
            "projects_organisation_id_fkey to organisations keeps organisations from being purged",
            (
                "ALTER TABLE public.projects "
                "DROP CONSTRAINT IF EXISTS projects_organisation_id_fkey, "
                "ADD CONSTRAINT projects_organisation_id_fkey FOREIGN KEY (organisation_id) "
                "REFERENCES organisations (id) ON DELETE CASCADE"
            ),
        ),
        (
            f"ALTER TABLE tasks ADD CONSTRAINT of_project {TO_PROJECTS} ON DELETE SET NULL",
            "of_project to projects would empty organisation_id too",
            (
                "ALTER TABLE public.tasks DROP CONSTRAINT IF EXISTS of_project, ADD CONSTRAINT "
                f"of_project {TO_PROJECTS} ON DELETE SET NULL (project_id)"
            ),
        ),
        (
            """CREATE TABLE exports (id uuid PRIMARY KEY, project uuid, tenant uuid,
                   CONSTRAINT of_project FOREIGN KEY (tenant, project) REFERENCES projects)""",
            "of_project to projects keeps organisations from being purged",
            (
                "ALTER TABLE public.exports DROP CONSTRAINT IF EXISTS of_project, ADD CONSTRAINT "
                "of_project FOREIGN KEY (tenant, project) "
                "REFERENCES projects (organisation_id, id) ON DELETE CASCADE"
            ),
        ),
        (
            "ALTER TABLE projects ADD UNIQUE (name)",
            "public.projects_name_key is unique without the organisation",
            (
                "ALTER TABLE public.projects DROP CONSTRAINT projects_name_key, "
                "ADD UNIQUE (organisation_id, name)"
            ),
        ),
        (
            "CREATE UNIQUE INDEX names ON projects (name)",
            "public.names is unique without the organisation",
            (
                "DROP INDEX public.names; "
                "CREATE UNIQUE INDEX ON public.projects (organisation_id, name)"
            ),
        ),
        (
            "CREATE UNIQUE INDEX names ON projects (lower(name))",
            "public.names is unique without the organisation",
            "DROP INDEX public.names; -- and make it again, with organisation_id first",
        ),
        (
            "ALTER TABLE projects DROP CONSTRAINT projects_pkey, ADD PRIMARY KEY (id)",
            "the primary key does not begin with organisation_id",
            (
                "ALTER TABLE public.projects DROP CONSTRAINT projects_pkey, "
                "ADD PRIMARY KEY (organisation_id, id)"
            ),
        ),
        (
            "ALTER TABLE projects DROP CONSTRAINT projects_pkey",
            "the primary key does not begin with organisation_id",
            "ALTER TABLE public.projects ADD PRIMARY KEY (organisation_id, id)",
        ),
        (
            """ALTER TABLE projects DROP CONSTRAINT projects_pkey, ADD PRIMARY KEY (id);
               ALTER TABLE tasks ADD CONSTRAINT of_project
                   FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE""",
            "of_project to projects lacks the organisation",
            (
                "ALTER TABLE public.tasks DROP CONSTRAINT IF EXISTS of_project, ADD CONSTRAINT "
                f"of_project {TO_PROJECTS} ON DELETE CASCADE"
            ),
        ),
        (
            """ALTER POLICY isolation ON projects USING (true)""",
            "the policy isolation lets through more than the entered organisation's rows",
            (
                "DROP POLICY isolation ON public.projects; "
                "CREATE POLICY isolation ON public.projects "
                "USING (organisation_id = (SELECT tenantry.current_organisation()))"
            ),
        ),
        (
            """ALTER TABLE projects DROP CONSTRAINT projects_pkey,
                   ALTER organisation_id DROP NOT NULL""",
            "organisation_id may be null",
            "ALTER TABLE public.projects ALTER organisation_id SET NOT NULL",
        ),
    ],
)
async def test_names_the_mend_of_a_feature_written_wrongly(
    owner: Db, runtime: Db, mistake: str, problem: str, mend_text: str
) -> None:
    await owner.execute(PROJECTS + TASKS)
    assert await isolation.faults(owner) == []
    await owner.execute(mistake)
    faults = await isolation.faults(owner)
    assert [fault.mend for fault in faults if problem in fault.problem] == [mend_text], faults
    await mend(owner)


APOLLO = """
INSERT INTO organisations (id, name, slug) VALUES (gen_random_uuid(), 'Acme', 'acme');
INSERT INTO projects SELECT id, gen_random_uuid(), 'Apollo' FROM organisations;
INSERT INTO tasks SELECT organisation_id, gen_random_uuid(), id FROM projects;
"""


@pytest.mark.parametrize(
    ("mistake", "deleted"),
    [
        (
            """ALTER TABLE projects DROP CONSTRAINT projects_organisation_id_fkey,
                   ADD FOREIGN KEY (organisation_id) REFERENCES organisations""",
            "organisations",
        ),
        (
            """CREATE TABLE exports (id uuid PRIMARY KEY, project uuid, tenant uuid,
                   FOREIGN KEY (tenant, project) REFERENCES projects);
               INSERT INTO exports SELECT id, id, organisation_id FROM projects""",
            "organisations",
        ),
        (
            f"""ALTER TABLE tasks ALTER project_id DROP NOT NULL,
                    ADD CONSTRAINT of_project {TO_PROJECTS} ON DELETE SET NULL""",
            "projects",
        ),
    ],
)
async def test_what_cannot_be_deleted_can_be_once_it_is_mended(
    owner: Db, runtime: Db, mistake: str, deleted: str
) -> None:
    await owner.execute(PROJECTS + TASKS + APOLLO)
    await owner.execute(mistake)
    with pytest.raises(IntegrityConstraintViolationError):
        await owner.execute(f"DELETE FROM {deleted}")
    await mend(owner)
    await owner.execute(f"DELETE FROM {deleted}")
    assert await owner.fetchval("SELECT count(*) FROM projects") == 0


@pytest.mark.parametrize("action", ["", "ON DELETE RESTRICT", "ON DELETE CASCADE"])
async def test_keys_between_a_features_tables_let_its_organisation_be_purged(
    owner: Db, runtime: Db, action: str
) -> None:
    await owner.execute(PROJECTS + TASKS + APOLLO)
    await owner.execute(f"ALTER TABLE tasks ADD {TO_PROJECTS} {action}")
    assert await isolation.faults(owner) == []
    await owner.execute("DELETE FROM organisations")
    assert await owner.fetchval("SELECT count(*) FROM tasks") == 0


async def test_rows_that_would_outlive_their_organisation_are_named(owner: Db, runtime: Db) -> None:
    await owner.execute(PROJECTS + TASKS + APOLLO)
    await owner.execute("ALTER TABLE tasks DROP CONSTRAINT tasks_organisation_id_fkey")
    await mend(owner)
    await owner.execute("DELETE FROM organisations")
    assert await owner.fetchval("SELECT count(*) FROM tasks") == 0


DOORS = """
SELECT DISTINCT p.proname
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'tenantry' AND p.prosecdef
   AND (has_function_privilege('tenantry_runtime', p.oid, 'EXECUTE')
        OR has_function_privilege('tenantry_worker', p.oid, 'EXECUTE'))
"""


async def test_every_door_stands_in_the_architectures_table_and_no_other(owner: Db) -> None:
    text = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text()
    table = text.partition("**Doors** are")[2].partition("**Scopes.**")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {door for row in rows for door in re.findall(r"`(\w+)`", row)}
    assert named == {row["proname"] for row in await owner.fetch(DOORS)}
