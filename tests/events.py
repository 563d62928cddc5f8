"""Many events, and a client that follows them through whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from asyncpg import Connection, Record
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api import Account

WRITE = """
WITH organisation AS (
    UPDATE organisations SET last_seq = last_seq + 1 WHERE id = $1
 RETURNING id, last_seq, pg_notify('tenantry_activity', id::text))
INSERT INTO activities
SELECT id, last_seq, gen_random_uuid(), 'BROADCAST_MESSAGE', NULL, NULL, '', '{"message": ""}',
       now()
  FROM organisation
"""


async def write_events(owner: "Connection[Record]", account: Account, count: int) -> None:
    """So many, each in a commit of its own."""
    for _ in range(count):
        await owner.execute(WRITE, UUID(account.organisation["id"]))


async def follow(
    account: Account, last: int, disturb: Callable[[], Awaitable[None]], *, every: int
) -> list[int]:
    """Every seq from 2 on, by a client that resumes; it is disturbed once in `every` events."""
    seen: list[int] = []
    disturbed = 0
    async with asyncio.timeout(60):
        while seen[-1:] != [last]:
            try:
                async with account.socket(after=seen[-1] if seen else 1) as socket:
                    while seen[-1:] != [last]:
                        seen.append((await socket.next())["seq"])
                        if len(seen) // every > disturbed and len(seen) < last - 100:
                            disturbed += 1
                            await disturb()
            except (ConnectionClosed, InvalidStatus, OSError):
                await asyncio.sleep(0.02)  # the server is away
    return seen
