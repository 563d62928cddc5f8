"""Everything under /api/users."""

from tenantry.routing import Router
from tenantry.users.invites import accept_invite, invite
from tenantry.users.members import list_members, remove_member

router = Router(
    "/api/users",
    route_handlers=[list_members, invite, accept_invite, remove_member],
    tags=["Users"],
)
