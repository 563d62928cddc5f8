"""Brings a database to this version's schema: `python -m tenantry.db.migrate`.

Run as a process of its own, since Alembic's import costs half of a server's start, and a server
needs it only when there is something to migrate. DATABASE_URL must be the owner's.
"""

import asyncio
import os
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection as SyncConnection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tenantry.db.pool import DriverConnection

# No migration may make the running servers wait behind a lock that it waits for itself.
LOCK_TIMEOUT = "5s"
# One migration at a time, whichever node starts first. The number is arbitrary but fixed.
ADVISORY_LOCK = 7_236_641_101


def _upgrade(connection: SyncConnection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(url: str) -> None:
    """Run what has not been run yet. Safe to call from several nodes at once."""

    async def connect() -> DriverConnection:
        connection = await asyncpg.connect(
            url,
            server_settings={"application_name": "tenantry migrate", "search_path": "public"},
        )
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        return connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_upgrade)
        await connection.commit()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(migrate(os.environ["DATABASE_URL"]))
