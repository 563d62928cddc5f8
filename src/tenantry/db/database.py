"""Connections, and the two scopes in which they are used.

A tenant's scope begins with `enter`, which checks the session and the membership and sets the
connection's organisation, all in one round trip. The system's scope begins by belonging to
nobody. Each scope establishes itself first, so a connection needs no reset in between; a scope
that ended badly closes its connection, so nothing half done is ever handed on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeAlias
from uuid import UUID

import asyncpg
from asyncpg import Record

from tenantry.db.pool import Connection, Pool
from tenantry.db.reader import CONNECTIONS_OF_ONE as READERS_OF_ONE
from tenantry.db.reader import Reader
from tenantry.db.shares import Shares
from tenantry.db.wire import Bound, Raw, Statement, bound
from tenantry.errors import SecondFactorRequired, TenantryError

POOL_SIZE = 10
# Of one organisation, at once: whoever waits for its lock holds a connection meanwhile.
CONNECTIONS_OF_ONE = POOL_SIZE // 2
# One on each of its lines in the reader, so that no process of PostgreSQL works for long without a
# pause. Where nobody is there to be held up, the next ones are sent before the first are answered.
READS_OF_ONE, READS_OF_ONE_ALONE = READERS_OF_ONE, 16

# Limits that the database itself holds, so that one statement cannot keep the others out.
SERVER_SETTINGS = {
    "search_path": "public",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",  # as times are read, and bytes (db/wire.py)
    "bytea_output": "hex",
    "jit": "off",
    "enable_seqscan": "off",  # so that a plan made of a small table is right when it has grown
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}

# What asyncpg raises where the database is away, refuses, or does not answer in time.
# InterfaceError is told apart in `unreachable`: some of its kinds are wrong arguments.
_UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # a deadlock's victim: asking again helps
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidSQLStatementNameError,  # of a read that shared a wire with the one that failed
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # used between the server's farewell and the end of the stream
)

ENTER = "SELECT role, owner, permissions, last_seq, weak FROM tenantry.enter($1, $2, $3)"
# The same for a read, as text.
ENTER_TO_READ = """
SELECT role, owner, array_to_json(permissions), weak FROM tenantry.enter($1, $2, $3)
"""
ENTER_BY_TICKET = """
SELECT user_id, session_id, organisation_id, role, owner, permissions, last_seq, weak
  FROM tenantry.enter_by_ticket($1)
