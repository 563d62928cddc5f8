"""A feature's migrations beside the core's: run, upgraded, refused, left behind."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from tenantry import Feature
from tenantry.db import branches, isolation, migrate, schema
from tenantry.db.branches import CORE, HEAD, VERSIONS, SchemaError, heads
from tenantry.testing import Api, Serve, ok, refused
from tenantry.testing.databases import of_database
from tenantry.testing.servers import REFRESH_SECRET, SECRET
from tests.processes import serving, tenantry

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Write: TypeAlias = Callable[..., Path]

PROJECTS = """tenant_table("projects", {"name": "text NOT NULL"})"""
TASKS = """tenant_table(
        "tasks",
        {"title": "text NOT NULL", "project_id": "uuid NOT NULL", "assignee_id": "uuid"},
        references=[
            reference("project_id", "projects", on_delete="CASCADE"),
            member("assignee_id"),
        ],
        unique=[["project_id", "title"]],
    )"""

WAITING = """
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND NOT granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def quiet(_: str) -> None:
    """What is said, unheard."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "projects_feature" / "migrations"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes the migration of this number, which runs this SQL; gives its file."""

    def written(number: int, sql: str, name: str = "projects", **said: object) -> Path:
        first = number == 1
        lines = {
            "revision": f"{name}_{number:04}",
            "down_revision": None if first else f"{name}_{number - 1:04}",
            **({"branch_labels": (name,), "depends_on": "0012"} if first else {}),
            **said,
        }
        into = folder if name == "projects" else folder.parent.parent / name
        into.mkdir(exist_ok=True)
        file = into / f"{number:04}_{name}.py"
        file.write_text(
            '"""What it is for."""\n'
            "from tenantry.migrations import member, reference, run, tenant_table\n"
            + "".join(f"{key} = {value!r}\n" for key, value in lines.items())
            + f"def upgrade() -> None:\n    run({sql})\n"
        )
        return file

    return written


@pytest.fixture
def folders(folder: Path, write: Write) -> dict[str, Path]:
    write(1, PROJECTS)
    return {"projects": folder}


async def organisation_in(owner: Db) -> UUID:
    found: UUID = await owner.fetchval(
        "INSERT INTO organisations (id, name, slug) VALUES ($1, 'Acme', $2) RETURNING id",
        uuid4(),
        secrets.token_hex(),
    )
    return found


async def rows(owner: Db) -> list[str]:
    return [row[0] for row in await owner.fetch("SELECT version_num FROM alembic_version")]


