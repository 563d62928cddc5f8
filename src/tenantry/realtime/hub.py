"""The hub: the sockets of this process, and the cursor that feeds them.

Woken, it reads what lies past the last seq that it delivered, for all of its organisations in one
query, encodes each event once, and hands it to every socket of the organisation. The rest of the
server sees `attach`, `detach`, `start` and `stop`.
"""

import asyncio
import contextlib
from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from typing import Protocol
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

# Close codes and reasons (RFC 6455, 7.4.2: 4000-4999 are the application's).
SESSION_ENDED = (4001, "The session has ended. Sign in again.")
REMOVED = (4003, "You were removed from the organisation.")

EVENTS_AFTER = """
SELECT organisation_id, seq, type, payload, at FROM tenantry.events_after($1, $2, $3)
"""
STANDING = "SELECT tenantry.standing($1, $2, $3)"


class Socket(Protocol):
    """One open connection, as the hub sees it. Neither method may wait."""

    organisation_id: UUID
    user_id: UUID
    session_id: UUID
    seq: int  # of the last event that it has; kept by the hub

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

    def attach(self, socket: Socket) -> None:
        """Deliver to this socket whatever comes after its `seq`."""
        organisation = socket.organisation_id
        self._sockets[organisation].add(socket)
        cursor = self._cursors.get(organisation)
        if cursor is None or socket.seq < cursor:
            # Something may have been committed, and to others delivered, since the seq was read.
            self._cursors[organisation] = socket.seq
            self._wake_for(organisation)

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
        clock = asyncio.get_running_loop().time
        try:
            connection.add_termination_listener(lambda _: self._wake.set())
            await connection.add_listener(CHANNEL, self._on_activity)
            await connection.add_listener(SESSION_CHANNEL, self._on_session_ended)
            poll_at = clock()  # at once: wake-ups may have been missed
            while True:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), max(0, poll_at - clock()))
                self._wake.clear()
                stale, self._stale = self._stale, set()
                if clock() < poll_at:
                    await self._deliver(connection, stale)
                else:
                    poll_at = clock() + POLL
                    await self._deliver(connection, set(self._cursors))
                    await self._close_fallen(connection)
        finally:
            connection.terminate()

    def _wake_for(self, organisation: UUID) -> None:
        self._stale.add(organisation)
        self._wake.set()

    def _on_activity(self, _: object, _pid: int, _channel: str, payload: object) -> None:
        organisation = UUID(str(payload))
        if organisation in self._cursors:
            self._wake_for(organisation)

    def _on_session_ended(self, _: object, _pid: int, _channel: str, payload: object) -> None:
        session = UUID(str(payload))
        for socket in self._all_sockets():
            if socket.session_id == session:
                socket.close(*SESSION_ENDED)

    def _all_sockets(self) -> list[Socket]:
        return [socket for sockets in self._sockets.values() for socket in sockets]

    async def _close_fallen(self, connection: Connection) -> None:
        """Close the sockets whose session has ended or expired without our hearing of it."""
        sockets = self._all_sockets()
        if not sockets:
            return
        standing = await connection.fetchval(
            STANDING,
            [socket.user_id for socket in sockets],
            [socket.session_id for socket in sockets],
            [socket.organisation_id for socket in sockets],
        )
        for socket, stands in zip(sockets, standing, strict=True):
            if not stands:
                socket.close(*SESSION_ENDED)

    async def _deliver(self, connection: Connection, organisations: set[UUID]) -> None:
        if connection.is_closed():
            raise ConnectionResetError
        cursors = {one: self._cursors[one] for one in organisations if one in self._cursors}
        if not cursors:
            return
        rows = await connection.fetch(EVENTS_AFTER, list(cursors), list(cursors.values()), BATCH)
        for organisation, group in groupby(rows, itemgetter("organisation_id")):
            events = list(group)
            for event in events:
                self._send(organisation, event)
            # Unless a socket that came while we read has put the cursor back.
            if self._cursors.get(organisation) == cursors[organisation]:
                self._cursors[organisation] = events[-1]["seq"]
            if len(events) == BATCH:
                self._wake_for(organisation)

    def _send(self, organisation: UUID, event: Record) -> None:
        waiting = [one for one in self._sockets.get(organisation, ()) if one.seq < event["seq"]]
        removed = None
        if event["type"] == ActivityType.USER_REMOVED:
            removed = UUID(msgspec.json.decode(event["payload"])["userId"])
        frame = event_frame(event)
        for socket in waiting:
            socket.seq = event["seq"]
            if socket.user_id == removed:
                socket.close(*REMOVED)
            else:
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
