"""Tenant: a person in an organisation, on a connection that sees this organisation only."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from asyncpg import Record
from asyncpg.transaction import Transaction

from tenantry import feed
from tenantry.db.pool import Connection
from tenantry.events import Event
from tenantry.tenancy import entitlements
from tenantry.tenancy.product import Product
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
        "product",
        "role",
        "session_id",
        "user_id",
    )

    def __init__(
        self,
        connection: Connection,
        product: Product,
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
        self.product = product
        self.organisation_id = organisation_id
        self.user_id = user_id
        self.session_id = session_id
        self.role = role
        self.owner = owner
        self.permissions = product.permissions.of(role, owner=owner, custom=custom_permissions)
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
        return await lock_seats(self.connection, self.organisation_id, self.product.plans)

    async def value(self, sql: str, *args: Any) -> Any:
        """The first column of the first row; None where there is none."""
        return await self.connection.fetchval(sql, *args)

    async def require(self, name: str, *, used: int | Awaitable[int] = 0) -> None:
        """Refuse what the plan does not allow, or not one more of: see `entitlements.require`."""
        await entitlements.require(await self.lock_seats(), self.product.plans, name, used)

    async def use(self, name: str, amount: int = 1) -> None:
        """Use so much of a quota of the plan: see `entitlements.use`."""
        plan = (await self.lock_seats()).plan
        await entitlements.use(self.connection, self.organisation_id, plan, name, amount)

    async def record(
        self,
        event: Event,
        message: str,
        *,
        target: UUID | None = None,
    ) -> int:
        """See `feed.record`; the actor is the one asking."""
        return await feed.record(self.connection, event, message, actor=self.user_id, target=target)


def row_of(struct: type[T]) -> Callable[[Record], T]:
    """Makes the struct of a row whose columns are named as its fields."""
    return lambda row: struct(**row)
