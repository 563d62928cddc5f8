"""Tenant: a person in an organisation, on a connection that sees this organisation only."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from asyncpg import Record
from asyncpg.transaction import Transaction

from tenantry import feed
from tenantry.db.pool import Connection
from tenantry.tenancy.permissions import permissions_of
from tenantry.tenancy.seats import Seats, lock_seats

T = TypeVar("T")


class Tenant:
    """What a handler works with. `role`, `owner`, `permissions` and `last_seq` are what `enter`
    found.
    """

    __slots__ = (
        "connection",
        "last_seq",
        "organisation_id",
        "owner",
        "permissions",
        "role",
        "session_id",
        "user_id",
    )

    def __init__(
        self,
        connection: Connection,
        *,
        organisation_id: UUID,
        user_id: UUID,
        session_id: UUID,
        role: str,
        owner: bool,
        custom_permissions: list[str] | None,
        last_seq: int,
    ) -> None:
        self.connection = connection
        self.organisation_id = organisation_id
        self.user_id = user_id
        self.session_id = session_id
        self.role = role
        self.owner = owner
        self.permissions = permissions_of(role, owner=owner, custom=custom_permissions)
        self.last_seq = last_seq

    async def fetch(self, make: Callable[[Record], T], sql: str, *args: Any) -> list[T]:
        """All rows, each made into what `make` makes of it; `row_of(Struct)` for a struct."""
        return [make(row) for row in await self.connection.fetch(sql, *args)]

    async def fetch_one(self, make: Callable[[Record], T], sql: str, *args: Any) -> T | None:
        row = await self.connection.fetchrow(sql, *args)
        return None if row is None else make(row)

    async def execute(self, sql: str, *args: Any) -> None:
        await self.connection.execute(sql, *args)

    def transaction(self) -> Transaction:
        """`async with`: all of it or nothing. What was recorded is sent at the commit."""
        return self.connection.transaction()

    async def lock_seats(self) -> Seats:
        """See `seats.lock_seats`."""
        return await lock_seats(self.connection, self.organisation_id)

    async def record(
        self,
        type_: feed.ActivityType,
        message: str,
        payload: dict[str, Any],
        *,
        target: UUID | None = None,
    ) -> int:
        """See `feed.record`; the actor is the one asking."""
        return await feed.record(
            self.connection, type_, message, payload, actor=self.user_id, target=target
        )


def row_of(struct: type[T]) -> Callable[[Record], T]:
    """Makes the struct of a row whose columns are named as its fields."""
    return lambda row: struct(**row)
