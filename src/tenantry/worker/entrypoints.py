"""What the worker does: a function for each kind of job, and for each schedule."""

from collections.abc import Awaitable, Callable

import msgspec
from pgqueuer import Job
from pgqueuer.domain.models import Schedule

from tenantry.db.database import Database
from tenantry.mail import SEND_MAIL, Letter, Mail
from tenantry.settings import Settings
from tenantry.worker.delivery import delivery
from tenantry.worker.letters import Letters
from tenantry.worker.retries import Permanent

SWEEP = "SELECT tenantry.sweep()"


class Work:
    """What jobs work with. `database` has the worker's rights: the doors granted to it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.mail = Mail(settings)
        self.letters = Letters(settings)
        self.deliver = delivery(settings)


async def send_mail(work: Work, job: Job) -> None:
    try:
        letter = msgspec.json.decode(job.payload or b"", type=Letter)
    except msgspec.DecodeError as error:
        raise Permanent(f"this is no mail: {error}") from None
    message = work.letters.write(letter, f"{job.id}.{job.created.timestamp():.0f}")
    await work.deliver(message, letter.to)


async def sweep(work: Work, _: Schedule) -> None:
    async with work.database.system() as connection:
        await connection.execute(SWEEP)


ENTRYPOINTS: dict[str, Callable[[Work, Job], Awaitable[None]]] = {
    SEND_MAIL: send_mail,
}
# With the time, as cron writes it, in UTC.
SCHEDULES: dict[str, tuple[str, Callable[[Work, Schedule], Awaitable[None]]]] = {
    "sweep": ("17 3 * * *", sweep),
}
