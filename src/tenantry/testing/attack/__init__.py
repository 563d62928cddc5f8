"""The attack of one organisation on another, on every route and every table of an app."""

from collections.abc import Mapping
from typing import Any

from tenantry.db import isolation
from tenantry.db.catalogue import Fault
from tenantry.testing.attack.populated import Populate, nothing, populated
from tenantry.testing.attack.routes import attack_routes, undeclared_faults
from tenantry.testing.attack.tables import attack_tables
from tenantry.testing.servers import Installation


class IsolationError(AssertionError):
    """Organisations are not kept apart; `faults` says where, and what to write."""

    def __init__(self, faults: list[Fault]) -> None:
        lines = [f"- {one.what}: {one.problem}.\n  Mend: {_indented(one.mend)}" for one in faults]
        heading = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{heading} of isolation", *lines]))
        self.faults = faults


async def assert_isolated(
    installation: Installation,
    populate: Populate = nothing,
    *,
    bodies: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """One organisation reaches for another's data, in every way that there is.

    It calls every route of the app with the other's ids, runs statements without a WHERE on every
    tenant table with the server's rights and with all rights, and reads the catalogue as
    `tenantry check` does. `populate` makes rows in the features' tables, as an organisation's
    owner. `bodies` are fields, by operation id, for routes whose made-up body is not valid.

    Raises:
        IsolationError: something gave way, or could not be attacked.
    """
    owner = installation.owner
    faults = undeclared_faults(installation.app)
    faults += await isolation.faults(owner)
    async with (
        populated(installation, populate) as victim,
        populated(installation, populate) as attacker,
    ):
        faults += await attack_tables(
            owner,
            installation.runtime,
            mine=attacker.organisation["id"],
            theirs=victim.organisation["id"],
        )
        faults += await attack_routes(installation, populate, victim, attacker, bodies or {})
    if faults:
        raise IsolationError(_first_of_each(faults))


def _indented(mend: str) -> str:
    return mend.replace("\n", "\n  ")


def _first_of_each(faults: list[Fault]) -> list[Fault]:
    """Not twice the same of one thing."""
    return list({(fault.what, fault.mend): fault for fault in reversed(faults)}.values())[::-1]
