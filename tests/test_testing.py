"""`tenantry.testing` in a project of its own, with and without pytest-xdist."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tenantry.testing import databases

INI = """
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "session"
asyncio_default_test_loop_scope = "session"
filterwarnings = ["error"]
"""
CONFTEST = """
import pytest
from tenantry.testing import Account

pytest_plugins = ["tenantry.testing"]

@pytest.fixture(scope="session")
def features():
    return []
"""
TESTS = """
import asyncpg
import pytest
from tenantry.testing import Api, Installation, Organisation, Serve, ok, refused

async def test_roles(organisation: Organisation, other_organisation: Organisation) -> None:
    for account, status in (
        (organisation.owner, 201),
        (organisation.admin, 201),
        (organisation.custom, 201),
        (organisation.member, 403),
    ):
        assert account.organisation["id"] == organisation.id != other_organisation.id
        answer = await account.broadcast("hello")
        ok(answer, status) if status == 201 else refused(answer, status)
    assert await other_organisation.member.feed(type="BROADCAST_MESSAGE") == []

async def test_socket(organisation: Organisation) -> None:
    async with organisation.member.socket() as socket:
        ok(await organisation.owner.broadcast("one"), 201)
        await organisation.owner.add("Somebody New")
        seen = await socket.until("USER_JOINED")
    assert [event["type"] for event in seen][0] == "BROADCAST_MESSAGE"

async def test_installation(installation: Installation) -> None:
    await installation.api.register()
    assert await installation.owner.fetchval("SELECT count(*) FROM users") == 1
    assert await installation.runtime.fetchval("SELECT count(*) FROM users") == 0

async def test_fresh(serve: Serve, fresh: Api, owner_connection, runtime_connection) -> None:
    small = await serve(rate_limit_global=None, password_min_length=40)
    refused(await small.post("/api/auth/register", name="Ada", email="ada@example.com",
                             password="short but uncommon", organisationName="Engines"), 422)
    ok(await fresh.get("/ready"))
    assert await owner_connection.fetchval("SELECT count(*) FROM users") == 0

async def test_assertions_explain_themselves(api: Api) -> None:
    with pytest.raises(AssertionError, match="GET /health answered 200, not 404: "):
        refused(await api.get("/health"), 404)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pyproject.toml").write_text(INI)
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    return tmp_path


def run_pytest(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("options", [["-n", "2"], ["-p", "no:xdist"]])
def test_works_in_one_process_and_in_several(project: Path, options: list[str]) -> None:
    run = run_pytest(project, *options)
    assert "5 passed" in run.stdout, run.stdout[-6000:] + run.stderr[-2000:]


def test_starts_nothing_that_is_not_asked_for(project: Path) -> None:
    (project / "tests" / "test_it.py").write_text("def test_nothing() -> None: pass")
    run = run_pytest(project, "--durations=0", "-vv", "--setup-show")
    assert "1 passed" in run.stdout
    assert "cluster" not in run.stdout


def test_says_what_pytest_asyncio_must_be_told(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    run = run_pytest(project)
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert 'asyncio_default_test_loop_scope = "session"' in run.stderr


KILLED = """
import signal, sys
from pathlib import Path
from tenantry.testing import databases
databases.MEMORY = Path(sys.argv[1])
databases.ENOUGH = 0
with databases.cluster():
    print("up", flush=True)
    signal.pause()
"""


def runs(process: str) -> bool:
    command = Path("/proc") / process / "cmdline"
    return command.exists() and command.read_bytes() != b""  # a zombie's is empty


def test_a_run_clears_away_what_a_killed_one_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the embedded database's user may enter.
    where = Path(tempfile.mkdtemp(prefix="tenantry-runs-"))
    where.chmod(0o755)
    monkeypatch.setattr(databases, "MEMORY", where)
    monkeypatch.setattr(databases, "ENOUGH", 0)
    command: list[str | Path] = [sys.executable, "-c", KILLED, where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stdout.readline() == "up\n"
        [folder] = where.glob("tenantry-tests-*")
        os.utime(folder, (0, 0))
        with databases.cluster():
            assert folder.exists(), "it is still held"
        run.kill()
    postmaster = (folder / "postgres" / "postmaster.pid").read_text().split()[0]
    assert runs(postmaster)
    with databases.cluster():
        assert not folder.exists()
        assert not runs(postmaster)
    assert list(where.iterdir()) == []
    where.rmdir()
