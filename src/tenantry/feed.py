"""The feed: what an activity is, and the one statement that writes it.

Promises: an activity is written in the transaction of the change that it tells of; `seq` counts
an organisation's activities from 1 without a gap, in the order of their commits; whoever listens
is woken at the commit (through Redis: when the scope ends), and never for what was rolled back.
An event on the wire is an activity: its `type`, its `metadata` as `payload`, its `seq`, and
`created_at` as `at`.
Does not promise: that a wake-up arrives. It carries nothing; readers go by their cursor.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record
from uuid_utils.compat import uuid7

from tenantry.db.pool import Connection
from tenantry.events import Event

CHANNEL = "tenantry_activity"  # as RECORD has it


class Person(msgspec.Struct, frozen=True):
    """Somebody in the feed, a former member too."""

    id: UUID
    name: str
    email: str


class Activity(msgspec.Struct, frozen=True, rename="camel"):
    """One line of an organisation's feed. `seq` is its place there, and the cursor."""

    id: UUID
    organisation_id: UUID
    seq: int
    type: str
    message: str
    metadata: dict[str, Any]
    created_at: datetime
    actor: Person | None
    target: Person | None


# Takes the organisation's row lock, and with it the next seq. The caller's organisation is the
# entered one, so the row is found by policy alone; saying it again costs nothing and reads better.
RECORD = """
WITH organisation AS (
    UPDATE organisations SET last_seq = last_seq + 1
     WHERE id = tenantry.current_organisation()
 RETURNING id, last_seq
)
INSERT INTO activities
       (organisation_id, seq, id, type, actor_id, target_id, message, metadata, created_at)
SELECT id, last_seq, $1, $2, $3, $4, $5, $6, clock_timestamp()
  FROM organisation
RETURNING seq, organisation_id, pg_notify('tenantry_activity', organisation_id::text)
"""
# The same where Redis wakes the listeners.
RECORD_SILENTLY = RECORD.replace(", pg_notify('tenantry_activity', organisation_id::text)", "")

COLUMNS = """
       activity.id, activity.organisation_id, activity.seq, activity.type, activity.message,
       activity.metadata, activity.created_at,
       activity.actor_id,  actor.name  AS actor_name,  actor.email  AS actor_email,
       activity.target_id, target.name AS target_name, target.email AS target_email
"""
# The same of a line as JSON has it, where `actor` and `target` are PEOPLE.
WIRE_COLUMNS = """activity.id, activity.organisation_id AS "organisationId", activity.seq,
                       activity.type, activity.message, activity.metadata,
                       tenantry.wire_time(activity.created_at) AS "createdAt", actor, target"""
PEOPLE = "(SELECT id, name, email FROM users)"


async def record(
    connection: Connection,
    event: Event,
    message: str,
    *,
    actor: UUID | None,
    target: UUID | None = None,
) -> int:
    """Write an activity of the entered organisation in this transaction; gives its seq.

    The event is sent at the commit; `message` tells it to people.
    """
    row = await connection.fetchrow(*_recording(connection, event, message, actor, target))
    assert row is not None, "an organisation is entered"
    if connection.news is not None:
        connection.news.add(row["organisation_id"])
    seq: int = row["seq"]
    return seq


async def record_later(
    connection: Connection,
    organisation: UUID,
    event: Event,
    message: str,
    *,
    actor: UUID | None,
    target: UUID | None = None,
) -> None:
    """The same in a pipelined transaction, without waiting for it."""
    await connection.execute(*_recording(connection, event, message, actor, target))
    if connection.news is not None:
        connection.news.add(organisation)


def _recording(
    connection: Connection, event: Event, message: str, actor: UUID | None, target: UUID | None
) -> tuple[str, *tuple[Any, ...]]:
    """The statement and its arguments."""
    statement = RECORD if connection.news is None else RECORD_SILENTLY
    metadata = msgspec.json.encode(event).decode()
    return statement, uuid7(), event.type, actor, target, message, metadata


def activity(row: Record) -> Activity:
    """An activity from a row of COLUMNS."""
    return Activity(
        id=row["id"],
        organisation_id=row["organisation_id"],
        seq=row["seq"],
        type=row["type"],
        message=row["message"],
        metadata=msgspec.Raw(row["metadata"]),  # type: ignore[arg-type]  # goes out as it is
        created_at=row["created_at"],
        actor=_person(row["actor_id"], row["actor_name"], row["actor_email"]),
        target=_person(row["target_id"], row["target_name"], row["target_email"]),
    )


def _person(id_: UUID | None, name: str | None, email: str | None) -> Person | None:
    if id_ is None or name is None or email is None:
        return None
    return Person(id_, name, email)
