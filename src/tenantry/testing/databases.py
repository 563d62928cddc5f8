"""Real databases: a PostgreSQL a run, a template that is migrated once, and clones of it."""

import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from tenantry.db import embedded, schema
from tenantry.db.embedded import EmbeddedError, InUseError
from tenantry.feature import Feature, migrations_of

# Nothing that a test keeps outlives the run.
FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_wal_size = 4GB\n"

# Linux keeps it in memory; containers often have 64 MiB of it, which is not enough.
MEMORY = Path("/dev/shm")  # noqa: S108
ENOUGH = 4 * 1024**3

PREFIX = "tenantry-tests-"
JUST_MADE = 60.0  # seconds in which a folder may not have been taken hold of yet

ADVISORY_LOCK = 7_236_641_103


@contextmanager
def cluster() -> Iterator[str]:
    """A PostgreSQL in a folder of its own, which is removed at the end; its owner's URL.

    Raises:
        EmbeddedError: tenantry[embedded] is not installed.
    """
    where = _in_memory() or Path(tempfile.gettempdir())
    _clear_away(where)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
    try:
        with embedded.hold(folder), embedded.running(folder, configuration=FAST) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> Path | None:
    """A folder in memory, where a clone takes a tenth of the time; None: there is none."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        return MEMORY if shutil.disk_usage(MEMORY).free > ENOUGH else None
    return None


def _clear_away(where: Path) -> None:
    """Stop and remove what runs have left that were killed: nobody holds it any more."""
    for folder in where.glob(f"{PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < JUST_MADE:
                continue
            with embedded.hold(folder), embedded.running(folder):
                pass  # whether it was up or not, it is stopped now
        except (InUseError, OSError):  # another run's, or another user's
            continue
        except EmbeddedError:
            pass  # it was killed before it was whole
        shutil.rmtree(folder, ignore_errors=True)


async def template(cluster_url: str, features: Sequence[Feature]) -> str:
    """The name of a database with the core's and these features' migrations.

    It is made by the first who asks, whichever process that is; the others wait for it.
    """
    folders = migrations_of(features)
    name = f"template_{hashlib.sha256(repr(sorted(folders.items())).encode()).hexdigest()[:12]}"
    connection = await asyncpg.connect(cluster_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f"DROP DATABASE IF EXISTS {name}_new WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name}_new")
            await schema.migrate(of_database(cluster_url, f"{name}_new"), folders)
            await connection.execute(f"ALTER DATABASE {name}_new RENAME TO {name}")
    finally:
        await connection.close()
    return name


@asynccontextmanager
async def clone(cluster_url: str, template_name: str) -> AsyncIterator[str]:
    """A database like the template, for as long as it is needed; its owner's URL."""
    name = f"t_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(cluster_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template_name} STRATEGY file_copy")
    # So that the roles of other tests, which may be damaged on purpose, do not count here.
    await connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    try:
        yield of_database(cluster_url, name)
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.execute(f"DROP ROLE IF EXISTS {name}_runtime, {name}_worker")
        await connection.close()


def of_database(url: str, name: str) -> str:
    """The same server's URL with another database."""
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"
