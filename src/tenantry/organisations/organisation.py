"""The organisation as its members see it."""

from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record

from tenantry.errors import TokenInvalid
from tenantry.tenancy.plans import Plans
from tenantry.tenancy.tenant import Tenant

ORGANISATION = """
SELECT id, name, slug, subscription_plan, member_count, requires_second_factor, created_at
  FROM organisations
 WHERE id = $1
"""
# The same as JSON; $2 has the seats of each plan, and what is no plan any more has none.
ORGANISATION_TO_READ = """
SELECT json_build_object(
           'id', id, 'name', name, 'slug', slug, 'subscriptionPlan', subscription_plan,
           'memberCount', member_count,
           'memberLimit', coalesce($2::jsonb -> subscription_plan, '0'),
           'requiresSecondFactor', requires_second_factor,
           'createdAt', tenantry.wire_time(created_at))
  FROM organisations
 WHERE id = $1
"""


class Organisation(msgspec.Struct, frozen=True, rename="camel"):
    """An organisation. `member_limit` is null where the plan has none."""

    id: UUID
    name: str
    slug: str
    subscription_plan: str
    member_count: int
    member_limit: int | None
    requires_second_factor: bool
    created_at: datetime


async def fetch_organisation(tenant: Tenant) -> Organisation:
    """The entered one."""
    row = await tenant.connection.fetchrow(ORGANISATION, tenant.organisation_id)
    if row is None:
        raise TokenInvalid
    return made(row, tenant.product.plans)


def made(row: Record, plans: Plans) -> Organisation:
    return Organisation(
        row["id"],
        row["name"],
        row["slug"],
        row["subscription_plan"],
        row["member_count"],
        plans.named(row["subscription_plan"]).seats,
        row["requires_second_factor"],
        row["created_at"],
    )
