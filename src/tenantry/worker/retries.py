"""How often a job that failed is tried again, and which is not."""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from pgqueuer import DatabaseRetryEntrypointExecutor, Job, RetryRequested
from pgqueuer.domain.models import Context

log = structlog.get_logger("tenantry.worker")


class Permanent(Exception):
    """Trying again would not help; the job is dead at once."""


@dataclass
class Retrying(DatabaseRetryEntrypointExecutor):
    """Tries again after 10 s, 20 s … 1 h, for a day in all."""

    max_attempts: int = 32
    initial_delay: timedelta = timedelta(seconds=10)
    max_delay: timedelta = timedelta(hours=1)
    traceback: bool = False  # is logged with each failure: of what is not Tenantry's own code

    async def execute(self, job: Job, context: Context) -> None:
        try:
            await super().execute(job, context)
        except RetryRequested as retry:
            if isinstance(retry.__cause__, Permanent):
                log.warning("a job is dead", job=job.id, of=job.entrypoint, error=retry.reason)
                raise retry.__cause__ from None
            log.warning(
                "a job is tried again later",
                job=job.id,
                of=job.entrypoint,
                error=retry.reason,
                seconds=retry.delay.total_seconds(),
                exc_info=retry.__cause__ if self.traceback else None,
            )
            raise
        except Exception:
            log.exception("a job is dead", job=job.id, of=job.entrypoint)
            raise
