"""The organisations of the study of real time, and what happens in them.

Events are written straight to the database, as the API would otherwise be measured too: with the
server's own statement, `tenantry.feed.RECORD`, in a function of the database, so that entering the
organisation and the statement are one round trip.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec
from asyncpg import Connection, Record

from tenantry.events import BroadcastMessage
from tenantry.feed import RECORD
from tenantry.tenancy.tokens import Tokens

WRITERS = 20  # connections that write at once
MESSAGE = "The new release is out: please reload the page."

# An organisation, its admin and the admin's session have one id, so that one says who all are.
SEED = """
INSERT INTO organisations (id, name, slug)
SELECT gen_random_uuid(), 'Organisation ' || n, 'organisation-' || n FROM generate_series(1, {}) n;
INSERT INTO users (id, email, name, password_hash)
SELECT id, slug || '@example.com', 'Ada Lovelace', '' FROM organisations;
INSERT INTO memberships (organisation_id, user_id, role) SELECT id, id, 'ADMIN' FROM organisations;
INSERT INTO sessions (id, user_id, expires_at)
SELECT id, id, now() + interval '1 hour' FROM organisations;
ANALYZE;
"""

# record: RECORD with its own parameters, in the organisation of the seventh.
# record_each: an event in each of the organisations, and each event its own transaction.
FUNCTIONS = f"""
CREATE SCHEMA bench;
CREATE FUNCTION bench.record(uuid, text, uuid, uuid, text, jsonb, uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    written record;
BEGIN
    PERFORM set_config('tenantry.organisation_id', $7::text, false);
    {RECORD} INTO written;
END $$;
CREATE PROCEDURE bench.record_each(organisations uuid[], type text, message text, payload jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    one uuid;
BEGIN
    FOREACH one IN ARRAY organisations LOOP
        PERFORM bench.record(gen_random_uuid(), type, one, NULL, message, payload, one);
        COMMIT;
    END LOOP;
END $$;
"""
WRITE = """
SELECT bench.record(gen_random_uuid(), $1, $2, NULL, $3, $4, $2) FROM generate_series(1, $5)
"""
WRITE_EACH = "CALL bench.record_each($1, $2, $3, $4)"


async def seed(owner_url: str, organisations: int) -> list[UUID]:
    """Make so many organisations, with an admin each, who is signed in."""
    owner = await asyncpg.connect(owner_url)
    await owner.execute(SEED.format(organisations))
    await owner.execute(FUNCTIONS)
    rows = await owner.fetch("SELECT id FROM organisations ORDER BY id")
    await owner.close()
    return [row["id"] for row in rows]


def paths(tokens: Tokens, organisations: Sequence[UUID]) -> list[str]:
    """Where the admins' sockets are opened."""
    now = datetime.now(UTC)
    return [f"/ws?token={tokens.access(one, one, one, now)}" for one in organisations]


class Paced(NamedTuple):
    """How events were written: how many a second, and the milliseconds of each one's commit."""

    rate: float
    commits: list[float]


class Writers:
    """Connections of the database's owner, by which events are written."""

    def __init__(self, connections: Sequence["Connection[Record]"]) -> None:
        self._connections = connections

    async def write(self, organisation: UUID, events: int = 1) -> None:
        """Write events in one transaction."""
        await self._write(self._connections[0], organisation, MESSAGE, events)

    async def write_each(self, organisations: Sequence[UUID]) -> None:
        """Write an event in each organisation, in a transaction of its own, as fast as it goes."""
        await asyncio.gather(
            *(
                connection.execute(
                    WRITE_EACH,
                    organisations[place :: len(self._connections)],
                    BroadcastMessage.type,
                    MESSAGE,
                    _payload(MESSAGE, organisations[0]),
                )
                for place, connection in enumerate(self._connections)
            )
        )

    async def write_timed(self, organisation: UUID, *, by: int = 0) -> float:
        """Write an event whose message is the time just before it is sent to the database.

        Gives the milliseconds until it was committed, as far as its writer knows.
        """
        start = time.monotonic_ns()
        await self._write(self._connections[by], organisation, str(start), 1)
        return (time.monotonic_ns() - start) / 1e6

    async def write_at(self, rate: int, seconds: float, organisations: Sequence[UUID]) -> Paced:
        """Write timed events at so many a second, in each organisation in turn."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        total = round(rate * seconds)
        commits: list[float] = []

        async def write_share(by: int) -> None:
            # So many organisations that one is always written by the same, and none waits.
            for turn in range(by, total, len(self._connections)):
                await asyncio.sleep(max(0.0, start + turn / rate - loop.time()))
                organisation = organisations[turn % len(organisations)]
                commits.append(await self.write_timed(organisation, by=by))

        assert len(organisations) % len(self._connections) == 0
        await asyncio.gather(*(write_share(by) for by in range(len(self._connections))))
        return Paced(total / (loop.time() - start), commits)

    async def _write(
        self, connection: "Connection[Record]", organisation: UUID, message: str, events: int
    ) -> None:
        await connection.execute(
            WRITE,
            BroadcastMessage.type,
            organisation,
            message,
            _payload(message, organisation),
            events,
        )


@asynccontextmanager
async def writing(owner_url: str, *, to_disk: bool) -> AsyncIterator[Writers]:
    """Writers whose commits wait for the disk, as PostgreSQL's do by default, or do not.

    Commits that notify follow one another, flush and all: NOTIFY holds a lock that is the whole
    cluster's. So where they wait for the disk, it is the disk that says how many a second there
    are, whatever the server does.
    """
    waits = {"synchronous_commit": "on" if to_disk else "off"}
    async with AsyncExitStack() as stack:
        connections = []
        for _ in range(WRITERS):
            connection = await asyncpg.connect(owner_url, server_settings=waits)
            stack.push_async_callback(connection.close)
            connections.append(connection)
        yield Writers(connections)


def _payload(message: str, organisation: UUID) -> str:
    """As POST /api/organisations/broadcast makes it."""
    payload = {"message": message, "sentBy": organisation, "sentAt": datetime.now(UTC)}
    return msgspec.json.encode(payload).decode()
