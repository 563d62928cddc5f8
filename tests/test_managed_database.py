"""A database as managed ones are: its owner is no superuser."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tenantry.db import embedded, isolation, schema
from tenantry.db.branches import SchemaError
from tenantry.migrations import member, reference, tenant_table
from tenantry.testing import Api, make_settings, ok, serving
from tenantry.testing.databases import FAST, of_database
from tenantry.testing.servers import REFRESH_SECRET


@pytest.fixture
def own_cluster() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="tenantry-managed-"))
    with embedded.running(folder, configuration=FAST) as url:
        yield url
    shutil.rmtree(folder)


@pytest.fixture
async def landlords_url(own_cluster: str) -> str:
    superuser = await asyncpg.connect(own_cluster)
    await superuser.execute("CREATE ROLE landlord LOGIN CREATEROLE")
    await superuser.execute("CREATE DATABASE house OWNER landlord")
    await superuser.close()
    return of_database(own_cluster, "house").replace("//postgres@", "//landlord@")


async def test_is_migrated_and_served_with_an_owners_rights(landlords_url: str) -> None:
    owner_url = landlords_url
    runtime_url = (
        await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)
    ).runtime
    assert "//house_runtime:" in runtime_url

    async with serving(make_settings(runtime_url)) as url, Api(url) as api:
        admin = await api.register()
        member = await admin.add()
        ok(await admin.change_plan("PRO"))
        ok(await admin.remove(member.id))
        assert len(await admin.feed()) == 6

    owner = await asyncpg.connect(owner_url)
    assert await isolation.faults(owner) == []
    # Forced row-level security binds the owner too, who here is a member of the doors' role.
    again = (await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)).runtime
    assert again == runtime_url
    await owner.close()


async def test_hides_no_row_from_a_features_migration(
    landlords_url: str, own_cluster: str, tmp_path: Path
) -> None:
    """Forced row-level security binds this owner: an error, where it would be silent."""
    features = {"projects": tmp_path}
    create = tenant_table("projects", {"name": "text NOT NULL"})
    await schema.migrate(landlords_url, write(tmp_path, 1, create))
    superuser = await asyncpg.connect(of_database(own_cluster, "house"))
    await superuser.execute("""
        INSERT INTO organisations (id, name, slug) VALUES (gen_random_uuid(), 'Acme', 'acme');
        INSERT INTO projects SELECT id, gen_random_uuid(), 'Apollo' FROM organisations;
    """)
    unforced = "ALTER TABLE projects NO FORCE ROW LEVEL SECURITY"
    forced = "ALTER TABLE projects FORCE ROW LEVEL SECURITY"
    for change in (
        "UPDATE projects SET name = upper(name)",
        "ALTER TABLE projects ADD FOREIGN KEY (organisation_id, id) REFERENCES projects",
    ):
        with pytest.raises(SchemaError, match="NO FORCE ROW LEVEL SECURITY") as failure:
            await schema.migrate(landlords_url, write(tmp_path, 2, change))
        assert "Traceback" not in str(failure.value)
    change = f"{unforced}; UPDATE projects SET name = upper(name); {forced}"
    await schema.migrate(landlords_url, write(tmp_path, 2, change))
    assert await superuser.fetchval("SELECT name FROM projects") == "APOLLO"
    tasks = tenant_table(
        "tasks",
        {"project_id": "uuid NOT NULL", "assignee_id": "uuid"},
        references=[reference("project_id", "projects"), member("assignee_id")],
    )
    await schema.migrate(landlords_url, write(tmp_path, 3, tasks))
    landlord = await asyncpg.connect(landlords_url)
    assert await isolation.faults(landlord) == []
    await landlord.close()
    # Its organisation is purged with all that the feature holds.
    await superuser.execute("""
        INSERT INTO tasks (organisation_id, id, project_id)
            SELECT organisation_id, gen_random_uuid(), id FROM projects;
        UPDATE organisations SET deleted_at = now() - interval '31 days';
    """)
    logins = await schema.prepare(landlords_url, features, secret=REFRESH_SECRET, say=print)
    assert logins.worker
    worker = await asyncpg.connect(logins.worker)
    assert await worker.fetchval("SELECT tenantry.purge_organisations()") == 1
    await worker.close()
    for table in ("organisations", "projects", "tasks"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0
    await superuser.close()


def write(folder: Path, number: int, sql: str) -> dict[str, Path]:
    """The migration of this number; gives the folders of the features."""
    previous = f"projects_{number - 1:04}" if number > 1 else None
    (folder / f"{number:04}_projects.py").write_text(
        "from tenantry.migrations import run\n"
        f"revision, down_revision = 'projects_{number:04}', {previous!r}\n"
        "branch_labels, depends_on = ('projects',), '0012'\n"
        f"def upgrade() -> None:\n    run({sql!r})\n"
    )
    return {"projects": folder}


async def test_takes_the_runtime_logins_password_and_no_other(own_cluster: str) -> None:
    """By a rule that asks for passwords, as the embedded database does not by itself."""
    runtime_url = (
        await schema.prepare(own_cluster, secret=REFRESH_SECRET, say=lambda _: None)
    ).runtime
    wrong_url = runtime_url.replace("_runtime:", "_runtime:x")
    superuser = await asyncpg.connect(own_cluster)
    rules = Path(await superuser.fetchval("SHOW hba_file"))
    rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")  # noqa: ASYNC240
    await superuser.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(10):
        with pytest.raises(asyncpg.InvalidPasswordError):
            while True:  # until the new rules are in force
                await (await asyncpg.connect(wrong_url)).close()
    await (await asyncpg.connect(runtime_url)).close()
    await superuser.close()


async def test_runs_nothing_that_lies_in_the_folder_it_is_started_in(
    own_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("asyncpg", "alembic", "tenantry"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not a library')")
    monkeypatch.chdir(tmp_path)
    superuser = await asyncpg.connect(own_cluster)
    await superuser.execute("CREATE DATABASE elsewhere")
    await superuser.close()
    await schema.migrate(of_database(own_cluster, "elsewhere"))
