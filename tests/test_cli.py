"""The commands, as a person runs them."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import asyncpg
import httpx
import pytest

from tenantry.db import schema
from tenantry.db.branches import HEAD
from tenantry.testing import PASSWORD, PATIENCE, ok, registration, unique_email
from tenantry.testing.databases import of_database
from tenantry.testing.servers import REFRESH_SECRET, SECRET
from tests.conftest import UNLIMITED
from tests.processes import connections, serving, tenantry, until, workers

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SECRETS = {"JWT_ACCESS_SECRET": SECRET, "JWT_REFRESH_SECRET": REFRESH_SECRET}


def register(url: str, email: str) -> httpx.Response:
    return httpx.post(f"{url}/api/auth/register", json=registration(email=email))


def login(url: str, email: str) -> httpx.Response:
    return httpx.post(f"{url}/api/auth/login", json={"email": email, "password": PASSWORD})


@contextmanager
def asked_at_once(url: str, number: int) -> Iterator[None]:
    """So many connections, each of which has been answered and stays open."""
    port = int(url.rpartition(":")[2])
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            for _ in range(number)
        ]
        for one in sockets:
            one.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        for one in sockets:
            assert one.recv(15) == b"HTTP/1.1 200 OK"
        yield


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that the embedded database's user may enter."""
    path = Path(tempfile.mkdtemp(prefix="tenantry-cli-"))
    yield path
    shutil.rmtree(path)


