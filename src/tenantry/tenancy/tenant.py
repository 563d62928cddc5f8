"""Tenant: a person in an organisation, on a connection that sees this organisation only."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from asyncpg import Record
from uuid_utils.compat import uuid7

from tenantry import feed
from tenantry.db.pool import Connection
from tenantry.errors import Unauthorized
from tenantry.tenancy.plans import Plan

T = TypeVar("T")


class Role(StrEnum):
    ADMIN = "ADMIN"
    MEMBER = "MEMBER"


class Seats(msgspec.Struct, frozen=True):
    """The state of the organisation's seats, held by its lock."""

    plan: Plan
    members: int
    pending: int  # invites that are open and not expired

    @property
    def free_for_invite(self) -> bool:
        return self.plan.seats is None or self.members + self.pending < self.plan.seats

    @property
    def free_for_member(self) -> bool:
        return self.plan.seats is None or self.members < self.plan.seats


LOCK = """
SELECT subscription_plan, member_count
  FROM organisations
 WHERE id = $1
   FOR NO KEY UPDATE
"""
PENDING = """
SELECT count(*)
  FROM invites
 WHERE organisation_id = $1
   AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()
"""


class Tenant:
    """What a handler works with. `user_id` is None where the system acts in the organisation."""

    __slots__ = (
        "connection",
        "last_seq",
        "organisation_id",
        "plan",
        "role",
        "session_id",
        "user_id",
    )

    def __init__(
        self,
        connection: Connection,
        organisation_id: UUID,
        *,
        user_id: UUID | None = None,
        session_id: UUID | None = None,
        role: str | None = None,
        plan: str | None = None,
        last_seq: int = 0,
    ) -> None:
        self.connection = connection
        self.organisation_id = organisation_id
        self.user_id = user_id
        self.session_id = session_id
        self.role = role
        self.plan = plan
        self.last_seq = last_seq

    async def fetch(self, make: Callable[[Record], T], sql: str, *args: Any) -> list[T]:
        """All rows, each made into what `make` makes of it; `row_of(Struct)` for a struct."""
        return [make(row) for row in await self.connection.fetch(sql, *args)]

    async def fetch_one(self, make: Callable[[Record], T], sql: str, *args: Any) -> T | None:
        row = await self.connection.fetchrow(sql, *args)
        return None if row is None else make(row)

    async def execute(self, sql: str, *args: Any) -> int:
        """Run a statement; gives the number of rows that it touched."""
        status: str = await self.connection.execute(sql, *args)
        return int(status.rpartition(" ")[2])

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All of it or nothing. What was recorded is sent at the commit."""
        async with self.connection.transaction():
            yield

    async def lock_seats(self) -> Seats:
        """Lock the organisation until the transaction's end; gives its seats.

        Whoever changes members, invites or the plan calls this first.
        """
        row = await self.connection.fetchrow(LOCK, self.organisation_id)
        if row is None:
            raise Unauthorized
        pending = await self.connection.fetchval(PENDING, self.organisation_id)
        return Seats(Plan(row["subscription_plan"]), row["member_count"], pending)

    async def record(
        self,
        type_: feed.ActivityType,
        message: str,
        payload: dict[str, Any],
        *,
        actor: UUID | None = None,
        target: UUID | None = None,
    ) -> int:
        """Write an activity, which is also the event, in this transaction; gives its seq.

        `payload` is what the event carries. The actor is the one asking, unless given.
        """
        row = await self.connection.fetchrow(
            feed.RECORD,
            uuid7(),
            type_,
            actor or self.user_id,
            target,
            message,
            msgspec.json.encode(payload).decode(),
        )
        assert row is not None
        seq: int = row["seq"]
        return seq


def row_of(struct: type[T]) -> Callable[[Record], T]:
    """Makes the struct of a row whose columns are named as its fields."""
    return lambda row: struct(**row)
