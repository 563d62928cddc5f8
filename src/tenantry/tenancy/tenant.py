"""An organisation, on a connection that sees this one only; and a person in it, where one asks."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from asyncpg import Record
from asyncpg.transaction import Transaction

from tenantry import feed
from tenantry.db.pool import Connection
from tenantry.events import Event
from tenantry.tenancy import entitlements
from tenantry.tenancy.product import Product
from tenantry.tenancy.seats import Seats, lock_seats

ENQUEUE = "SELECT tenantry.enqueue_job($1, $2)"

T = TypeVar("T")


class TenantScope:
    """What a job works with: an organisation that nobody asks in. A `Tenant` is one too, so what
    takes a `TenantScope` serves handlers and jobs.
    """

    __slots__ = ("connection", "last_seq", "organisation_id", "product")

    def __init__(
        self, connection: Connection, product: Product, *, organisation_id: UUID, last_seq: int
    ) -> None:
        self.connection = connection
        self.product = product
        self.organisation_id = organisation_id
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

    def pipelined(self) -> AbstractAsyncContextManager[None]:
        """The same, with fewer round trips: see `Connection.pipelined`."""
        return self.connection.pipelined()

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

    async def enqueue(self, name: str, payload: msgspec.Struct) -> None:
        """A job of a feature, for the worker to do in this organisation once this transaction has
        committed; rolled back, it is never done.

        It is done at least once: again, for a day, while it fails, and again where a worker was
        killed. So it must do no harm twice.

        Raises:
            KeyError: no feature has a job of this name.
            TypeError: it takes another payload.
        """
        if name not in self.product.jobs:
            raise KeyError(f"no feature has the job {name}; name it in the `jobs` of one")
        if type(payload) is not self.product.jobs[name]:
            raise TypeError(f"the job {name} takes a {self.product.jobs[name].__name__}")
        await self.execute(ENQUEUE, name, msgspec.json.encode(payload))

    @property
    def actor(self) -> UUID | None:
        """Who is said to have done what is recorded: of a job, nobody."""
        return None

    async def record(self, event: Event, message: str, *, target: UUID | None = None) -> int:
        """See `feed.record`."""
        return await feed.record(self.connection, event, message, actor=self.actor, target=target)

    async def record_later(self, event: Event, message: str, *, target: UUID | None = None) -> None:
        """See `feed.record_later`."""
        await feed.record_later(
            self.connection,
            self.organisation_id,
            event,
            message,
            actor=self.actor,
            target=target,
        )


class Tenant(TenantScope):
    """What a handler works with: whoever asks, in the organisation. `role`, `owner`, `permissions`
    and `last_seq` are what `enter` found.
    """

    __slots__ = ("owner", "permissions", "role", "session_id", "user_id")

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
        super().__init__(connection, product, organisation_id=organisation_id, last_seq=last_seq)
        self.user_id = user_id
        self.session_id = session_id
        self.role = role
        self.owner = owner
        self.permissions = product.permissions.of(role, owner=owner, custom=custom_permissions)

    @property
    def actor(self) -> UUID:
        """The one asking."""
        return self.user_id


def row_of(struct: type[T]) -> Callable[[Record], T]:
    """Makes the struct of a row whose columns are named as its fields."""
    return lambda row: struct(**row)
