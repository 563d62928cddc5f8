"""GET /api/realtime/presence."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency

from tenantry.reply import Reply
from tenantry.tenancy.guards import any_member
from tenantry.tenancy.permissions import Role
from tenantry.tenancy.tenant import Tenant, row_of

PRESENT = """
SELECT users.id, users.name, users.email, memberships.role,
       sum(presences.connections)::integer AS connections, min(presences.since) AS since
  FROM presences
  JOIN memberships ON memberships.organisation_id = presences.organisation_id
                  AND memberships.user_id = presences.user_id
                  AND memberships.removed_at IS NULL
  JOIN users ON users.id = presences.user_id
 WHERE presences.organisation_id = $1
   AND presences.node = ANY (ARRAY(SELECT tenantry.live_nodes()))
 GROUP BY users.id, users.name, users.email, memberships.role
 ORDER BY users.name, users.id
"""


class Present(msgspec.Struct, frozen=True):
    """A member who is connected: with how many event streams, and since when."""

    id: UUID
    name: str
    email: str
    role: Role
    connections: int
    since: datetime


@get(
    "/presence",
    guards=[any_member],
    summary="Who is connected",
    operation_id="listPresent",
)
async def list_present(tenant: NamedDependency[Tenant]) -> Reply[list[Present]]:
    """The members who have an event stream open, on whichever server, by name."""
    present = await tenant.fetch(row_of(Present), PRESENT, tenant.organisation_id)
    return Reply("Presence fetched", present)
