"""GET /health and GET /ready, for load balancers and orchestrators."""

from collections.abc import Mapping

import msgspec
from litestar import get
from litestar.di import NamedDependency

from tenantry.db.branches import CORE, standing
from tenantry.db.database import Database
from tenantry.db.schema import problems, versions
from tenantry.errors import Unavailable
from tenantry.reply import Reply


class Health(msgspec.Struct, frozen=True):
    status: str


class Readiness(msgspec.Struct, frozen=True):
    """What a server needs: `database` is reachable, `schema` is its migrations' version, and
    `features` are those of each feature's.
    """

    database: str
    schema: str
    features: dict[str, str]


@get(
    "/health",
    public="Says nothing but that the process lives.",
    tags=["Operations"],
    summary="Liveness",
    operation_id="health",
)
async def health() -> Health:
    """The process is alive. Does not ask the database."""
    return Health("ok")


@get(
    "/ready",
    public="Says nothing but whether requests can be served.",
    answers=(Unavailable,),
    tags=["Operations"],
    summary="Readiness",
    operation_id="ready",
)
async def ready(
    database: NamedDependency[Database], heads: NamedDependency[Mapping[str, str]]
) -> Reply[Readiness]:
    """The database can be reached and has this version's schema, and each feature's."""
    async with database.system() as connection:
        stands = standing(await versions(connection), heads)
    if found := problems(stands):
        raise Unavailable(" ".join(found))
    schema = stands.at.pop(CORE)
    return Reply("Ready", Readiness("ok", schema, stands.at))
