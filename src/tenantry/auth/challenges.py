"""Challenges: what somebody has to answer, once, within five minutes, on the same device.

The token is random. Where a passkey answers, it is what the passkey signs.
"""

import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from tenantry.auth.devices import Device
from tenantry.db.pool import Connection
from tenantry.tenancy.tokens import token_hash

LIFETIME = timedelta(minutes=5)
MOST_TRIES = 5  # of six digits, that finds one sign-in in 70,000

OPEN = "SELECT tenantry.open_challenge($1, $2, $3, $4, $5, $6)"
TRY = "SELECT user_id, tries FROM tenantry.try_challenge($1, $2, $3, $4, $5)"
CLOSE = "SELECT tenantry.close_challenge($1)"


class Purpose(StrEnum):
    SIGN_IN = "sign in"
    PASSKEY_SIGN_IN = "passkey sign in"
    NEW_PASSKEY = "new passkey"
    STEP_UP = "step up"


class Challenge(msgspec.Struct, frozen=True):
    token: str
    expires_at: datetime


class NoChallenge(Exception):
    """It is none of this purpose, session and device, or expired, used, or tried too often."""


async def open_challenge(
    connection: Connection,
    purpose: Purpose,
    device: Device,
    *,
    user: UUID | None = None,
    session: UUID | None = None,
) -> Challenge:
    token = secrets.token_urlsafe(32)
    expires_at: datetime = await connection.fetchval(
        OPEN, token_hash(token), purpose, user, session, device.name, LIFETIME
    )
    return Challenge(token, expires_at)


async def try_challenge(
    connection: Connection,
    token: str,
    purpose: Purpose,
    device: Device,
    *,
    session: UUID | None = None,
) -> UUID | None:
    """Whose challenge it is. Counts one try before anything is compared.

    Outside any transaction: the count must stand although the request fails.

    Raises:
        NoChallenge
    """
    row = await connection.fetchrow(
        TRY, token_hash(token), purpose, session, device.name, MOST_TRIES
    )
    if row is None or row["tries"] is None:
        raise NoChallenge
    user: UUID | None = row["user_id"]
    return user


async def close_challenge(connection: Connection, token: str) -> None:
    """It has been answered; within the transaction of what the answer was for.

    Raises:
        NoChallenge: another answer was first.
    """
    if not await connection.fetchval(CLOSE, token_hash(token)):
        raise NoChallenge
