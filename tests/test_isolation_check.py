"""`tenantry check` finds what breaks the isolation, and names it."""

from typing import TypeAlias

import pytest
from asyncpg import Connection, Record

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
    assert all(fault.mend for fault in faults)
