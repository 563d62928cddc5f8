"""tenantry migrate"""

import asyncio
from pathlib import Path

import rich_click as click

from tenantry.cli.console import data_option, load, out, plain_failures, say
from tenantry.db import schema
from tenantry.db.branches import CORE
from tenantry.db.embedded import owner_of
from tenantry.feature import installed, migrations_of


@click.command("migrate")
@click.option("--sql", is_flag=True, help="Print what would be run, for psql, and run nothing.")
@data_option
def command(sql: bool, data: Path | None) -> None:
    """Bring the database to this version's schema, and that of the installed features.

    `serve` does it too; run it alone where the server has no rights to. DATABASE_URL must be
    the owner's.
    """
    with plain_failures():
        settings, features = load(data=data), migrations_of(installed())
        with owner_of(settings.database_url, settings.data) as url:
            if sql:
                script = asyncio.run(schema.migrate(url, features, sql=True))
                out.print(script, markup=False, soft_wrap=True, end="")
                return
            stands = asyncio.run(schema.bring_up_to_date(url, features, say=say))
        for name, revision in stands.at.items():
            say(f"The database is at {revision}." if name == CORE else f"{name} is at {revision}.")
