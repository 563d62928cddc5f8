"""Behind PgBouncer: session mode as docs/scaling.md sets it up; no other mode is served."""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from tenantry.db.branches import SchemaError
from tenantry.db.database import POOL_SIZE, SERVER_SETTINGS
from tenantry.db.pooler import require_own_connections
from tenantry.db.reader import CONNECTIONS
from tenantry.testing import Api, make_settings, ok, serving
from tenantry.testing.servers import Db
from tests.conftest import needs
from tests.processes import tenantry

PAGE = (Path(__file__).parent.parent / "docs/scaling.md").read_text()
CONFIGURATION = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)[0]
LIMITS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)[0]

pytestmark = needs("pgbouncer")

Bouncing = Callable[..., Awaitable[str]]


@pytest.fixture
async def bouncing(runtime_url: str) -> AsyncIterator[Bouncing]:
    """`await bouncing("session")`: the URL of a PgBouncer in that mode before the database."""
    folder = open_folder()
    running = []

    async def start(mode: str, more: str = "") -> str:
        parts = urlsplit(runtime_url)
        place = parse_qs(parts.query)["host"][0]
        database = parts.path[1:]
        configuration = CONFIGURATION.replace("pool_mode = session", f"pool_mode = {mode}").replace(
            "tenantry = host=db dbname=tenantry", f"{database} = host={place} user={parts.username}"
        )
        assert place in configuration
        file = folder / "pgbouncer.ini"
        file.write_text(f"{configuration}auth_type = any\nunix_socket_dir = {folder}\n{more}\n")
        # It refuses to be root; the user of the embedded PostgreSQL may open that one's socket.
        user = ["-u", "pgserver"] if os.geteuid() == 0 else []
        process = await asyncio.create_subprocess_exec(
            "pgbouncer", *user, str(file), stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr
        said = []
        async for line in process.stderr:
            said.append(line.decode())
            if b"process up" in line:
                running.append(process)
                return f"postgresql://{parts.username}@/{database}?host={folder}&port=6432"
        raise AssertionError("".join(said))

    yield start
    for process in running:
        process.terminate()
        await process.communicate()
    shutil.rmtree(folder)


def open_folder() -> Path:
    """Another user may put a socket into it."""
    folder = Path(tempfile.mkdtemp(prefix="tenantry-pooler-"))
    folder.chmod(0o777)
    return folder


def test_the_pool_has_room_for_every_connection_of_a_process() -> None:
    each = POOL_SIZE + CONNECTIONS + 1  # for transactions, for reads, and the one that listens
    assert f"`processes × {each}`" in PAGE
    assert f"; four processes\ndefault_pool_size = {4 * each}\n" in CONFIGURATION


async def test_session_mode_serves_requests_sockets_and_limits(
    bouncing: Bouncing, owner: Db, runtime_url: str
) -> None:
    login = urlsplit(runtime_url).username
    await owner.execute(LIMITS.replace("ALTER ROLE app ", f"ALTER ROLE {login} "))
    url = await bouncing("session")
    await require_own_connections(url)
    async with serving(make_settings(url)) as server_url, Api(server_url) as api:
        admin, other = await api.register(), await api.register()
        async with admin.socket() as socket:
            ok(await other.broadcast("Elsewhere"), 201)
            ok(await admin.broadcast("Here"), 201)
            assert (await socket.next())["payload"]["message"] == "Here"
        for account in (admin, other):
            lines = await asyncio.gather(*(account.feed() for _ in range(20)))
            seen = {line["organisationId"] for feed in lines for line in feed}
            assert seen == {account.organisation["id"]}
    async with connected(url) as connection:
        for name, value in SERVER_SETTINGS.items():
            shown = await connection.fetchval(f"SHOW {name}")
            assert shown.replace("1min", "60s") == value, name


@pytest.mark.parametrize("more", ["", "default_pool_size = 1", "server_round_robin = 1"])
async def test_transaction_mode_is_refused(bouncing: Bouncing, more: str) -> None:
    url = await bouncing("transaction", more)
    with pytest.raises(SchemaError, match="another connection"):
        await require_own_connections(url)


async def test_serve_says_so(bouncing: Bouncing, tmp_path: Path) -> None:
    url = await bouncing("transaction")
    said = await asyncio.to_thread(
        tenantry, "serve", "--port", "0", environment={"DATABASE_URL": url}, cwd=tmp_path
    )
    assert said.returncode == 1
    assert "use the pooler's session mode" in " ".join(said.stderr.split())


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Db]:
    connection = await asyncpg.connect(url, server_settings=SERVER_SETTINGS)
    yield connection
    await connection.close()
