"""tenantry check"""

import asyncio
import sys
from pathlib import Path

import rich_click as click
from rich.table import Table

from tenantry.cli.console import data_option, load, out, plain_failures, say
from tenantry.db import isolation, schema
from tenantry.db.branches import heads, standing
from tenantry.db.catalogue import Fault
from tenantry.db.embedded import owner_of
from tenantry.feature import installed, migrations_of


async def inspect(url: str) -> tuple[list[str], list[str], list[Fault]]:
    """What is not this version's schema, the tenant tables, and the faults."""
    needed = heads(migrations_of(installed()))
    connection = await schema.connect(url)
    try:
        return (
            schema.problems(standing(await schema.versions(connection), needed)),
            await isolation.tenant_tables(connection),
            await isolation.faults(connection),
        )
    finally:
        await connection.close()


@click.command("check")
@data_option
def command(data: Path | None) -> None:
    """Prove the isolation of the database from its catalogue.

    Looks at every table with an organisation_id, your own too, and at every way in which the
    server's role could get round the policies. Exits with 1 if it finds one.
    """
    with plain_failures():
        settings = load(data=data)
        with owner_of(settings.database_url, settings.data) as url:
            behind, tables, faults = asyncio.run(inspect(url))
    for problem in behind:
        say(problem)
    for table in tables:
        # A fault's what is the table itself, or one of its columns.
        broken = any(f"{fault.what}.".startswith(f"{table}.") for fault in faults)
        mark = "[bold red]✗[/]" if broken else "[bold green]✓[/]"
        out.print(f"{mark} {table}")
    if not faults:
        out.print(
            f"\n[bold green]Isolated.[/] {len(tables)} tenant tables: row-level security forced, "
            "organisation_id in every key; the server's role has no way round."
        )
        return
    report = Table("what", "problem", "mend", title="Isolation faults", title_justify="left")
    for fault in faults:
        report.add_row(fault.what, fault.problem, fault.mend)
    out.print()
    out.print(report)
    sys.exit(1)