class TestServe:
    def test_keeps_data_and_secrets_over_ctrl_c_and_kill(self, folder: Path) -> None:
        email = unique_email()
        with serving(environment=UNLIMITED, cwd=folder) as server:
            ok(register(server.url, email), 201)
            token = ok(login(server.url, email))["accessToken"]
            assert httpx.get(f"{server.url}/docs").status_code == 200
            output = server.stop(signal.SIGINT)
        assert "/docs" in output
        assert "Stopped." in output
        assert server.process.returncode == 0
        assert (folder / ".tenantry" / "secrets.json").stat().st_mode & 0o077 == 0
        assert not (folder / ".tenantry" / "postgres" / "postmaster.pid").exists()

        with serving(environment=UNLIMITED, cwd=folder) as server:
            ok(login(server.url, email))
            server.stop(signal.SIGKILL)

        with serving(environment=UNLIMITED, cwd=folder) as server:
            headers = {"authorization": f"Bearer {token}"}
            ok(httpx.get(f"{server.url}/api/organisations", headers=headers))
            check = tenantry("check", cwd=folder)
            assert check.returncode == 0, check.stderr
            assert "Isolated." in check.stdout
            second = tenantry("serve", "--port", "0", cwd=folder)
            assert second.returncode == 1
            assert "Another Tenantry runs on" in second.stderr
            server.stop(signal.SIGTERM)
        assert server.process.returncode == 0
        assert not (folder / ".tenantry" / "postgres" / "postmaster.pid").exists()

    def test_with_several_workers_serves_one_truth(self, owner_url: str, folder: Path) -> None:
        environment = {"DATABASE_URL": owner_url, **UNLIMITED}
        with serving("--workers", "2", environment=environment, cwd=folder) as server:
            played = tenantry("demo", "--url", server.url)
            assert played.returncode == 0, played.stdout + played.stderr
            assert "Everything as promised." in played.stdout

    def test_spreads_what_comes_at_once_over_its_workers(
        self, runtime_url: str, folder: Path
    ) -> None:
        environment = {"DATABASE_URL": runtime_url, **UNLIMITED}
        with (
            serving("--workers", "2", environment=environment, cwd=folder) as server,
            asked_at_once(server.url, 80),
        ):
            port = int(server.url.rpartition(":")[2])
            held = [connections(worker, port) for worker in workers(server)]
        assert sum(held) == 80
        assert min(held) >= 20, "as good as never fewer, where chance alone decides"

    async def test_lets_nobody_wait_for_a_worker_that_has_ended(
        self, runtime_url: str, folder: Path
    ) -> None:
        environment = {"DATABASE_URL": runtime_url, **UNLIMITED}
        with serving("--workers", "2", environment=environment, cwd=folder) as server:
            await until(lambda: len(workers(server)) == 2)
            ended, other = workers(server)
            os.kill(ended, signal.SIGKILL)
            await until(
                lambda: {ended, other} != set(workers(server)) and len(workers(server)) == 2
            )
            with asked_at_once(server.url, 20):
                assert ended not in workers(server)

    def test_with_several_workers_refuses_an_address_that_is_in_use(
        self, runtime_url: str, folder: Path
    ) -> None:
        environment = {"DATABASE_URL": runtime_url}
        with serving("--workers", "2", environment=environment, cwd=folder) as server:
            port = server.url.rpartition(":")[2]
            for number in ("1", "2"):
                second = tenantry(
                    "serve",
                    *("--workers", number, "--port", port),
                    environment=environment,
                    cwd=folder,
                )
                assert second.returncode == 1
                assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in second.stderr

    def test_in_production_refuses_to_start_without_good_secrets(self, folder: Path) -> None:
        for environment, sentence in (
            ({}, "JWT_ACCESS_SECRET is not set"),
            ({**SECRETS, "JWT_REFRESH_SECRET": "short"}, "shorter than 32 characters"),
            ({**SECRETS, "JWT_ACCESS_SECRET": "change-me-" + "x" * 40}, "still an example's"),
        ):
            run = tenantry(
                "serve",
                environment={"APP_ENV": "production", "PORT": "0", **environment},
                cwd=folder,
            )
            assert run.returncode == 1
            assert sentence in run.stderr
            assert list(folder.iterdir()) == []

    def test_in_production_starts_with_them(self, owner_url: str, folder: Path) -> None:
        environment = {"APP_ENV": "production", "DATABASE_URL": owner_url, **SECRETS}
        with serving(environment=environment, cwd=folder) as server:
            assert httpx.get(f"{server.url}/ready").status_code == 200
        assert list(folder.iterdir()) == []

    async def test_works_as_a_role_that_owns_nothing(
        self, owner_url: str, owner: Db, folder: Path
    ) -> None:
        with serving(environment={"DATABASE_URL": owner_url}, cwd=folder) as server:
            assert httpx.get(f"{server.url}/ready").status_code == 200
            users = await owner.fetch(
                """SELECT DISTINCT usename FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'tenantry'"""
            )
        login = f"{await owner.fetchval('SELECT current_database()')}_runtime"
        assert [row["usename"] for row in users] == [login]
        owned = "SELECT count(*) FROM pg_class WHERE relowner = $1::regrole"
        assert await owner.fetchval(owned, login) == 0

    def test_says_what_is_wrong_in_a_sentence(self, folder: Path) -> None:
        for environment, sentence in (
            ({"PORT": "http"}, "PORT must be a whole number"),
            ({"APP_ENV": "staging"}, "APP_ENV must be development or production"),
            ({"TENANTRY_TYPO": "1"}, "TENANTRY_TYPO is no setting"),
        ):
            run = tenantry("serve", environment=environment, cwd=folder)
            assert (run.returncode, run.stdout) == (1, "")
            assert sentence in run.stderr
            assert "Traceback" not in run.stderr

    def test_says_that_a_port_is_taken(self, owner_url: str, folder: Path) -> None:
        with serving(environment={"DATABASE_URL": owner_url}, cwd=folder) as server:
            port = server.url.rpartition(":")[2]
            run = tenantry("serve", "--port", port, environment={"DATABASE_URL": owner_url})
        assert run.returncode == 1
        assert "Address already in use. Choose with --port" in run.stderr


