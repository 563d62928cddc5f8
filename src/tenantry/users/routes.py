"""Everything under /api/users."""

from tenantry.routing import Router
from tenantry.users.invite_page import show_invite
from tenantry.users.invites import accept_invite, invite
from tenantry.users.members import change_role, list_members, remove_member
from tenantry.users.open_invites import (
    invite_several,
    list_invites,
    resend_invite,
    revoke_invite,
)

router = Router(
    "/api/users",
    route_handlers=[
        list_members,
        invite,
        accept_invite,
        change_role,
        remove_member,
        list_invites,
        invite_several,
        show_invite,
        revoke_invite,
        resend_invite,
    ],
    tags=["Users"],
)
