"""What a tenant's scope costs the server: `enter` and one query, beside the bare driver.

    .venv/bin/python -m bench scope

Starts a PostgreSQL of its own, makes an organisation, and alternates, in seven rounds of 2,000: the
bare driver on one connection (enter and the query, nothing else), the same with set_config in
enter's place, a transaction with SET LOCAL, the driver's own pool, and the server's scope. Prints
the medians of this process's CPU time and of the wall time of one, and the ratios to the first.
"""

import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop
from asyncpg import Connection, Record
from asyncpg.pool import Pool

from tenantry.db import embedded, schema
from tenantry.db.database import ENTER, Database
from tenantry.organisations.organisation import ORGANISATION

ROUNDS = 7
OPERATIONS = 2000

Operation = Callable[[], Awaitable[object]]

SEED = """
INSERT INTO organisations (id, name, slug) VALUES (gen_random_uuid(), 'Bench', 'bench');
INSERT INTO users (id, email, name, password_hash)
VALUES (gen_random_uuid(), 'bench@example.com', 'Bench', '');
INSERT INTO memberships (organisation_id, user_id, role)
SELECT o.id, u.id, 'ADMIN' FROM organisations o, users u;
INSERT INTO sessions (id, user_id, expires_at)
SELECT gen_random_uuid(), id, now() + interval '1 hour' FROM users;
"""


async def contenders(
    connection: "Connection[Record]",
    pool: "Pool[Record]",
    database: Database,
    ids: tuple[UUID, UUID, UUID],
) -> dict[str, Operation]:
    organisation = ids[2]

    async def bare_enter() -> None:
        await connection.fetchrow(ENTER, *ids)
        await connection.fetchrow(ORGANISATION, organisation)

    async def bare_set_config() -> None:
        await connection.fetchrow(
            "SELECT set_config('tenantry.organisation_id', $1, false)", str(organisation)
        )
        await connection.fetchrow(ORGANISATION, organisation)

    async def transaction() -> None:
        async with connection.transaction():
            await connection.fetchrow(
                "SELECT set_config('tenantry.organisation_id', $1, true)", str(organisation)
            )
            await connection.fetchrow(ORGANISATION, organisation)

    async def driver_pool() -> None:
        async with pool.acquire() as pooled:
            await pooled.fetchrow(ENTER, *ids)
            await pooled.fetchrow(ORGANISATION, organisation)

    async def scope() -> None:
        entered = await database.enter(*ids)
        assert entered is not None
        await entered[0].fetchrow(ORGANISATION, organisation)
        database.release(entered[0])

    return {
        "bare driver: enter + query": bare_enter,
        "bare driver: set_config + query": bare_set_config,
        "bare driver: BEGIN, SET LOCAL, query, COMMIT": transaction,
        "the driver's pool, without its reset: the same": driver_pool,
        "Tenantry's scope: the same": scope,
    }


async def no_reset(_: object) -> None:
    """As the scopes make the reset query superfluous."""


async def measure(operation: Operation) -> tuple[float, float]:
    """CPU and wall microseconds of one operation."""
    for _ in range(100):
        await operation()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(OPERATIONS):
        await operation()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu / OPERATIONS * 1e6, wall / OPERATIONS * 1e6


async def run(owner_url: str) -> None:
    url = (await schema.prepare(owner_url, secret="bench", say=print)).runtime
    owner = await asyncpg.connect(owner_url)
    await owner.execute(SEED)
    row = await owner.fetchrow(
        "SELECT user_id, s.id, organisation_id FROM sessions s JOIN memberships USING (user_id)"
    )
    assert row is not None
    await owner.close()
    connection = await asyncpg.connect(url)
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1, reset=no_reset)
    database = Database(url)
    operations = await contenders(connection, pool, database, (row[0], row[1], row[2]))
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in operations}
    for _ in range(ROUNDS):
        for name, operation in operations.items():
            figures[name].append(await measure(operation))
    await connection.close()
    await pool.close()
    await database.close()
    first = statistics.median(cpu for cpu, _ in figures["bare driver: enter + query"])
    print(f"\n{'':46} {'CPU µs':>8} {'wall µs':>8} {'CPU ratio':>10}")
    for name, rounds in figures.items():
        cpu = statistics.median(cpu for cpu, _ in rounds)
        wall = statistics.median(wall for _, wall in rounds)
        print(f"{name:46} {cpu:8.0f} {wall:8.0f} {cpu / first:10.2f}")


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tenantry-bench-") as folder,
        embedded.running(Path(folder)) as url,
    ):
        uvloop.run(run(url))
