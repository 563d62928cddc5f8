"""Founding: a new organisation, and the slug that it gets from its name."""

import secrets
from uuid import UUID

from slugify import slugify

from tenantry.db.pool import Connection

MAX_LENGTH = 48

FOUND_ORGANISATION = "SELECT tenantry.found_organisation($1, $2, $3, $4)"


async def found(connection: Connection, organisation: UUID, name: str, plan: str) -> None:
    """Make an organisation without members, and enter it for the caller's transaction."""
    slug = slug_of(name)
    while not await connection.fetchval(FOUND_ORGANISATION, organisation, name, slug, plan):
        slug = f"{slug_of(name)}-{secrets.token_hex(3)}"


def slug_of(name: str) -> str:
    """The name as it can stand in an address: lower-case ASCII words joined by hyphens;
    `organisation` where it has none.
    """
    return slugify(name, max_length=MAX_LENGTH, word_boundary=True) or "organisation"
