"""The jobs of features: each is done in the organisation that it was enqueued in."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from pgqueuer import Job

from tenantry.db.database import Database
from tenantry.feature import JobHandler
from tenantry.tenancy.product import Product
from tenantry.tenancy.tenant import TenantScope
from tenantry.worker.entrypoints import payload_as
from tenantry.worker.retries import Permanent

log = structlog.get_logger("tenantry.worker")


def entrypoint(
    product: Product, tenants: Database, handle: JobHandler
) -> Callable[[Job], Awaitable[None]]:
    """What the queue calls. `tenants` has the rights that servers have."""

    async def act(job: Job) -> None:
        organisation = _organisation(job)
        payload = payload_as(product.jobs[job.entrypoint], job)
        async with tenants.job(organisation) as entered:
            if entered is None:
                log.warning(
                    "a job is dropped, as its organisation is deleted",
                    job=job.id,
                    of=job.entrypoint,
                    organisation_id=str(organisation),
                )
                return
            connection, last_seq = entered
            tenant = TenantScope(
                connection, product, organisation_id=organisation, last_seq=last_seq
            )
            await handle(tenant, payload)

    return act


def _organisation(job: Job) -> UUID:
    try:
        return UUID(str((job.headers or {}).get("organisation")))
    except ValueError:
        raise Permanent("this was enqueued in no organisation") from None
