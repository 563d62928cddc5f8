"""Which schema a database has, and the logins that the server and its worker work with."""

import asyncio
import base64
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from tenantry.db.branches import (
    CORE,
    NO_FEATURES,
    Folders,
    SchemaError,
    Standing,
    branch_of,
    heads,
    standing,
)
from tenantry.db.database import unreachable
from tenantry.db.pool import CONNECT_TIMEOUT, DriverConnection

VERSIONS = "SELECT version_num FROM public.alembic_version ORDER BY 1"

ADVISORY_LOCK = 7_236_641_102
SCRAM_ITERATIONS = 4096
# Answers of a database that runs, which waiting does not change.
REFUSALS = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
PATIENCE = 30.0  # seconds that a database may take to start


WORKS_AS = """
SELECT EXISTS (SELECT FROM pg_roles AS me, pg_roles AS role
                WHERE me.rolname = current_user AND NOT me.rolsuper
                  AND role.rolname = $1
                  AND pg_has_role(me.oid, role.oid, 'USAGE'))
"""


class Logins(NamedTuple):
    """The URLs to work with; there is no worker's where the owner's was not known."""

    runtime: str
    worker: str | None


async def versions(connection: DriverConnection) -> list[str]:
    """The revision of each branch that the database has; none for a database without a schema."""
    if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
        return []
    return [row["version_num"] for row in await connection.fetch(VERSIONS)]


async def prepare(
    owner_url: str,
    features: Folders = NO_FEATURES,
    *,
    secret: str,
    say: Callable[[str], None],
) -> Logins:
    """Bring the database to this version's schema; gives the URLs to work with.

    With the owner's URL those are login roles of this database, `<database>_runtime` and
    `<database>_worker`, made here as members of tenantry_runtime and tenantry_worker. A URL that
    is the runtime's already is given back as it is, and the schema must have been migrated.
    `secret` keys the logins' passwords, together with the owner's. A database that is still
    starting is waited for.

    Raises:
        SchemaError: there is nothing that can be served.
    """
    await bring_up_to_date(owner_url, features, say=say, patience=PATIENCE)
    connection = await connect(owner_url)
    try:
        if not await _is_owner(connection):
            return Logins(owner_url, None)
        # The nodes of one database may start together.
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        return Logins(
            await _ensure_login(connection, owner_url, secret, "runtime"),
            await _ensure_login(connection, owner_url, secret, "worker"),
        )
    finally:
        await connection.close()


async def require_worker(url: str, features: Folders = NO_FEATURES) -> None:
    """Check that the URL is a worker's, on this version's schema. Raises `SchemaError`."""
    connection = await connect(url)
    try:
        if not await connection.fetchval(WORKS_AS, "tenantry_worker"):
            raise SchemaError(
                "DATABASE_URL must be that of a worker's role, which has rights on the queue only. "
                "Make one: CREATE ROLE … LOGIN PASSWORD '…' IN ROLE tenantry_worker."
            )
        stands = standing(await versions(connection), heads(features))
    finally:
        await connection.close()
    _refuse(stands)


async def require_runtime(url: str) -> None:
    """Check that the URL is one that a server works with. Raises `SchemaError`."""
    connection = await connect(url, variable="RUNTIME_DATABASE_URL")
    try:
        if not await connection.fetchval(WORKS_AS, "tenantry_runtime"):
            raise SchemaError(
                "RUNTIME_DATABASE_URL must be that of a role that servers work as. "
                "Make one: CREATE ROLE … LOGIN PASSWORD '…' IN ROLE tenantry_runtime."
            )
    finally:
        await connection.close()


async def bring_up_to_date(
    owner_url: str,
    features: Folders = NO_FEATURES,
    *,
    say: Callable[[str], None],
    patience: float = 0,
) -> Standing:
    """Migrate the database, if that is needed; gives where it stands then. Raises `SchemaError`."""
    needed = heads(features)
    connection = await connect(owner_url, say=say, patience=patience)
    try:
        stands = standing(await versions(connection), needed)
        may_migrate = await _is_owner(connection)
    finally:
        await connection.close()
    for revision in stands.left:
        say(f"The feature {branch_of(revision)} is not installed; its tables stay ({revision}).")
    if stands.newer or not may_migrate:
        _refuse(stands)
    if not stands.behind:
        return stands
    for name in stands.behind:
        found = stands.at.get(name, "nothing")
        say(f"Migrating {_schema_of(name)} from {found} to {needed[name]} …")
    await migrate(owner_url, features)
    return stands._replace(at=needed)


