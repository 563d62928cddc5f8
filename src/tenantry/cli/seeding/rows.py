"""Writes what has been told into the tables, as their owner and in one transaction."""

import asyncio
import secrets
from collections.abc import Sequence
from uuid import UUID

from tenantry.cli.seeding.chronicle import Chronicle, Membership
from tenantry.db.pool import DriverConnection
from tenantry.passwords import Passwords
from tenantry.users.inviting import LIFETIME

ORGANISATION = """
INSERT INTO organisations
       (id, name, slug, subscription_plan, member_count, last_seq, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
USERS = """
INSERT INTO users
       (id, email, name, password_hash, email_verified_at, created_at, updated_at, closed_at)
VALUES ($1, $2, $3, $4, $5, $5, $5, $6)
"""
ROLES = """
INSERT INTO roles (organisation_id, id, name, permissions, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $5)
"""
MEMBERSHIPS = """
INSERT INTO memberships
       (organisation_id, user_id, role, owner, custom_role_id, created_at, updated_at, removed_at)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
"""
INVITES = """
INSERT INTO invites
       (organisation_id, id, email, role, custom_role_id, token_hash, invited_by,
        created_at, sent_at, expires_at, accepted_at, revoked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11)
"""
ACTIVITIES = """
INSERT INTO activities
       (organisation_id, seq, id, type, actor_id, target_id, message, metadata, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def write(
    connection: DriverConnection,
    chronicles: Sequence[Chronicle],
    passwords: Passwords,
    password: str,
) -> None:
    """All of it or nothing; one password for everybody, hashed for each."""
    everybody = _by_person(chronicles)
    hashes = await asyncio.gather(*[passwords.hash(password) for _ in everybody])
    async with connection.transaction():
        await connection.executemany(
            USERS,
            [_user(*one) for one in zip(everybody, hashes, strict=True)],
        )
        for chronicle in chronicles:
            await _write(connection, chronicle)


async def _write(connection: DriverConnection, told: Chronicle) -> None:
    first, last = told.lines[0], told.lines[-1]
    await connection.execute(
        ORGANISATION,
        *(told.id, told.name, told.slug, told.plan, len(told.members)),
        *(last.seq, first.at, last.at),
    )
    await connection.executemany(
        ROLES,
        [(told.id, role.id, role.name, role.permissions, first.at) for role in told.roles.values()],
    )
    await connection.executemany(
        MEMBERSHIPS,
        [
            (
                *(told.id, one.person.id, one.grade.role, one.grade.owner, one.grade.custom_id),
                *(one.since, one.until),
            )
            for one in told.memberships.values()
        ],
    )
    await connection.executemany(
        INVITES,
        [
            (
                *(told.id, one.id, one.email, one.grade.role, one.grade.custom_id),
                *(secrets.token_bytes(32), one.by.id),  # the hash of a token that nobody has
                *(one.sent, one.sent + LIFETIME, one.accepted, one.revoked),
            )
            for one in told.invites
        ],
    )
    await connection.executemany(ACTIVITIES, told.lines)


def _by_person(chronicles: Sequence[Chronicle]) -> list[list[Membership]]:
    found: dict[UUID, list[Membership]] = {}
    for chronicle in chronicles:
        for membership in chronicle.memberships.values():
            found.setdefault(membership.person.id, []).append(membership)
    return list(found.values())


def _user(memberships: list[Membership], password_hash: str) -> tuple[object, ...]:
    """Who is in no organisation any more has no account."""
    person = memberships[0].person
    since = min(one.since for one in memberships)
    ends = [one.until for one in memberships if one.until is not None]
    closed = max(ends) if len(ends) == len(memberships) else None
    return person.id, person.email, person.name, password_hash, since, closed
