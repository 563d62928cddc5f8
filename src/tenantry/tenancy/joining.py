"""Joining: how somebody becomes a member. Sign-up, founding and invites all end here.

Within the caller's transaction, which has entered the organisation and locked its row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import asyncpg

from tenantry import feed
from tenantry.db.pool import Connection
from tenantry.errors import TenantryError
from tenantry.events import UserJoined

ONE_ACCOUNT_AN_ADDRESS = "users_email"  # the index
CREATE_MEMBER = """
WITH joined AS MATERIALIZED (SELECT tenantry.create_member($2, $3, $4, $5, $6, $7) AS created)
UPDATE organisations SET member_count = member_count + 1, updated_at = now()
  FROM joined
 WHERE id = $1 AND joined.created
"""
ADD_MEMBER = """
WITH joined AS MATERIALIZED (SELECT name, email FROM tenantry.add_member($2, $3, $4))
UPDATE organisations SET member_count = member_count + 1, updated_at = now()
  FROM joined
 WHERE id = $1 AND joined.name IS NOT NULL
RETURNING joined.name, joined.email
"""


async def join_as_new(
    connection: Connection,
    organisation: UUID,
    *,
    user: UUID,
    email: str,
    name: str,
    password_hash: str,
    role: str,
    owner: bool = False,
) -> None:
    """Make an account as a member of the organisation; all of it within `without_account`."""
    account = (user, email, name, password_hash)
    await connection.execute(CREATE_MEMBER, organisation, *account, role, owner)
    await _record(connection, organisation, user, name, email, role)


@contextmanager
def without_account(otherwise: type[TenantryError]) -> Iterator[None]:
    """Raises `otherwise` where the address of whoever is to join has an account."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != ONE_ACCOUNT_AN_ADDRESS:
            raise
        raise otherwise from None


async def join(
    connection: Connection, organisation: UUID, *, user: UUID, role: str, owner: bool = False
) -> str | None:
    """Make somebody with an account a member; gives their name.

    None: they are a member already, or the organisation is neither new nor has an open invite
    for their address.
    """
    added = await connection.fetchrow(ADD_MEMBER, organisation, user, role, owner)
    if added is None:
        return None
    await _record(connection, organisation, user, added["name"], added["email"], role)
    name: str = added["name"]
    return name


async def _record(
    connection: Connection, organisation: UUID, user: UUID, name: str, email: str, role: str
) -> None:
    await feed.record_later(
        connection,
        organisation,
        UserJoined(user, name, email, role),
        f"{name} joined the organisation",
        actor=user,
        target=user,
    )
