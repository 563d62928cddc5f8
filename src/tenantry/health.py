"""GET /health and GET /ready, for load balancers and orchestrators."""

import msgspec
from litestar import get
from litestar.di import NamedDependency

from tenantry.db.database import Database
from tenantry.db.schema import HEAD
from tenantry.errors import Unavailable
from tenantry.reply import Reply

SCHEMA_VERSION = "SELECT version_num FROM alembic_version"


class Health(msgspec.Struct, frozen=True):
    status: str


class Readiness(msgspec.Struct, frozen=True):
    """What a server needs: `database` is reachable, `schema` is its migrations' version."""

    database: str
    schema: str


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
async def ready(database: NamedDependency[Database]) -> Reply[Readiness]:
    """The database can be reached and has this version's schema."""
    async with database.system() as connection:
        version = await connection.fetchval(SCHEMA_VERSION)
    if version != HEAD:
        raise Unavailable(
            f"The database's schema is {version}, and this server needs {HEAD}: "
            "run `tenantry migrate`"
        )
    return Reply("Ready", Readiness("ok", version))
