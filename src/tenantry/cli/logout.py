"""tenantry logout"""

import asyncio
import sys
from pathlib import Path

import rich_click as click

from tenantry.cli.console import data_option, err, load, out, plain_failures
from tenantry.db import schema
from tenantry.db.embedded import owner_of

FIND = "SELECT user_id FROM tenantry.find_account($1)"
END = "SELECT tenantry.end_sessions($1, NULL, NULL, 'revoked')"


async def end_sessions(url: str, email: str) -> int | None:
    """How many ended; None where the address has no account."""
    connection = await schema.connect(url)
    try:
        user = await connection.fetchval(FIND, email)
        return None if user is None else int(await connection.fetchval(END, user))
    finally:
        await connection.close()


@click.command("logout")
@click.argument("email")
@data_option
def command(email: str, data: Path | None) -> None:
    """End every session of an account at once, on all servers.

    For a stolen device or a suspected account; the person can sign in again. DATABASE_URL must
    be the owner's.
    """
    with plain_failures():
        settings = load(data=data)
        with owner_of(settings.database_url, settings.data) as url:
            ended = asyncio.run(end_sessions(url, email))
    if ended is None:
        err.print(f"[bold red]✗[/] No account has the address {email}.", soft_wrap=True)
        sys.exit(1)
    out.print(f"[bold green]✓[/] {ended} {'session' if ended == 1 else 'sessions'} ended.")
