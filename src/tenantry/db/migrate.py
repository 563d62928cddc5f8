"""Runs migrations: `python -m tenantry.db.migrate [--sql] [feature=folder …]`.

Run as a process of its own, since Alembic's import costs half of a server's start, and a server
needs it only when there is something to migrate. DATABASE_URL must be the owner's.

The files, `op` and the table alembic_version are Alembic's; the order and the rows are ours.
Alembic takes the core's row away once a feature depends on it, so that the core's revision would
be lost with the feature, and it runs nothing while there is a row of a feature that is gone.
"""

import argparse
import asyncio
import importlib.util
import os
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import asyncpg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection as SyncConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tenantry.db.branches import (
    CORE,
    HEAD,
    VERSIONS,
    Folders,
    SchemaError,
    branch_of,
    revisions,
)
from tenantry.db.pool import DriverConnection

# No migration may make the running servers wait behind a lock that it waits for itself.
LOCK_TIMEOUT = "5s"
# One migration at a time, whichever node starts first. The number is arbitrary but fixed.
ADVISORY_LOCK = 7_236_641_101

VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS alembic_version (
    version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
)
"""
# A feature's statement that a policy would keep from rows fails, where it would be silent.
ALL_ROWS_OR_NONE = "SET LOCAL row_security = off"


class Step(NamedTuple):
    """A migration, the one before it in its branch, and what else it comes after."""

    revision: str
    previous: str | None
    after: tuple[str, ...]
    module: ModuleType

    @property
    def preamble(self) -> list[str]:
        """What is run before it, in its transaction."""
        stamp = (
            f"UPDATE alembic_version SET version_num = '{self.revision}' "
            f"WHERE version_num = '{self.previous}'"
            if self.previous
            else f"INSERT INTO alembic_version (version_num) VALUES ('{self.revision}')"
        )
        return [stamp] if branch_of(self.revision) == CORE else [stamp, ALL_ROWS_OR_NONE]


def steps(features: Folders) -> list[Step]:
    """Every migration in the order in which they are run: the core's, then the features'.

    Raises:
        SchemaError: a history is not one line, or what it depends on is not there.
    """
    found: dict[str, Step] = {}
    for name, folder in {CORE: VERSIONS, **dict(sorted(features.items()))}.items():
        found |= {step.revision: step for step in _branch(name, folder)}
    for step in found.values():
        for needed in step.after:
            if needed not in found:
                raise SchemaError(_not_there(step.revision, needed))
    try:
        order = TopologicalSorter(
            {
                step.revision: [*step.after, step.previous or HEAD]
                if step.previous or branch_of(step.revision) != CORE
                else []
                for step in found.values()
            }
        ).static_order()
        return [found[revision] for revision in order]
    except CycleError as error:
        raise SchemaError(f"Migrations wait for each other: {', '.join(error.args[1])}.") from error


def _not_there(revision: str, needed: str) -> str:
    branch = branch_of(needed)
    if branch == CORE:
        return (
            f"{revision} depends on the core's {needed}, and this Tenantry's schema is {HEAD}. "
            "Install the newer Tenantry."
        )
    return (
        f"{revision} depends on {needed}. Install the feature {branch}, in a version that has it."
    )


def _branch(name: str, folder: Path) -> Iterator[Step]:
    previous = None
    for revision, file in revisions(name, folder).items():
        module = _load(revision, file)
        after = _several(module, "depends_on")
        _must(module, file, "revision", revision)
        _must(module, file, "down_revision", previous)
        if name != CORE and previous is None:
            if _several(module, "branch_labels") != (name,):
                raise SchemaError(
                    f'{file} must say branch_labels = ("{name}",), the feature\'s name.'
                )
            if not after:
                raise SchemaError(
                    f'{file} must say depends_on = "…", the core\'s revision that it was written '
                    f'for; now that is "{HEAD}".'
                )
        yield Step(revision, previous, after, module)
        previous = revision


def _load(revision: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"migration_{revision}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _must(module: ModuleType, file: Path, name: str, value: str | None) -> None:
    found = getattr(module, name, None)
    if found != value:
        raise SchemaError(
            f"{file} must say {name} = {value!r}, and says {found!r}: "
            "a history is one line, in the order of the files' numbers."
        )


def _several(module: ModuleType, name: str) -> tuple[str, ...]:
    value = getattr(module, name, None) or ()
    return (value,) if isinstance(value, str) else tuple(value)


def _pending(connection: SyncConnection, every: list[Step]) -> list[Step]:
    table = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar()
    found = (
        connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
        if table
        else []
    )
    at = {branch_of(revision): revision for revision in found}
    return [step for step in every if step.revision > at.get(branch_of(step.revision), "")]


def _upgrade(connection: SyncConnection, every: list[Step]) -> None:
    with connection.begin():
        connection.exec_driver_sql(VERSION_TABLE)
        pending = _pending(connection, every)
    for step in pending:
        try:
            with connection.begin():
                # First, as it begins the transaction, which run() alone would not.
                for statement in step.preamble:
                    connection.exec_driver_sql(statement)
                with Operations.context(MigrationContext.configure(connection)):
                    step.module.upgrade()
        except (asyncpg.PostgresError, DBAPIError) as error:
            if sentence := _sentence(step.revision, error):
                raise SchemaError(sentence) from error
            error.add_note(f"This was {step.module.__file__}; what came before it stands.")
            raise


def _sentence(revision: str, error: BaseException | None) -> str | None:
    """What to do about an error of the database's, where there is more to say than it says."""
    while error is not None and not isinstance(error, asyncpg.PostgresError):
        error = error.__cause__
    match error:
        case asyncpg.LockNotAvailableError():
            return (
                f"{revision} waited {LOCK_TIMEOUT} for a lock that a running transaction holds, "
                "and was undone; what came before it stands. Run `tenantry migrate` again."
            )
        case asyncpg.InsufficientPrivilegeError() if "row-level security" in str(error):
            return (
                f"{revision} was undone: {error}. A migration that reads or changes rows, or adds "
                "a foreign key to a table that has some, lifts what binds the owner too, on each "
                "table that it looks into, and puts it back: ALTER TABLE … NO FORCE ROW LEVEL "
                "SECURITY; …; ALTER TABLE … FORCE ROW LEVEL SECURITY."
            )
    return None


