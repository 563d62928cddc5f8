"""What the worker does: a function for each kind of job, and for each schedule."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import msgspec
from pgqueuer import Job
from pgqueuer.domain.models import Schedule

from tenantry.db.database import Database
from tenantry.mail import (
    RESET_PASSWORD,
    SEND_MAIL,
    WARN_OF_ATTEMPTS,
    Action,
    AttemptsWarning,
    Letter,
    Mail,
    PasswordReset,
    Template,
)
from tenantry.settings import Settings
from tenantry.tenancy.tokens import derived_token, new_nonce, token_hash
from tenantry.worker.delivery import delivery
from tenantry.worker.letters import Letters
from tenantry.worker.retries import Permanent

RESET_LIFETIME = timedelta(hours=1)

SWEEP = "SELECT tenantry.sweep()"
PURGE = "SELECT tenantry.purge_organisations()"
ISSUE_RESET = "SELECT name, email, expires_at FROM tenantry.issue_password_reset($1, $2, $3)"
ACCOUNT_OF = "SELECT name, email FROM tenantry.account_of($1)"

T = TypeVar("T")


class Work:
    """What jobs work with. `database` has the worker's rights: the doors granted to it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.mail = Mail(settings)
        self.letters = Letters(settings)
        self.deliver = delivery(settings)


async def send_mail(work: Work, job: Job) -> None:
    letter = payload_as(Letter, job)
    message = work.letters.write(letter, f"{job.id}.{job.created.timestamp():.0f}")
    await work.deliver(message, letter.to)


async def reset_password(work: Work, job: Job) -> None:
    """Mail a link, if there is an account. Here, so that the request for it tells nothing."""
    asked = payload_as(PasswordReset, job)
    nonce = new_nonce()
    secret = work.settings.jwt_refresh_secret.encode()
    hashed = token_hash(derived_token(secret, Action.RESET_PASSWORD, nonce))
    async with work.database.system() as connection, connection.transaction():
        issued = await connection.fetchrow(ISSUE_RESET, asked.email, hashed, RESET_LIFETIME)
        if issued is not None and issued["expires_at"] is not None:
            await work.mail.send(
                connection,
                Template.RESET_PASSWORD,
                issued["email"],
                name=issued["name"],
                nonce=nonce,
                expires_at=issued["expires_at"],
            )


async def warn_of_attempts(work: Work, job: Job) -> None:
    """Tell the owner, if there is an account. Here, so that the wrong guess tells nothing."""
    seen = payload_as(AttemptsWarning, job)
    async with work.database.system() as connection, connection.transaction():
        found = await connection.fetchrow(ACCOUNT_OF, seen.email)
        if found is not None and found["email"] is not None:
            await work.mail.send(
                connection,
                Template.ACCOUNT_LOCKED,
                found["email"],
                name=found["name"],
                time=seen.time,
                address=seen.address,
            )


def payload_as(type_: type[T], job: Job) -> T:
    """What the job is given. Raises `Permanent`."""
    try:
        return msgspec.json.decode(job.payload or b"", type=type_)
    except msgspec.DecodeError as error:
        raise Permanent(f"this is no {type_.__name__}: {error}") from None


async def sweep(work: Work, _: Schedule) -> None:
    async with work.database.system() as connection:
        await connection.execute(SWEEP)
        while await connection.fetchval(PURGE):  # a few at a time
            pass


ENTRYPOINTS: dict[str, Callable[[Work, Job], Awaitable[None]]] = {
    SEND_MAIL: send_mail,
    RESET_PASSWORD: reset_password,
    WARN_OF_ATTEMPTS: warn_of_attempts,
}
# With the time, as cron writes it, in UTC.
SCHEDULES: dict[str, tuple[str, Callable[[Work, Schedule], Awaitable[None]]]] = {
    "sweep": ("17 3 * * *", sweep),
}