"""
ENTER_PERSON = "SELECT second_factor FROM tenantry.enter_person($1, $2)"
ENTER_JOB = "SELECT last_seq FROM tenantry.enter_job($1)"
ENTER_NOWHERE = "SELECT set_config('tenantry.organisation_id', '', false)"


Entered: TypeAlias = tuple[Connection, Record]  # and what the door found


@dataclass(frozen=True)
class Who:
    """Whoever asks, by an access token."""

    user: UUID
    session: UUID
    organisation: UUID

    @cached_property
    def bound(self) -> Bound:
        """The arguments of `enter`, which each of their reads sends."""
        return bound((self.user, self.session, self.organisation))


def unreachable(error: BaseException) -> bool:
    """Whether the error means that the database cannot be worked with right now."""
    return isinstance(error, _UNREACHABLE) and not isinstance(error, ValueError)


class Database:
    """The connections of one process, given out in scopes: `enter` … `release`, `job`, `system`."""

    def __init__(
        self,
        url: str,
        tell: Callable[[Iterable[UUID]], None] | None = None,
        *,
        application: str = "tenantry",
    ) -> None:
        """`tell` is given the organisations in which a scope has recorded something; without
        it, the database itself notifies.
        """
        self._tell = tell
        named = {**SERVER_SETTINGS, "application_name": application}
        self._pool = Pool(url, POOL_SIZE, named, collects_news=tell is not None)
        self._reader = Reader(self._pool)
        self._connections = Shares(CONNECTIONS_OF_ONE, CONNECTIONS_OF_ONE)
        self._reads = Shares(READS_OF_ONE_ALONE, READS_OF_ONE)

    async def close(self) -> None:
        await self._reader.close()
        await self._pool.close()

    async def enter(self, user: UUID, session: UUID, organisation: UUID) -> Entered | None:
        """A connection entered into the organisation, with what `enter` found; None: refused.

        `enter` runs outside any transaction: a rollback would put back the organisation that
        the connection had before. The caller gives the connection back with `release`.

        Raises:
            SecondFactorRequired: the organisation asks for one, and the session has not given it.
        """
        entering = partial(self._entered, ENTER, user, session, organisation)
        return await self._sharing(organisation, entering)

    async def read(self, who: Who, statement: Statement) -> tuple[Raw | None, Raw | None]:
        """What `enter` finds, and the row of a read that ran where it entered.

        Where `enter` refuses, its columns are null, and the read saw no tenant's rows.
        """
        whose = who.organisation.int  # a UUID's own hash is Python's to compute, each time
        await self._reads.take(whose)
        try:
            entered, row = await self._reader.read(whose, (ENTER_TO_READ, who.bound), statement)
        finally:
            self._reads.give(whose)
        return entered, row

    async def enter_by_ticket(self, token_hash: bytes) -> Entered | None:
        """The same for whom the ticket was issued to; it is spent."""
        return await self._entered(ENTER_BY_TICKET, token_hash)

    async def enter_person(self, user: UUID, session: UUID) -> Entered | None:
        """A connection for somebody signed in, entered nowhere; None: the session is over."""
        entering = partial(self._pass, "second_factor", ENTER_PERSON, user, session)
        return await self._sharing(user, entering)

    @asynccontextmanager
    async def job(self, organisation: UUID) -> AsyncIterator[tuple[Connection, int] | None]:
        """A connection entered into the organisation for a job, and the last seq; None: deleted."""
        entered = await self._pass("last_seq", ENTER_JOB, organisation)
        if entered is None:
            yield None
            return
        connection, found = entered
        broken = True
        try:
            yield connection, found["last_seq"]
            broken = False
        finally:
            self.release(connection, broken=broken)

    async def _sharing(
        self, whose: UUID, enter: Callable[[], Awaitable[Entered | None]]
    ) -> Entered | None:
        """What is entered, on a connection of those that an organisation, or a person, may have."""
        share = whose.int
        await self._connections.take(share)
        try:
            entered = await enter()
        except BaseException:
            self._connections.give(share)
            raise
        if entered is None:
            self._connections.give(share)
            return None
        entered[0].share = share
        return entered

    async def _entered(self, door: str, *arguments: object) -> Entered | None:
        entered = await self._pass("role", door, *arguments)
        if entered and entered[1]["weak"]:
            self.release(entered[0])
            raise SecondFactorRequired
        return entered

    async def _pass(self, proof: str, door: str, *arguments: object) -> Entered | None:
        """Ask a door, on a connection that is kept where the answer has the `proof`."""
        connection = await self._pool.acquire()
        connection.nowhere = False
        try:
            row = await connection.fetchrow(door, *arguments)
        except BaseException:
            self.release(connection, broken=True)
            raise
        if row is None or row[proof] is None:
            self.release(connection)
            return None
        return connection, row

    def release(self, connection: Connection, *, broken: bool = False) -> None:
        """Give a connection back; a broken one, or one inside a transaction, is closed."""
        if self._tell and connection.news:
            self._tell(connection.news)
            connection.news = set()
        if connection.share is not None:
            self._connections.give(connection.share)
            connection.share = None
        if broken or (not connection.is_closed() and connection.is_in_transaction()):
            connection.terminate()
        self._pool.release(connection)

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Connection]:
        """A connection that is entered nowhere: it sees no tenant's rows."""
        connection = await self._pool.acquire(nowhere=True)
        broken = True
        try:
            if not connection.nowhere:
                await connection.execute(ENTER_NOWHERE)
                connection.nowhere = True
            yield connection
            broken = False
        except TenantryError:  # an answer, not a fault; its transaction has been rolled back
            broken = False
            raise
        finally:
            self.release(connection, broken=broken)

    async def connect(self) -> Connection:
        """A connection of its own, outside the pool, for a listener."""
        return await self._pool.connect()
