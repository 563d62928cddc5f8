"""Second factors of an account: which there are, and what follows from adding and removing one.

Whoever changes them locks them first. The first one added makes the session strong, and comes
with recovery codes; with the last one removed, no session is strong any more.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from asyncpg import Record

from tenantry.auth.codes import new_recovery_codes, recovery_hash
from tenantry.db.pool import Connection
from tenantry.errors import FactorNeeded, StepUpRequired, TokenInvalid
from tenantry.mail import Mail, Template
from tenantry.tenancy.person import Person
from tenantry.tenancy.tenant import row_of

FACTORS_OF = "SELECT totp_since, passkeys, recovery_codes FROM tenantry.factors_of($1)"
LOCK = """
SELECT totp_since, passkeys, recovery_codes, strong, required
  FROM tenantry.lock_factors($1, $2)
"""
PASSKEYS_OF = """
SELECT id, credential_id, transports, name, user_verified, created_at, used_at
  FROM tenantry.passkeys_of($1)
"""
ACCOUNT = "SELECT name, email FROM tenantry.person($1)"
REPLACE_RECOVERY_CODES = "SELECT tenantry.replace_recovery_codes($1, $2)"
STRENGTHEN = "SELECT tenantry.strengthen_session($1, $2)"
WEAKEN = "SELECT tenantry.weaken_sessions($1)"


class Factors(msgspec.Struct, frozen=True):
    """`recovery_codes` is how many are left; they alone are no second factor."""

    totp_since: datetime | None
    passkeys: int
    recovery_codes: int

    @property
    def any(self) -> bool:
        return self.totp_since is not None or self.passkeys > 0


class LockedFactors(Factors, frozen=True):
    """`strong`: this session has given one; `required`: an organisation asks for one."""

    strong: bool
    required: bool


async def factors_of(connection: Connection, user: UUID) -> Factors:
    row = await connection.fetchrow(FACTORS_OF, user)
    assert row is not None, "one row, of whomever"
    return row_of(Factors)(row)


async def passkeys_of(connection: Connection, user: UUID) -> Sequence[Record]:
    return await connection.fetch(PASSKEYS_OF, user)


async def locked(person: Person) -> LockedFactors:
    """The person's factors, which stay so until the transaction's end."""
    row = await person.connection.fetchrow(LOCK, person.user_id, person.session_id)
    assert row is not None, "one row, of whomever"
    return row_of(LockedFactors)(row)


async def lock_factors(person: Person) -> LockedFactors:
    """The same, for changing them.

    Raises:
        StepUpRequired: there are some, and this session has given none of them.
    """
    factors = await locked(person)
    if factors.any and not factors.strong:
        raise StepUpRequired
    return factors


async def require_strong(person: Person) -> None:
    """For what could take the account over, although it changes no factor.

    Raises:
        StepUpRequired: the person has a second factor, and this session has not given it.
    """
    if not person.second_factor and (await factors_of(person.connection, person.user_id)).any:
        raise StepUpRequired


async def account_of(person: Person) -> Record:
    """Their name and email."""
    account = await person.connection.fetchrow(ACCOUNT, person.user_id)
    if account is None or account["email"] is None:
        raise TokenInvalid  # closed at this moment
    return account


async def tell(person: Person, mail: Mail, template: Template, **values: str) -> None:
    """Mail to whose account it is, within the caller's transaction."""
    account = await account_of(person)
    await mail.send(
        person.connection,
        template,
        account["email"],
        name=account["name"],
        time=datetime.now(UTC),
        **values,
    )


async def added(person: Person, before: LockedFactors) -> list[str] | None:
    """A factor has been added, within the caller's transaction. Gives new recovery codes where it
    is the first; those that there are hold on otherwise.
    """
    await person.connection.execute(STRENGTHEN, person.user_id, person.session_id)
    return None if before.any else await renew_recovery_codes(person)


async def removed(person: Person, before: LockedFactors) -> None:
    """A factor has been removed, within the caller's transaction.

    Raises:
        FactorNeeded: it was the last one, and an organisation asks for one.
    """
    if (await factors_of(person.connection, person.user_id)).any:
        return
    if before.required:
        raise FactorNeeded
    await person.connection.execute(REPLACE_RECOVERY_CODES, person.user_id, [])
    await person.connection.execute(WEAKEN, person.user_id)


async def renew_recovery_codes(person: Person) -> list[str]:
    codes = new_recovery_codes()
    hashes = [recovery_hash(code) for code in codes]
    await person.connection.execute(REPLACE_RECOVERY_CODES, person.user_id, hashes)
    return codes
