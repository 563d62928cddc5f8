"""An organisation with a row in every tenant table: something to protect."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias
from uuid import UUID

from tenantry.testing.answers import PASSWORD, ok
from tenantry.testing.client import Account
from tenantry.testing.organisations import custom_permissions, on_largest_plan
from tenantry.testing.servers import Installation

Populate: TypeAlias = Callable[[Account], Awaitable[object]]

# What an app without quotas never writes.
USAGE = "INSERT INTO usage (organisation_id, name, period, used) VALUES ($1, 'tests', now(), 1)"


async def nothing(_: Account) -> None:
    """For an app whose features have no tables."""


@asynccontextmanager
async def populated(installation: Installation, populate: Populate) -> AsyncIterator[Account]:
    """Its owner, who is connected for so long."""
    owner = await fill(installation, populate)
    async with owner.socket():
        yield owner


async def fill(installation: Installation, populate: Populate) -> Account:
    """Its owner. The core's tables are filled here, but for presences, and the features' by
    `populate`.
    """
    product = installation.app.litestar.state.product
    owner = await on_largest_plan(installation.api, product)
    ok(await owner.broadcast(f"to {owner.organisation['name']}"), 201)
    await owner.add(f"Grace {owner.id[-8:]}", permissions=custom_permissions(product))
    ok(await owner.invite(), 201)
    ok(await owner.post("/api/realtime/ticket"), 201)
    deleted = ok(await owner.delete("/api/organisations", password=PASSWORD))
    ok(await owner.api.post("/api/organisations/restore", token=deleted["token"]))
    await installation.owner.execute(USAGE, UUID(owner.organisation["id"]))
    await populate(owner)
    return owner
