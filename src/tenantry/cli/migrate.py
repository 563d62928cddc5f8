"""tenantry migrate"""

import asyncio
from pathlib import Path

import rich_click as click

from tenantry.cli.console import data_option, load, plain_failures, say
from tenantry.db import schema
from tenantry.db.embedded import owner_of


@click.command("migrate")
@data_option
def command(data: Path | None) -> None:
    """Bring the database to this version's schema.

    `serve` does it too; run it alone where the server has no rights to. DATABASE_URL must be
    the owner's.
    """
    with plain_failures():
        settings = load(data=data)
        with owner_of(settings.database_url, settings.data) as url:
            asyncio.run(schema.bring_up_to_date(url, say=say))
        say(f"The database is at {schema.HEAD}.")