def problems(stands: Standing) -> list[str]:
    """Why this version cannot serve the database, a sentence each; none, where it can."""
    return [
        f"The database's schema ({stands.at[name]}) is newer than this Tenantry's "
        f"({stands.needed[name]}). Run the newer version."
        if name == CORE
        else f"The database's schema of {name} ({stands.at[name]}) is newer than the installed "
        f"feature's ({stands.needed[name]}). Install the newer version."
        for name in stands.newer
    ] + [
        f"T{_schema_of(name)[1:]} is at {stands.at.get(name, 'nothing')}, and this version "
        f"needs {stands.needed[name]}. Run `tenantry migrate` with the owner's DATABASE_URL."
        for name in stands.behind
    ]


def _schema_of(name: str) -> str:
    return "the database's schema" if name == CORE else f"the database's schema of {name}"


def _refuse(stands: Standing) -> None:
    if found := problems(stands):
        raise SchemaError("\n".join(found))


async def migrate(owner_url: str, features: Folders = NO_FEATURES, *, sql: bool = False) -> str:
    """Run the migrations in a process of their own; see tenantry.db.migrate.

    With `sql`, run nothing and give what would be run.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # whatever lies in the folder that it is started in is none of ours
        "-m",
        "tenantry.db.migrate",
        *(["--sql"] if sql else []),
        *(f"{name}={folder.absolute()}" for name, folder in features.items()),
        env={**os.environ, "DATABASE_URL": owner_url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise SchemaError(f"The migrations failed.\n{errors.decode(errors='replace').strip()}")
    return output.decode()


async def connect(
    url: str,
    *,
    say: Callable[[str], None] | None = None,
    patience: float = 0,
    variable: str = "DATABASE_URL",
) -> DriverConnection:
    """Connect to a database that may still be starting. Raises `SchemaError`."""
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        try:
            return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT)
        except (ValueError, asyncpg.UndefinedObjectError) as error:  # the latter of a parameter
            raise SchemaError(f"{variable} cannot be read: {error}.") from error
        except Exception as error:
            if not unreachable(error):
                raise
            if isinstance(error, REFUSALS) or asyncio.get_running_loop().time() > deadline:
                raise SchemaError(
                    f"The database of {variable} cannot be reached: {error}. "
                    "Check that it runs, and the host, name and password in the URL."
                ) from error
            if say:
                say("Waiting for the database …")
                say = None  # once is enough
            await asyncio.sleep(0.5)


async def _is_owner(connection: DriverConnection) -> bool:
    owner: bool = await connection.fetchval(
        "SELECT has_database_privilege(current_database(), 'CREATE')"
    )
    return owner


async def _ensure_login(
    connection: DriverConnection, owner_url: str, secret: str, kind: str
) -> str:
    """Make the database's login of this kind, or bring its password up to date; gives its URL."""
    database: str = await connection.fetchval("SELECT current_database()")
    login = f"{database[:55]}_{kind}"
    parts = urlsplit(owner_url)
    key = f"{secret}\n{parts.password or ''}".encode()
    password = hmac.new(key, f"tenantry {kind} {database}".encode(), hashlib.sha256).hexdigest()
    quoted = await _quoted(connection, login)
    if not await connection.fetchval("SELECT to_regrole($1)", quoted):
        await connection.execute(f"CREATE ROLE {quoted} LOGIN IN ROLE tenantry_{kind}")
    await connection.execute(f"ALTER ROLE {quoted} PASSWORD '{_scram_verifier(password)}'")
    await connection.execute(
        f"GRANT CONNECT ON DATABASE {await _quoted(connection, database)} TO {quoted}"
    )
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(login)}:{password}@{host}"))


async def _quoted(connection: DriverConnection, name: str) -> str:
    quoted: str = await connection.fetchval("SELECT quote_ident($1)", name)
    return quoted


def _scram_verifier(password: str) -> str:
    """What PostgreSQL stores of a password (RFC 5803), so that the password is in no log of its."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(x).decode() for x in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"
