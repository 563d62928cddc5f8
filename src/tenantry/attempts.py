"""Attempts: guesses at a secret, counted, with delays that grow.

Counted are those of an account from an address, those of an account, and those of an address; an
IPv6 one by its /64. Promises: a guess is counted before it is looked at, and stays so whatever
becomes of the request; an address without an account counts, and takes time, as any other; what
others do does not delay an account on addresses where it has got in before, and no delay is longer
than a quarter of an hour. `tenantry.attempt` in the database says how many are free.
"""

import os
from asyncio import Semaphore
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias
from weakref import WeakValueDictionary

import structlog
from asyncpg import Record

from tenantry.db.pool import Connection
from tenantry.db.wire import Row, Statement
from tenantry.errors import TooManyAuthAttempts
from tenantry.mail import WARN_OF_ATTEMPTS, AttemptsWarning, Mail
from tenantry.ratelimit import client_key

log = structlog.get_logger()

# Nobody waits for the disk: should PostgreSQL crash, the guesses of its last moment are forgotten.
ATTEMPT = """
SELECT wait, locked
  FROM tenantry.attempt($1, $2, $3), set_config('synchronous_commit', 'off', true)
"""
ATTEMPT_LOGIN = """
SELECT wait, locked, user_id, password_hash
  FROM tenantry.attempt_login($1, $2), set_config('synchronous_commit', 'off', true)
"""
SUCCEEDED = "SELECT tenantry.attempt_succeeded($1, $2, $3)"

Turns: TypeAlias = WeakValueDictionary[tuple[str, str], Semaphore]

# Guesses of an account and an address that are looked at together: as many as can be hashed at
# once, and fewer than the five that are free.
AT_ONCE = min(os.cpu_count() or 1, 4)


class Guess(StrEnum):
    """What is guessed at. Each counts for itself."""

    PASSWORD = "password"
    SECOND_FACTOR = "second factor"
    TOKEN = "token"  # of a link or an invite


class Attempts:
    """Of one client. An `account` is named by its email address, as entered."""

    def __init__(self, mail: Mail, turns: Turns, client: str) -> None:
        """`turns` are shared by all clients of the process."""
        self.address = client_key(client)
        self._mail = mail
        self._turns = turns

    def turn(self, account: str) -> Semaphore:
        """`async with`: a few of an account and an address at a time, so that many right ones at
        once do not count as many guesses.
        """
        return self._turns.setdefault((account.lower(), self.address), Semaphore(AT_ONCE))

    async def count(self, connection: Connection, guess: Guess, account: str | None = None) -> None:
        """Count one, outside any transaction. It has `succeeded` later, or was wrong.

        Raises:
            TooManyAuthAttempts: it has to wait, and has not been counted.
        """
        row = await connection.fetchrow(ATTEMPT, guess, account, self.address)
        await self._let_through(connection, account, row)

    async def count_and_look(
        self, connection: Connection, guess: Guess, look: Statement
    ) -> Row | None:
        """The same, and what the guess leads to, which nobody is told who has to wait."""
        (row,), found = await connection.together((ATTEMPT, (guess, None, self.address)), look)
        await self._let_through(connection, None, row)
        return found[0] if found else None

    async def count_login(self, connection: Connection, email: str) -> Record | None:
        """The same for a password; gives the `user_id` and `password_hash` of the account, if
        there is one.
        """
        row = await connection.fetchrow(ATTEMPT_LOGIN, email, self.address)
        await self._let_through(connection, email, row)
        return row if row and row["user_id"] else None

    async def succeeded(
        self, connection: Connection, guess: Guess, account: str | None = None
    ) -> None:
        """It was right, and what this account got wrong from this address is forgotten."""
        await connection.execute(SUCCEEDED, guess, account, self.address)

    async def _let_through(
        self, connection: Connection, account: str | None, row: Record | Row | None
    ) -> None:
        assert row is not None
        if row["wait"]:
            raise TooManyAuthAttempts(headers={"retry-after": str(row["wait"])})
        if row["locked"] and account:
            log.warning("guesses at an account are delayed", client=self.address)
            warning = AttemptsWarning(account, self.address, datetime.now(UTC))
            await self._mail.enqueue(connection, WARN_OF_ATTEMPTS, warning)
