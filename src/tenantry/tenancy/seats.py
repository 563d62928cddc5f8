"""Seats: what a plan limits. They are counted under the organisation's row lock."""

from uuid import UUID

import msgspec
from asyncpg import Record

from tenantry.db.pool import Connection
from tenantry.db.wire import Row
from tenantry.errors import TokenInvalid
from tenantry.tenancy.plans import Plan, Plans

LOCK = """
SELECT subscription_plan, member_count
  FROM organisations
 WHERE id = $1 AND deleted_at IS NULL
   FOR NO KEY UPDATE
"""


class Seats(msgspec.Struct, frozen=True):
    """The plan and the number of members, which stay so until the transaction's end."""

    plan: Plan
    members: int

    def free(self, *, reserved: int = 0) -> bool:
        """Whether one more fits, where open invites hold `reserved` seats."""
        return self.plan.seats is None or self.members + reserved < self.plan.seats


async def lock_seats(connection: Connection, organisation: UUID, plans: Plans) -> Seats:
    """Lock the organisation's row. Whoever changes members, invites or the plan does so first."""
    return seats_of(await connection.fetchrow(LOCK, organisation), plans)


def seats_of(locked: Record | Row | None, plans: Plans) -> Seats:
    """What a row of LOCK says."""
    if locked is None:
        raise TokenInvalid
    return Seats(plans.named(locked["subscription_plan"]), locked["member_count"])
