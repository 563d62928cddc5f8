"""POST /api/realtime/ticket."""

import secrets
from datetime import datetime, timedelta

import msgspec
from litestar import post
from litestar.di import NamedDependency

from tenantry.reply import Reply
from tenantry.tenancy.guards import any_member
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import token_hash

LIFETIME = timedelta(seconds=30)

# The session's expired ones go at the same time, so that nothing piles up.
ISSUE = """
WITH swept AS (
    DELETE FROM tickets
     WHERE organisation_id = $1 AND session_id = $3 AND expires_at <= now()
)
INSERT INTO tickets (organisation_id, user_id, session_id, token_hash, expires_at)
VALUES ($1, $2, $3, $4, now() + $5)
RETURNING expires_at
"""


class Ticket(msgspec.Struct, frozen=True, rename="camel"):
    """A pass for one WebSocket: `/ws?ticket=…`."""

    ticket: str
    expires_at: datetime


@post(
    "/ticket",
    guards=[any_member],
    summary="A ticket for the event stream",
    operation_id="issueTicket",
)
async def issue_ticket(tenant: NamedDependency[Tenant]) -> Reply[Ticket]:
    """Gives a ticket that opens one WebSocket within 30 seconds, at `/ws?ticket=…`.

    So that no access token stands in an address, where logs and histories keep it.
    """
    ticket = secrets.token_urlsafe(32)
    expires_at = await tenant.connection.fetchval(
        ISSUE,
        tenant.organisation_id,
        tenant.user_id,
        tenant.session_id,
        token_hash(ticket),
        LIFETIME,
    )
    return Reply("Ticket issued", Ticket(ticket, expires_at))
