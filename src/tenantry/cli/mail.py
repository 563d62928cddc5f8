"""tenantry mail"""

import asyncio
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
import rich_click as click
from asyncpg import Record
from pgqueuer import AsyncpgDriver, JobId
from rich.markup import escape
from rich.table import Table

from tenantry.cli.console import data_option, load, out, plain_failures
from tenantry.db import schema
from tenantry.db.embedded import owner_of
from tenantry.db.pool import DriverConnection
from tenantry.mail import SEND_MAIL, Letter
from tenantry.worker.queue import queries

COUNTS = """
SELECT count(*) FILTER (WHERE status <> 'failed') AS waiting,
       count(*) FILTER (WHERE status = 'failed') AS dead
  FROM tenantry_jobs.pgqueuer
"""
JOBS = """
SELECT job.status = 'failed' AS dead, job.entrypoint, job.payload, job.attempts, job.created,
       (SELECT log.traceback ->> 'exception_message' FROM tenantry_jobs.pgqueuer_log AS log
         WHERE log.job_id = job.id AND log.traceback IS NOT NULL
         ORDER BY log.created DESC, log.id DESC LIMIT 1) AS error
  FROM tenantry_jobs.pgqueuer AS job
 ORDER BY dead DESC, job.id DESC
 LIMIT $1
"""
DEAD = "SELECT id FROM tenantry_jobs.pgqueuer WHERE status = 'failed'"
SHOWN = 100


@click.command("mail")
@click.option("--retry", is_flag=True, help="Put the dead back into the queue.")
@data_option
def command(retry: bool, data: Path | None) -> None:
    """Show the mail that waits, and the mail that is dead: tried for a day, or refused for good.

    And so the jobs of features, by their names.

    DATABASE_URL must be the owner's.
    """
    with plain_failures():
        settings = load(data=data)
        with owner_of(settings.database_url, settings.data) as url:
            asyncio.run(_show(url, retry=retry))


async def _show(url: str, *, retry: bool) -> None:
    connection = await schema.connect(url)
    try:
        if retry:
            out.print(f"{await _requeue(connection)} put back into the queue.")
        counts = await connection.fetchrow(COUNTS)
        jobs = await connection.fetch(JOBS, SHOWN)
    finally:
        await connection.close()
    assert counts is not None
    if jobs:
        table = Table("", "to", "mail or job", "since", "tries", "last error")
        for job in jobs:
            table.add_row(*_cells(job))
        out.print(table)
    dead = f"[bold red]{counts['dead']} dead[/]" if counts["dead"] else "none dead"
    shown = f" The table shows {SHOWN} of them." if sum(counts.values()) > SHOWN else ""
    out.print(f"{counts['waiting']} waiting, {dead}.{shown}")


async def _requeue(connection: DriverConnection) -> int:
    dead = [JobId(row["id"]) for row in await connection.fetch(DEAD)]
    await queries(AsyncpgDriver(connection)).requeue_jobs(dead)
    return len(dead)


def _cells(job: Record) -> tuple[str, ...]:
    to, mail = "", job["entrypoint"]
    if mail == SEND_MAIL:
        with suppress(msgspec.DecodeError):  # it is shown as it is
            letter = msgspec.json.decode(job["payload"] or b"", type=Letter)
            to, mail = letter.to, str(letter.template)
    created: datetime = job["created"]
    return (
        "[red]✗ dead[/]" if job["dead"] else "waits",
        escape(to),
        escape(mail),
        f"{created.astimezone():%Y-%m-%d %H:%M}",
        str(job["attempts"] + job["dead"]),
        escape(job["error"] or ""),
    )
