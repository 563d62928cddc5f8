"""tenantry work"""

import asyncio
from pathlib import Path

import rich_click as click

from tenantry import logs
from tenantry.cli.console import data_option, load, plain_failures, say
from tenantry.db import schema
from tenantry.feature import installed, migrations_of
from tenantry.server import with_secrets
from tenantry.settings import SettingsError
from tenantry.worker.process import run


@click.command("work")
@data_option
def command(data: Path | None) -> None:
    """Send mail and do what else the queue holds, where `serve` does not.

    `serve` starts a worker by itself, unless it is kept from the owner's DATABASE_URL. Then
    DATABASE_URL, here, is that of a role in tenantry_worker; the other settings are as there.
    """
    with plain_failures():
        settings = with_secrets(load(data=data))
        if settings.database_url is None:
            raise SettingsError(
                ["DATABASE_URL is not set; with the embedded database, `serve` does the work."]
            )
        asyncio.run(schema.require_worker(settings.database_url, migrations_of(installed())))
    say("Working …")
    logs.configure()
    run(settings, child=False)
    say("Stopped.")
