"""A feature with a job, for a worker to import; tests/test_jobs.py installs it."""

from typing import ClassVar

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry import (
    Conflict,
    Event,
    Feature,
    Input,
    Reply,
    Router,
    Tenant,
    TenantScope,
    any_member,
)

TABLE = """
CREATE TABLE digests (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    title           text NOT NULL,
    tries           integer NOT NULL DEFAULT 1,
    PRIMARY KEY (organisation_id, title)
);
ALTER TABLE digests ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON digests
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT, UPDATE ON digests TO tenantry_runtime;
"""
PLANS = """
[FREE]
seats = 5
digests = "2/day"
"""

TRY = """
INSERT INTO digests (organisation_id, title) VALUES ($1, $2)
    ON CONFLICT (organisation_id, title) DO UPDATE SET tries = digests.tries + 1
RETURNING tries
"""
COUNT = "SELECT count(*) FROM digests"  # the WHERE is forgotten on purpose


class Digest(Input):
    """`failures`: so often it fails before it succeeds."""

    title: str
    failures: int = 0


class DigestRequest(Digest):
    rolled_back: bool = False


class DigestSent(Event):
    type: ClassVar[str] = "DIGEST_SENT"

    title: str
    digests: int


class NotToday(Conflict):
    code, message = "NOT_TODAY", "There is no digest today; ask tomorrow"


async def send_digest(tenant: TenantScope, payload: Digest) -> None:
    tries = await tenant.value(TRY, tenant.organisation_id, payload.title)
    if tries <= payload.failures:
        raise RuntimeError(f"{payload.title} fails for the {tries}. time")
    async with tenant.transaction():
        await tenant.use("digests")
        event = DigestSent(payload.title, await tenant.value(COUNT))
        await tenant.record(event, f"{payload.title} was sent")


@post("/", guards=[any_member], answers=(NotToday,), summary="Digest", operation_id="askForDigest")
async def ask_for_digest(
    data: JSONBody[DigestRequest], tenant: NamedDependency[Tenant]
) -> Reply[None]:
    """Later."""
    async with tenant.transaction():
        await tenant.enqueue("digests.send", Digest(data.title, data.failures))
        if data.rolled_back:
            raise NotToday
    return Reply("Digest asked for", None)


class Nothing(msgspec.Struct):
    """No job takes it."""


DIGESTS = Feature(
    name="digests",
    routes=[Router("/api/digests", route_handlers=[ask_for_digest], tags=["Digests"])],
    events=[DigestSent],
    jobs={"digests.send": send_digest},
)