class TestMigrate:
    def test_brings_the_embedded_database_to_the_schema(self, folder: Path) -> None:
        for _ in range(2):
            run = tenantry("migrate", cwd=folder)
            assert run.returncode == 0, run.stderr
            assert "The database is at 00" in run.stdout

    async def test_may_run_on_several_nodes_at_once(self, cluster: str) -> None:
        name = f"t_{secrets.token_hex(6)}"
        connection = await asyncpg.connect(cluster)
        await connection.execute(f"CREATE DATABASE {name}")
        try:
            url = of_database(cluster, name)
            await asyncio.gather(*[schema.migrate(url) for _ in range(3)])
            migrated = await asyncpg.connect(url)
            assert await schema.versions(migrated) == [HEAD]
            await migrated.close()
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await connection.close()

    async def test_must_be_run_first_where_the_server_may_not(
        self, runtime_url: str, owner: Db, folder: Path
    ) -> None:
        """A server that is given the runtime role's URL serves with it, and never migrates."""
        environment = {"DATABASE_URL": runtime_url, **SECRETS, "APP_ENV": "production"}
        with serving(environment=environment, cwd=folder) as server:
            assert httpx.get(f"{server.url}/ready").status_code == 200
        await owner.execute("UPDATE alembic_version SET version_num = '0001'")
        run = await asyncio.to_thread(
            tenantry, "serve", "--port", "0", environment=environment, cwd=folder
        )
        assert run.returncode == 1
        assert "Run `tenantry migrate` with the owner's DATABASE_URL" in run.stderr


class TestCheck:
    async def test_fails_naming_the_table_and_the_mend(self, owner_url: str, owner: Db) -> None:
        await owner.execute("""
            ALTER TABLE invites NO FORCE ROW LEVEL SECURITY;
            GRANT TRUNCATE ON memberships TO tenantry_runtime;
            GRANT SELECT ON tickets TO tenantry_runtime;
        """)
        run = tenantry("check", environment={"DATABASE_URL": owner_url, "COLUMNS": "200"})
        assert run.returncode == 1
        for broken in ("invites", "memberships", "tickets"):
            assert f"✗ public.{broken}" in run.stdout
        assert "✓ public.activities" in run.stdout
        assert "ALTER TABLE public.invites FORCE ROW LEVEL SECURITY" in run.stdout

    @pytest.mark.parametrize("command", ["check", "migrate"])
    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("postgresql://x@127.0.0.1:9/x", "cannot be reached"),
            ("postgresql://x@127.0.0.1:port/x", "DATABASE_URL cannot be read"),
        ],
    )
    def test_says_that_a_database_cannot_be_reached(
        self, command: str, url: str, sentence: str
    ) -> None:
        run = tenantry(command, environment={"DATABASE_URL": url})
        assert run.returncode == 1
        assert sentence in run.stderr
        assert "Traceback" not in run.stderr

    @pytest.mark.parametrize("command", ["check", "migrate", "serve"])
    def test_says_what_of_the_address_the_database_does_not_know(
        self, command: str, owner_url: str
    ) -> None:
        url = f"{owner_url}{'&' if '?' in owner_url else '?'}schema=public"
        run = tenantry(command, environment={"DATABASE_URL": url, "PORT": "0"})
        assert run.returncode == 1
        assert 'cannot be read: unrecognized configuration parameter "schema"' in run.stderr
        assert "Traceback" not in run.stderr


class TestLogout:
    async def test_ends_every_session_of_an_account(self, owner_url: str, folder: Path) -> None:
        email = unique_email()
        with serving(environment={"DATABASE_URL": owner_url, **UNLIMITED}, cwd=folder) as server:
            register(server.url, email)
            token = ok(login(server.url, email))["accessToken"]
            run = await asyncio.to_thread(
                tenantry, "logout", email.upper(), environment={"DATABASE_URL": owner_url}
            )
            assert (run.returncode, run.stdout) == (0, "✓ 2 sessions ended.\n")
            headers = {"authorization": f"Bearer {token}"}
            answer = httpx.get(f"{server.url}/api/organisations", headers=headers)
            assert answer.status_code == 401
            ok(login(server.url, email))

    def test_says_that_there_is_no_such_account(self, owner_url: str) -> None:
        run = tenantry("logout", "nobody@example.com", environment={"DATABASE_URL": owner_url})
        assert run.returncode == 1
        assert "No account has the address nobody@example.com." in run.stderr


class TestDemo:
    def test_says_that_no_server_runs(self) -> None:
        run = tenantry("demo", "--url", "http://127.0.0.1:9")
        assert run.returncode == 1
        assert "Is `tenantry serve` running?" in run.stderr


def test_help_names_every_command() -> None:
    run = tenantry("--help")
    for command in ("serve", "work", "mail", "migrate", "check", "logout", "demo"):
        assert command in run.stdout
        assert tenantry(command, "--help").returncode == 0