@pytest.fixture
async def empty(cluster: str) -> AsyncIterator[str]:
    """A database without a schema; its owner's URL."""
    name = f"t_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(cluster)
    await connection.execute(f"CREATE DATABASE {name}")
    yield of_database(cluster, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.execute(f"DROP ROLE IF EXISTS {name}_runtime, {name}_worker")
    await connection.close()


class TestAreRun:
    async def test_beside_the_cores_from_nothing(
        self, empty: str, folders: dict[str, Path], write: Write
    ) -> None:
        write(2, TASKS)
        stands = await schema.bring_up_to_date(empty, folders, say=quiet)
        assert stands.at == {CORE: HEAD, "projects": "projects_0002"}
        owner = await asyncpg.connect(empty)
        assert sorted(await rows(owner)) == [HEAD, "projects_0002"]
        assert await isolation.faults(owner) == []
        assert {"public.projects", "public.tasks"} <= set(await isolation.tenant_tables(owner))
        await owner.close()

    async def test_from_one_version_to_the_next_with_rows(
        self, owner_url: str, owner: Db, folders: dict[str, Path], write: Write
    ) -> None:
        said: list[str] = []
        await schema.bring_up_to_date(owner_url, folders, say=said.append)
        organisation = await organisation_in(owner)
        await owner.execute(
            "INSERT INTO projects VALUES ($1, gen_random_uuid(), 'Apollo')", organisation
        )
        write(2, "\"ALTER TABLE projects ADD COLUMN state text NOT NULL DEFAULT 'open'\"")
        await schema.bring_up_to_date(owner_url, folders, say=said.append)
        assert await owner.fetchval("SELECT state FROM projects") == "open"
        assert sorted(await rows(owner)) == [HEAD, "projects_0002"]
        assert said == [
            "Migrating the database's schema of projects from nothing to projects_0001 …",
            "Migrating the database's schema of projects from projects_0001 to projects_0002 …",
        ]
        await schema.bring_up_to_date(owner_url, folders, say=said.append)
        assert len(said) == 2

    @pytest.mark.parametrize("depends_on", ["0012", HEAD])
    async def test_and_the_core_is_upgraded_later(
        self,
        owner_url: str,
        owner: Db,
        folders: dict[str, Path],
        write: Write,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        depends_on: str,
    ) -> None:
        """What the feature depends on is the core's head, or not: the core keeps its row."""
        write(1, PROJECTS, depends_on=depends_on)
        await schema.migrate(owner_url, folders)
        next_one = f"{int(HEAD) + 1:04}"
        core = tmp_path / "core"
        shutil.copytree(VERSIONS, core)
        (core / f"{next_one}_next.py").write_text(
            "from tenantry.db.migrations.script import run\n"
            f'revision, down_revision = "{next_one}", "{HEAD}"\n'
            'def upgrade() -> None:\n    run("CREATE TABLE later (id int)")\n'
        )
        for module in (branches, migrate):  # the next Tenantry
            monkeypatch.setattr(module, "VERSIONS", core)
            monkeypatch.setattr(module, "HEAD", next_one)
        await migrate.migrate(owner_url, folders)
        assert sorted(await rows(owner)) == [next_one, "projects_0001"]
        write(2, TASKS, depends_on=next_one)
        await migrate.migrate(owner_url, folders)
        assert sorted(await rows(owner)) == [next_one, "projects_0002"]

    async def test_by_several_nodes_at_once(
        self, empty: str, folders: dict[str, Path], write: Write
    ) -> None:
        """All of them find that there is something to migrate, and one does."""
        write(2, TASKS)
        owner = await asyncpg.connect(empty)
        await owner.execute("SELECT pg_advisory_lock($1)", migrate.ADVISORY_LOCK)
        async with asyncio.TaskGroup() as group:
            nodes = [
                group.create_task(schema.prepare(empty, folders, secret=REFRESH_SECRET, say=quiet))
                for _ in range(3)
            ]
            async with asyncio.timeout(60):  # of three processes to start
                while await owner.fetchval(WAITING) < len(nodes):
                    pass
            await owner.execute("SELECT pg_advisory_unlock($1)", migrate.ADVISORY_LOCK)
        assert len({node.result() for node in nodes}) == 1
        assert sorted(await rows(owner)) == [HEAD, "projects_0002"]
        await owner.close()

    async def test_wholly_or_not_at_all(
        self, owner_url: str, owner: Db, folders: dict[str, Path], write: Write
    ) -> None:
        """Each with its row in alembic_version; what came before it stands."""
        write(2, TASKS)
        file = write(3, '"CREATE TABLE half (id int)"')
        file.write_text(file.read_text() + '    run("SELECT nonsense")\n')
        with pytest.raises(SchemaError, match='"nonsense" does not exist') as failure:
            await schema.migrate(owner_url, folders)
        assert str(file) in str(failure.value)
        assert await owner.fetchval("SELECT to_regclass('half')") is None
        assert sorted(await rows(owner)) == [HEAD, "projects_0002"]

    async def test_within_five_seconds_of_waiting_for_a_lock(
        self, owner_url: str, owner: Db, folders: dict[str, Path], write: Write
    ) -> None:
        await schema.migrate(owner_url, folders)
        write(2, '"ALTER TABLE projects ADD COLUMN state text"')
        async with owner.transaction():
            await owner.execute("SELECT * FROM projects")
            with pytest.raises(SchemaError) as failure:
                await schema.migrate(owner_url, folders)
        assert "projects_0002 waited 5s for a lock" in str(failure.value)
        assert "Traceback" not in str(failure.value)
        await schema.migrate(owner_url, folders)

    async def test_in_the_order_in_which_features_depend_on_each_other(
        self, owner_url: str, owner: Db, folders: dict[str, Path], write: Write
    ) -> None:
        """An invoice points to a project: by name it would come first."""
        sql = """tenant_table("invoices", {"project_id": "uuid NOT NULL"},
            references=[reference("project_id", "projects")])"""
        file = write(1, sql, "billing", depends_on=("0012", "projects_0001"))
        await schema.migrate(owner_url, {**folders, "billing": file.parent})
        assert sorted(await rows(owner)) == [HEAD, "billing_0001", "projects_0001"]
        assert await isolation.faults(owner) == []

    async def test_as_sql_that_can_be_read_first_and_run_by_hand(
        self, owner_url: str, owner: Db, folders: dict[str, Path], write: Write
    ) -> None:
        write(2, TASKS)
        script = await schema.migrate(owner_url, folders, sql=True)
        assert await rows(owner) == [HEAD]
        assert "-- projects_0001: What it is for." in script
        assert "CREATE TABLE tasks (" in script
        await owner.execute(script)
        assert sorted(await rows(owner)) == [HEAD, "projects_0002"]
        assert await isolation.faults(owner) == []
        assert await schema.migrate(owner_url, folders, sql=True) == ""


class TestAreRefused:
    @pytest.mark.parametrize(
        ("said", "sentence"),
        [
            ({"branch_labels": ("tasks",)}, 'must say branch_labels = ("projects",)'),
            ({"branch_labels": None}, 'must say branch_labels = ("projects",)'),
            ({"depends_on": None}, "must say depends_on = "),
            ({"depends_on": "9999"}, "depends on the core's 9999, and this Tenantry's schema is"),
            ({"depends_on": "wiki_0001"}, "depends on wiki_0001. Install the feature wiki"),
            ({"revision": "3f2a"}, "must say revision = 'projects_0001', and says '3f2a'"),
        ],
    )
    async def test_where_the_first_is_not_the_features(
        self,
        owner_url: str,
        owner: Db,
        folder: Path,
        write: Write,
        said: dict[str, object],
        sentence: str,
    ) -> None:
        write(1, PROJECTS, **said)
        with pytest.raises(SchemaError) as failure:
            await schema.migrate(owner_url, {"projects": folder})
        assert sentence in str(failure.value)
        assert "Traceback" not in str(failure.value)
        assert await rows(owner) == [HEAD]

    async def test_with_two_heads(
        self, owner_url: str, folders: dict[str, Path], folder: Path, write: Write
    ) -> None:
        write(2, TASKS)
        write(3, TASKS, down_revision="projects_0001")
        with pytest.raises(SchemaError, match="must say down_revision = 'projects_0002'"):
            await schema.migrate(owner_url, folders)
        shutil.copy(folder / "0002_projects.py", folder / "0002_others.py")
        with pytest.raises(SchemaError, match=r"two heads: 0002_others\.py and 0002_projects\.py"):
            heads(folders)

    async def test_that_wait_for_each_other(
        self, owner_url: str, folders: dict[str, Path], write: Write
    ) -> None:
        write(1, PROJECTS, depends_on=("0012", "billing_0001"))
        file = write(1, TASKS, "billing", depends_on=("0012", "projects_0001"))
        with pytest.raises(SchemaError, match="Migrations wait for each other"):
            await schema.migrate(owner_url, {**folders, "billing": file.parent})

    def test_where_there_are_none(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(SchemaError, match="The migrations of projects are missing"):
                heads({"projects": folder})

    def test_with_names_that_say_nothing(self, folder: Path, folders: dict[str, Path]) -> None:
        for name in ("core", "Projects", "", "x" * 28, "my-feature"):
            with pytest.raises(SchemaError, match="cannot be a feature's name"):
                heads({name: folder})
        (folder / "__init__.py").touch()
        assert heads(folders)["projects"] == "projects_0001"
        (folder / "add_state.py").touch()
        with pytest.raises(SchemaError, match=r"add_state.py is not called NNNN_subject.py"):
            heads(folders)


class TestIsServed:
    async def test_only_on_the_features_schema(
        self, owner_url: str, owner: Db, serve: Serve, folders: dict[str, Path], write: Write
    ) -> None:
        feature = Feature(name="projects", migrations=folders["projects"])
        server = await serve(feature)
        message = refused(await server.get("/ready"), 503)["message"]
        assert "schema of projects is at nothing, and this version needs projects_0001" in message
        await schema.migrate(owner_url, folders)
        ready = ok(await server.get("/ready"))
        assert ready == {
            "database": "ok",
            "schema": HEAD,
            "features": {"projects": "projects_0001"},
        }
        write(2, TASKS)
        await schema.migrate(owner_url, folders)
        message = refused(await server.get("/ready"), 503)["message"]
        assert "(projects_0002) is newer than the installed feature's (projects_0001)" in message

    async def test_by_a_role_that_may_not_migrate_once_the_owner_has(
        self,
        owner_url: str,
        runtime_url: str,
        worker_url: str,
        folders: dict[str, Path],
        folder: Path,
    ) -> None:
        sentence = "schema of projects is at nothing.*Run `tenantry migrate` with the owner's"
        with pytest.raises(SchemaError, match=sentence):
            await schema.prepare(runtime_url, folders, secret=REFRESH_SECRET, say=quiet)
        with pytest.raises(SchemaError, match=sentence):
            await schema.require_worker(worker_url, folders)
        await schema.migrate(owner_url, folders)
        await schema.require_worker(worker_url, folders)
        logins = await schema.prepare(runtime_url, folders, secret=REFRESH_SECRET, say=quiet)
        assert logins.runtime == runtime_url

    async def test_not_by_an_older_version(
        self, owner_url: str, folders: dict[str, Path], folder: Path, write: Write
    ) -> None:
        newest = write(2, TASKS)
        await schema.migrate(owner_url, folders)
        newest.unlink()
        with pytest.raises(SchemaError, match="newer than the installed feature's"):
            await schema.bring_up_to_date(owner_url, folders, say=quiet)

    async def test_without_a_feature_that_was_uninstalled(
        self, owner_url: str, owner: Db, serve: Serve, folders: dict[str, Path], write: Write
    ) -> None:
        """Its tables and its row stay, and the others' migrations go on."""
        write(1, PROJECTS, depends_on=HEAD)
        await schema.migrate(owner_url, folders)
        said: list[str] = []
        wiki = write(1, 'tenant_table("pages", {"text": "text"})', "wiki").parent
        stands = await schema.bring_up_to_date(owner_url, {"wiki": wiki}, say=said.append)
        assert stands.at == {CORE: HEAD, "wiki": "wiki_0001"}
        assert stands.left == ["projects_0001"]
        assert "The feature projects is not installed; its tables stay (projects_0001)." in said
        ready = ok(await (await serve(Feature(name="wiki", migrations=wiki))).get("/ready"))
        assert ready["features"] == {"wiki": "wiki_0001"}
        assert await owner.fetchval("SELECT count(*) FROM projects") == 0
        await schema.bring_up_to_date(owner_url, {**folders, "wiki": wiki}, say=said.append)


@pytest.fixture
def environment(owner_url: str, folders: dict[str, Path], folder: Path) -> dict[str, str]:
    """Of commands, with the feature installed: a package with its entry point, on the path."""
    package, site = folder.parent, folder.parent.parent
    (package / "__init__.py").write_text(
        "from pathlib import Path\nfrom tenantry import Feature\n"
        "feature = Feature(name='projects', migrations=Path(__file__).parent / 'migrations')\n"
    )
    info = site / "projects_feature-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: projects-feature\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tenantry.features]\nprojects = projects_feature:feature\n"
    )
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return {
        "DATABASE_URL": owner_url,
        "PYTHONPATH": path,
        "JWT_ACCESS_SECRET": SECRET,
        "JWT_REFRESH_SECRET": REFRESH_SECRET,
    }


class TestCommands:
    async def test_migrate_shows_the_core_and_each_feature(
        self, environment: dict[str, str], owner: Db
    ) -> None:
        run = await command("migrate", "--sql", environment=environment)
        assert "CREATE TABLE projects (" in run
        assert "[" not in run.partition("CREATE")[0]
        assert await rows(owner) == [HEAD]
        for _ in range(2):
            run = await command("migrate", environment=environment)
            assert f"The database is at {HEAD}." in run
            assert "projects is at projects_0001." in run

    async def test_serve_migrates_and_check_covers_its_tables(
        self, environment: dict[str, str], tmp_path: Path, owner: Db
    ) -> None:
        with serving(environment=environment, cwd=tmp_path) as server:
            async with Api(server.url) as client:
                assert ok(await client.get("/ready"))["features"] == {"projects": "projects_0001"}
        assert "✓ public.projects" in await command("check", environment=environment)
        await owner.execute("DELETE FROM alembic_version WHERE version_num LIKE 'projects%'")
        assert "schema of projects is at nothing" in await command("check", environment=environment)
        await owner.execute("ALTER TABLE projects NO FORCE ROW LEVEL SECURITY")
        run = await asyncio.to_thread(
            tenantry, "check", environment={**environment, "COLUMNS": "200"}
        )
        assert run.returncode == 1
        assert "ALTER TABLE public.projects FORCE ROW LEVEL SECURITY" in run.stdout


async def command(*words: str, environment: dict[str, str]) -> str:
    run = await asyncio.to_thread(tenantry, *words, environment=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
