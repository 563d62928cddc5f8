"""Attempts: guesses at a secret, counted, with delays that grow.

Counted are those of an account from an address, those of an account, and those of an address; an
IPv6 one by its /64. Promises: a guess is counted before it is looked at, and stays so whatever
becomes of the request; an address without an account counts, and takes time, as any other; what
others do does not delay an account on addresses where it has got in before, and no delay is longer
than a quarter of an hour. `tenantry.attempt` in the database says how many are free.
"""

from asyncio import Lock
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from weakref import WeakValueDictionary

import structlog
from asyncpg import Record
from litestar.types import Scope

from tenantry.db.pool import Connection
from tenantry.errors import TooManyAuthAttempts
from tenantry.mail import WARN_OF_ATTEMPTS, AttemptsWarning, Mail
from tenantry.ratelimit import client_key

log = structlog.get_logger()

ATTEMPT = "SELECT wait, locked FROM tenantry.attempt($1, $2, $3)"
ATTEMPT_LOGIN = """
SELECT wait, locked, user_id, password_hash FROM tenantry.attempt_login($1, $2)
"""
SUCCEEDED = "SELECT tenantry.attempt_succeeded($1, $2, $3)"


class Purpose(StrEnum):
    """What is guessed at. Each counts for itself."""

    PASSWORD = "password"
    SECOND_FACTOR = "second factor"
    TOKEN = "token"  # of a link or an invite


class Attempt(NamedTuple):
    """A guess. `account` is its email address as entered; None, where no account is named."""

    purpose: Purpose
    account: str | None
    address: str


def attempt_of(scope: Scope, purpose: Purpose, account: str | None = None) -> Attempt:
    client = scope["client"]
    return Attempt(purpose, account, client_key(client[0] if client else ""))


class Attempts:
    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._turns: WeakValueDictionary[tuple[str, str], Lock] = WeakValueDictionary()

    def turn(self, attempt: Attempt) -> Lock:
        """`async with`: one of an account and an address at a time, so that many right ones at
        once do not count as many guesses.
        """
        key = ((attempt.account or "").lower(), attempt.address)
        return self._turns.setdefault(key, Lock())

    async def count(self, connection: Connection, attempt: Attempt) -> None:
        """Count one, outside any transaction. It is `succeeded`, or it was wrong.

        Raises:
            TooManyAuthAttempts: it has to wait, and has not been counted.
        """
        await self._let_through(connection, attempt, await connection.fetchrow(ATTEMPT, *attempt))

    async def count_login(self, connection: Connection, attempt: Attempt) -> Record | None:
        """The same for a password; gives the `user_id` and `password_hash` of the account, if
        there is one.
        """
        row = await connection.fetchrow(ATTEMPT_LOGIN, attempt.account, attempt.address)
        await self._let_through(connection, attempt, row)
        return row if row and row["user_id"] else None

    async def succeeded(self, connection: Connection, attempt: Attempt) -> None:
        """It was right, and what this account got wrong from this address is forgotten."""
        await connection.execute(SUCCEEDED, *attempt)

    async def _let_through(
        self, connection: Connection, attempt: Attempt, row: Record | None
    ) -> None:
        assert row is not None
        if row["wait"]:
            raise TooManyAuthAttempts(headers={"retry-after": str(row["wait"])})
        if row["locked"] and attempt.account:
            log.warning("guesses at an account are delayed", client=attempt.address)
            warning = AttemptsWarning(attempt.account, attempt.address, datetime.now(UTC))
            await self._mail.enqueue(connection, WARN_OF_ATTEMPTS, warning)
