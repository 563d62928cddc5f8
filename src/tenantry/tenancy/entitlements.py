"""Entitlements: what a plan allows, asked under the organisation's lock.

Promises: however many ask at once, a limit is not passed and a quota not overdrawn, since each asks
under the lock and within the transaction of what it is about to do; what is rolled back has used
nothing.
"""

from collections.abc import Awaitable
from datetime import datetime
from uuid import UUID

from tenantry.db.pool import Connection
from tenantry.errors import NotInPlan, PlanLimitReached, QuotaReached
from tenantry.tenancy.plans import Plan, Plans
from tenantry.tenancy.seats import Seats

USE = """
INSERT INTO usage AS counter (organisation_id, name, period, used)
VALUES ($1, $2, date_trunc($3, now()), $4)
    ON CONFLICT (organisation_id, name, period) DO UPDATE SET used = counter.used + excluded.used
 WHERE counter.used + excluded.used <= $5
RETURNING used
"""
PERIOD_ENDS = "SELECT date_trunc($1, now()) + ('1 ' || $1)::interval"


async def require(seats: Seats, plans: Plans, name: str, used: int | Awaitable[int]) -> None:
    """Refuse where the plan does not have it, or allows no more than are used.

    An awaitable `used`, such as `tenant.value(COUNT, …)`, is awaited here, under the lock, so that
    nobody else can add one in between.

    Raises:
        NotInPlan, PlanLimitReached
        KeyError: no plan knows the name.
    """
    plan = seats.plan
    if name not in plans.entitlements:
        raise KeyError(f"no plan says {name}; add it to each plan of TENANTRY_PLANS")
    number = used if isinstance(used, int) else await used
    entitlement = plan.entitlement(name)
    larger = [one for one in plans.with_entitlement(name) if one != plan.name]
    hint = f"; change to {' or '.join(larger)}" if larger else ""
    if not entitlement.allowed:
        raise NotInPlan(f"The {plan.name} plan has no {_words(name)}{hint}")
    if entitlement.limit is not None and entitlement.per is None and number >= entitlement.limit:
        raise PlanLimitReached(
            f"The {plan.name} plan allows {entitlement.limit} {_words(name)}, and there are "
            f"{number}. Please upgrade."
        )


async def use(
    connection: Connection, organisation: UUID, plan: Plan, name: str, amount: int
) -> None:
    """Take so much of the quota of this day or month, in the caller's transaction.

    Raises:
        NotInPlan, QuotaReached
        KeyError: the plan has no quota of this name.
    """
    entitlement = plan.entitlement(name)
    if not entitlement.allowed:
        raise NotInPlan(f"The {plan.name} plan has no {_words(name)}; change the plan first")
    if entitlement.limit is None:
        return
    if entitlement.per is None:
        raise KeyError(f'{name} is no quota: "{entitlement.limit}/month" would be one')
    used = None
    if amount <= entitlement.limit:
        used = await connection.fetchval(
            USE, organisation, name, entitlement.per, amount, entitlement.limit
        )
    if used is None:
        ends: datetime = await connection.fetchval(PERIOD_ENDS, entitlement.per)
        raise QuotaReached(
            f"The {plan.name} plan allows {entitlement.limit} {_words(name)} a {entitlement.per}, "
            f"and not {amount} more until {ends:%-d %B %Y}"
        )


def _words(name: str) -> str:
    return name.replace("_", " ")
