"""Joining: how a new account becomes a member. Sign-up and invite both end here."""

from uuid import UUID

from tenantry import feed
from tenantry.db.pool import Connection
from tenantry.feed import ActivityType

CREATE_MEMBER = "SELECT tenantry.create_member($1, $2, $3, $4, $5)"
COUNT_MEMBER = """
UPDATE organisations SET member_count = member_count + 1, updated_at = now() WHERE id = $1
"""


async def join(
    connection: Connection,
    organisation: UUID,
    *,
    user: UUID,
    email: str,
    name: str,
    password_hash: str,
    role: str,
) -> bool:
    """Make an account as a member of the organisation. False: the address has an account.

    Within the caller's transaction, which has entered the organisation and locked its row.
    """
    if not await connection.fetchval(CREATE_MEMBER, user, email, name, password_hash, role):
        return False
    await connection.execute(COUNT_MEMBER, organisation)
    await feed.record(
        connection,
        ActivityType.USER_JOINED,
        f"{name} joined the organisation",
        {"userId": user, "name": name, "email": email, "role": role},
        actor=user,
        target=user,
    )
    return True
