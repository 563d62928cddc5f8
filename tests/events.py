"""Events written past the API: many, large, or without a word to the servers."""

from uuid import UUID

from asyncpg import Connection, Record

from tenantry.testing import Account

WRITE = """
WITH counted AS (
    UPDATE organisations SET last_seq = last_seq + $2 WHERE id = $1 RETURNING last_seq)
INSERT INTO activities
SELECT $1, last_seq - $2 + number, gen_random_uuid(), 'BROADCAST_MESSAGE', NULL, NULL, '',
       jsonb_build_object('message', repeat('x', $3)), now()
  FROM counted, generate_series(1, $2::integer) AS number
"""


async def write_events(
    owner: "Connection[Record]", account: Account, count: int = 1, *, size: int = 0
) -> None:
    """So many in one commit, each with a message of so many characters."""
    async with owner.transaction():
        await write_quietly(owner, account, count, size=size)
        await owner.execute("SELECT pg_notify('tenantry_activity', $1)", account.organisation["id"])


async def write_quietly(
    owner: "Connection[Record]", account: Account, count: int = 1, *, size: int = 0
) -> None:
    """As a writer whose NOTIFY never reaches the servers."""
    await owner.execute(WRITE, UUID(account.organisation["id"]), count, size)
