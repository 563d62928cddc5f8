"""tenantry serve"""

from functools import partial
from pathlib import Path

import rich_click as click

from tenantry import server
from tenantry.cli import seeding
from tenantry.cli.console import data_option, load, plain_failures, say


@click.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on. [PORT, 3000]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--workers", type=click.IntRange(1, 64), help="Server processes. [WORKERS, 1]")
@click.option("--demo", is_flag=True, help="With two organisations to try it with, and sign-ins.")
@data_option
def command(
    port: int | None, host: str, workers: int | None, demo: bool, data: Path | None
) -> None:
    """Serve. Without DATABASE_URL, on an embedded PostgreSQL."""
    with plain_failures():
        settings = load(port=port, workers=workers, data=data)
        if demo:
            seeding.require_a_trial(settings)
        server.serve(settings, host, say, partial(seeding.seed, settings) if demo else None)
