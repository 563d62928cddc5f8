"""Statements without a WHERE on every tenant table, as the server's role: what a programmer can do
who forgets it.
"""

from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tenantry.db import isolation
from tenantry.db.catalogue import Fault
from tenantry.testing.answers import PATIENCE
from tenantry.testing.servers import Db

ENTER = "SELECT set_config('tenantry.organisation_id', $1, false)"
COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
  FROM pg_attribute
 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
MEND = """\
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON {table} USING ({key} = (SELECT tenantry.current_organisation()));
-- and drop every other permissive policy of the table"""


def key_of(table: str) -> str:
    """The column that says which organisation a row is of."""
    return "id" if table == "public.organisations" else "organisation_id"


async def attack_tables(owner: Db, runtime: Db, *, mine: str, theirs: str) -> list[Fault]:
    """What can be reached of `theirs`, and of anybody else's, from within `mine`."""
    tables = await isolation.tenant_tables(owner)
    found = [
        _unpopulated(table)
        for table in tables
        if not (await _of(owner, table, mine) and await _of(owner, table, theirs))
    ]
    found += await _attack(owner, runtime, tables, mine, theirs)
    async with _every_right(owner, runtime, tables):
        found += await _attack(owner, runtime, tables, mine, theirs)
    return found


def _unpopulated(table: str) -> Fault:
    return Fault(
        table,
        "has no row of an organisation that was populated, so nothing shows that it is protected",
        "make a row in populate(account), through a route of the feature",
    )


async def _attack(owner: Db, runtime: Db, tables: list[str], mine: str, theirs: str) -> list[Fault]:
    found = []
    for table in tables:
        await runtime.execute(ENTER, mine)
        problems = [await _reading(owner, runtime, table, mine)]
        problems += [problem async for problem in _writing(owner, runtime, table, mine, theirs)]
        mend = MEND.format(table=table, key=key_of(table))
        found += [Fault(table, problem, mend) for problem in problems if problem]
    await runtime.execute(ENTER, "")
    for table in [*tables, "public.users"]:
        if await _count(runtime, table):
            found.append(
                Fault(
                    table,
                    "the server's role reads rows of it where it has entered no organisation",
                    MEND.format(table=table, key=key_of(table)),
                )
            )
    return found


@asynccontextmanager
async def _every_right(owner: Db, runtime: Db, tables: list[str]) -> AsyncIterator[None]:
    """As after a GRANT that gave too much: the policies alone must hold."""
    role = await runtime.fetchval("SELECT quote_ident(current_user)")
    names = ", ".join([*tables, "public.users"])
    await owner.execute(f"GRANT ALL ON {names} TO {role}")
    try:
        yield
    finally:
        # It has its own rights by the role that it is a member of.
        await owner.execute(f"REVOKE ALL ON {names} FROM {role}")


async def _reading(owner: Db, runtime: Db, table: str, mine: str) -> str | None:
    try:
        rows = await runtime.fetch(f"SELECT DISTINCT {key_of(table)}::text FROM {table}")
    except asyncpg.InsufficientPrivilegeError:
        return None
    seen = {row[0] for row in rows}
    if seen - {mine}:
        return "a SELECT without a WHERE, in one organisation, reads rows of others"
    if not seen and await _of(owner, table, mine):
        return "a SELECT, in an organisation, does not read its own rows"
    return None


async def _of(owner: Db, table: str, organisation: str) -> int:
    """How many rows an organisation has."""
    count = f"SELECT count(*) FROM {table} WHERE {key_of(table)} = $1::text::uuid"
    found: int = await owner.fetchval(count, organisation)
    return found


async def _count(runtime: Db, table: str) -> int:
    try:
        found: int = await runtime.fetchval(f"SELECT count(*) FROM {table}")
    except asyncpg.InsufficientPrivilegeError:
        return 0
    return found


async def _writing(
    owner: Db, runtime: Db, table: str, mine: str, theirs: str
) -> AsyncIterator[str]:
    """What statements that write have reached. Each is rolled back."""
    key = key_of(table)
    own = await _of(owner, table, mine)
    if await _reached(runtime, f"UPDATE {table} SET {key} = {key}") > own:
        yield "an UPDATE without a WHERE, in one organisation, changes rows of others"
    if await _reached(runtime, f"DELETE FROM {table}") > own:
        yield "a DELETE without a WHERE, in one organisation, deletes rows of others"
    if await _reached(runtime, f"UPDATE {table} SET {key} = '{theirs}'"):
        yield "an UPDATE moves rows into another organisation"
    row = await owner.fetchval(
        f"SELECT to_jsonb(t) FROM {table} t WHERE {key} = $1::text::uuid LIMIT 1", theirs
    )
    columns = await owner.fetchval(COLUMNS, table)
    insert = (
        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1)"
    )
    if row is not None and await _reached(runtime, insert, row, past_the_policy=True):
        yield "an INSERT writes rows into another organisation"


async def _reached(runtime: Db, statement: str, *values: Any, past_the_policy: bool = False) -> int:
    """How many rows it wrote. With `past_the_policy`, a row that only a key kept out counts: what
    the policies refuse never comes so far.
    """
    transaction = runtime.transaction()
    await transaction.start()
    try:
        async with timeout(PATIENCE):
            status = await runtime.execute(statement, *values)
    except (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError):
        return int(past_the_policy)
    except asyncpg.PostgresError:  # no right, or a policy; or a trigger has refused it
        return 0
    finally:
        await transaction.rollback()
    return int(status.split()[-1])
