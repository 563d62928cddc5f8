"""GET /api/realtime/presence."""

from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record
from litestar import get
from litestar.di import NamedDependency

from tenantry.reply import Reply
from tenantry.tenancy.guards import any_member
from tenantry.tenancy.permissions import NamedRole, Role
from tenantry.tenancy.tenant import Tenant

PRESENT = """
SELECT users.id, users.name, users.email, memberships.role, memberships.owner,
       roles.id AS role_id, roles.name AS role_name,
       sum(presences.connections)::integer AS connections, min(presences.since) AS since
  FROM presences
  JOIN memberships ON memberships.organisation_id = presences.organisation_id
                  AND memberships.user_id = presences.user_id
                  AND memberships.removed_at IS NULL
  JOIN users ON users.id = presences.user_id
  LEFT JOIN roles ON roles.organisation_id = memberships.organisation_id
                 AND roles.id = memberships.custom_role_id
 WHERE presences.organisation_id = $1
   AND presences.node = ANY (ARRAY(SELECT tenantry.live_nodes()))
 GROUP BY users.id, users.name, users.email, memberships.role, memberships.owner,
          roles.id, roles.name
 ORDER BY users.name, users.id
"""


class Present(msgspec.Struct, frozen=True, rename="camel"):
    """A member who is connected: with how many event streams, and since when.

    `role` is ADMIN where `owner` is true, and MEMBER where there is a custom role.
    """

    id: UUID
    name: str
    email: str
    role: Role
    owner: bool
    custom_role: NamedRole | None
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
    return Reply("Presence fetched", await tenant.fetch(_made, PRESENT, tenant.organisation_id))


def _made(row: Record) -> Present:
    return Present(
        row["id"],
        row["name"],
        row["email"],
        row["role"],
        row["owner"],
        NamedRole(row["role_id"], row["role_name"]) if row["role_id"] else None,
        row["connections"],
        row["since"],
    )