def _print(connection: SyncConnection, every: list[Step]) -> None:
    """Print what would be run, as a script for psql."""
    fresh = [f"{VERSION_TABLE.strip()};\n"]
    if connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar() is None:
        print(*fresh)  # noqa: T201
    for step in _pending(connection, every):
        context = MigrationContext.configure(
            dialect_name="postgresql", opts={"as_sql": True, "output_buffer": sys.stdout}
        )
        output = context.impl.static_output
        output(f"-- {step.revision}: {(step.module.__doc__ or '').strip()}\nBEGIN;")
        output("\n".join(f"{statement};" for statement in step.preamble))
        with Operations.context(context):
            step.module.upgrade()
        output("COMMIT;")


async def migrate(url: str, features: Folders, *, sql: bool = False) -> None:
    """Run, or print, what has not been run yet. Safe to call from several nodes at once.

    Raises:
        SchemaError: the histories, or the database, do not allow it.
    """
    every = steps(features)

    async def connect() -> DriverConnection:
        connection = await asyncpg.connect(
            url,
            server_settings={"application_name": "tenantry migrate", "search_path": "public"},
        )
        if not sql:
            await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
            await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        return connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_print if sql else _upgrade, every)
    finally:
        await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tenantry.db.migrate")
    parser.add_argument("--sql", action="store_true")
    parser.add_argument("features", nargs="*", metavar="feature=folder")
    given = parser.parse_args()
    pairs = (feature.partition("=") for feature in given.features)
    folders = {name: Path(folder) for name, _, folder in pairs}
    try:
        asyncio.run(migrate(os.environ["DATABASE_URL"], folders, sql=given.sql))
    except SchemaError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
