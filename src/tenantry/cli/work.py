"""tenantry work"""

import asyncio
from pathlib import Path

import rich_click as click

from tenantry import logs
from tenantry.cli.console import data_option, load, plain_failures, say
from tenantry.db import schema
from tenantry.db.pooler import require_own_connections
from tenantry.feature import installed, jobs_of, migrations_of
from tenantry.server import with_secrets
from tenantry.settings import SettingsError
from tenantry.worker.process import run


@click.command("work")
@data_option
def command(data: Path | None) -> None:
    """Send mail and do what else the queue holds, where `serve` does not.

    `serve` starts a worker by itself, unless it is kept from the owner's DATABASE_URL. Then
    DATABASE_URL, here, is that of a role in tenantry_worker, and where features have jobs,
    RUNTIME_DATABASE_URL that of a role in tenantry_runtime; the other settings are as there.
    """
    with plain_failures():
        settings = with_secrets(load(data=data))
        if settings.database_url is None:
            raise SettingsError(
                ["DATABASE_URL is not set; with the embedded database, `serve` does the work."]
            )
        features = installed()
        asyncio.run(require_own_connections(settings.database_url))
        asyncio.run(schema.require_worker(settings.database_url, migrations_of(features)))
        if jobs := jobs_of(features):
            if settings.runtime_database_url is None:
                names = ", ".join(sorted(jobs))
                problem = (
                    f"RUNTIME_DATABASE_URL is not set, and the jobs of features need it: {names}."
                )
                raise SettingsError([problem])
            runtime_url = settings.runtime_database_url
            asyncio.run(require_own_connections(runtime_url, variable="RUNTIME_DATABASE_URL"))
            asyncio.run(schema.require_runtime(runtime_url))
    say("Working …")
    logs.configure()
    run(settings, child=False)
    say("Stopped.")
