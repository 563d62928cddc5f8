"""The hub: the sockets of this process, and the cursor that feeds them.

Woken, it reads what lies past the last seq that it delivered, for all of its organisations in one
query, encodes each event once, and hands it to every socket of the organisation. The rest of the
server sees `attach`, `detach`, `start` and `stop`.
"""

import asyncio
import contextlib
from collections import defaultdict
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from asyncpg import Record

from tenantry.db.database import Database, unreachable
from tenantry.db.pool import Connection
from tenantry.feed import CHANNEL, ActivityType

log = structlog.get_logger()

SESSION_CHANNEL = "tenantry_session_ended"
POLL = 5.0  # seconds until a lost wake-up is made good
RETRY = 0.5  # seconds between attempts to reach a database that is away
BATCH = 500  # events of one organisation in one read

# Close codes (RFC 6455, 7.4.2: 4000-4999 are the application's). All say: do not come back as is.
SESSION_ENDED = 4001
REMOVED = 4003

EVENTS_AFTER = """
SELECT organisation_id, seq, type, payload, at FROM tenantry.events_after($1, $2, $3)
"""


class Socket(Protocol):
    """One open connection, as the hub sees it. Neither method may wait."""

    organisation_id: UUID
    user_id: UUID
    session_id: UUID

    def deliver(self, frame: str) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Hub:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sockets: defaultdict[UUID, set[Socket]] = defaultdict(set)
        self._cursors: dict[UUID, int] = {}
        self._stale: set[UUID] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="realtime hub")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def attach(self, socket: Socket, last_seq: int) -> None:
        """Deliver to this socket whatever comes after `last_seq`, as `enter` gave it."""
        organisation = socket.organisation_id
        if organisation not in self._cursors:
            self._cursors[organisation] = last_seq
            self._wake_for(organisation)  # for what was committed since `enter`
        self._sockets[organisation].add(socket)

    def detach(self, socket: Socket) -> None:
        sockets = self._sockets[socket.organisation_id]
        sockets.discard(socket)
        if not sockets:
            del self._sockets[socket.organisation_id]
            self._cursors.pop(socket.organisation_id, None)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                if not unreachable(error):
                    log.exception("the realtime hub failed; it goes on")
                await asyncio.sleep(RETRY)

    async def _listen(self) -> None:
        connection = await self._database.connect()
        try:
            connection.add_termination_listener(lambda _: self._wake.set())
            await connection.add_listener(CHANNEL, self._on_activity)
            await connection.add_listener(SESSION_CHANNEL, self._on_session_ended)
            self._stale.update(self._cursors)
            self._wake.set()
            while True:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL)
                if self._wake.is_set():
                    organisations, self._stale = self._stale, set()
                else:
                    organisations = set(self._cursors)
                self._wake.clear()
                await self._deliver(connection, organisations)
        finally:
            connection.terminate()

    def _wake_for(self, organisation: UUID) -> None:
        self._stale.add(organisation)
        self._wake.set()

    def _on_activity(self, _: Any, pid: int, channel: str, payload: object) -> None:
        organisation = UUID(str(payload))
        if organisation in self._cursors:
            self._wake_for(organisation)

    def _on_session_ended(self, _: Any, pid: int, channel: str, payload: object) -> None:
        session = UUID(str(payload))
        for sockets in list(self._sockets.values()):
            for socket in list(sockets):
                if socket.session_id == session:
                    socket.close(SESSION_ENDED, "The session has ended. Sign in again.")

    async def _deliver(self, connection: Connection, organisations: set[UUID]) -> None:
        if connection.is_closed():
            raise ConnectionResetError
        cursors = {one: self._cursors[one] for one in organisations if one in self._cursors}
        if not cursors:
            return
        rows = await connection.fetch(EVENTS_AFTER, list(cursors), list(cursors.values()), BATCH)
        for row in rows:
            organisation = row["organisation_id"]
            if row["seq"] <= self._cursors.get(organisation, row["seq"]):
                continue  # the last socket left while we read
            self._cursors[organisation] = row["seq"]
            self._send(organisation, row)
            if row["seq"] - cursors[organisation] >= BATCH:
                self._wake_for(organisation)

    def _send(self, organisation: UUID, row: Record) -> None:
        if row["type"] == ActivityType.USER_REMOVED:
            removed = UUID(msgspec.json.decode(row["payload"])["userId"])
            for socket in [s for s in self._sockets[organisation] if s.user_id == removed]:
                socket.close(REMOVED, "You were removed from the organisation.")
                self.detach(socket)
        frame = event_frame(row)
        for socket in self._sockets.get(organisation, ()):
            socket.deliver(frame)


def event_frame(row: Record) -> str:
    """An activity as it goes over the wire."""
    return msgspec.json.encode(
        {
            "type": row["type"],
            "payload": msgspec.Raw(row["payload"]),
            "seq": row["seq"],
            "at": row["at"],
        }
    ).decode()
