"""The worker's process: PgQueuer over one connection, until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import sys
from datetime import timedelta
from functools import partial

import structlog
from pgqueuer import AsyncpgDriver, PgQueuer
from pgqueuer.domain.errors import FailingListenerError

from tenantry.db.database import Database, unreachable
from tenantry.settings import Settings
from tenantry.worker.entrypoints import ENTRYPOINTS, SCHEDULES, Work
from tenantry.worker.queue import queries
from tenantry.worker.retries import Retrying

log = structlog.get_logger("tenantry.worker")

AT_ONCE = 10  # jobs
POLL = timedelta(seconds=5)  # for what no notification came for: jobs put back, or left behind
TAKEN_FOR_DEAD = timedelta(seconds=30)  # a worker that gives no sign of life for so long
PAUSE = 1.0  # seconds between tries to reach the database


def run(settings: Settings, *, child: bool) -> None:
    """Work until SIGTERM or, as a child, until the parent is gone, however it went."""
    logging.getLogger("pgqueuer").addFilter(_not_said_already)
    asyncio.run(_run(settings, child=child))


async def _run(settings: Settings, *, child: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if child:
        # Ctrl-C reaches the whole process group, and the parent has requests under way to end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        def parent_gone() -> None:
            loop.remove_reader(sys.stdin)
            stop.set()

        loop.add_reader(sys.stdin, parent_gone)  # nobody writes, so readable is closed
    else:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    while not stop.is_set():
        try:
            await _work(settings, stop)
        except Exception as error:
            if not unreachable(error) and not isinstance(error, FailingListenerError):
                raise
            log.warning("the worker cannot reach the database", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE)


async def _work(settings: Settings, stop: asyncio.Event) -> None:
    """Do what the queue holds. Raises when the connection fails."""
    assert settings.database_url
    database = Database(settings.database_url, application="tenantry worker")
    connection = await database.connect()
    try:
        driver = AsyncpgDriver(connection)
        pgq = PgQueuer(driver, queries=queries(driver))
        work = Work(settings, database)
        for name, handle in ENTRYPOINTS.items():
            pgq.entrypoint(
                name, accepts_context=False, on_failure="hold", executor_factory=Retrying
            )(partial(handle, work))
        for name, (expression, act) in SCHEDULES.items():
            pgq.schedule(name, expression, accepts_context=False)(partial(act, work))
        forward = asyncio.create_task(_forward(stop, pgq.shutdown))
        try:
            await pgq.run(
                dequeue_timeout=POLL,
                batch_size=1,  # so that what is done is written down at once
                max_concurrent_tasks=AT_ONCE,
                shutdown_on_listener_failure=True,
                heartbeat_timeout=TAKEN_FOR_DEAD,
                log_aggregation_interval=timedelta(0),  # nobody reads the statistics
            )
        finally:
            forward.cancel()
    finally:
        connection.terminate()
        await database.close()


def _not_said_already(record: logging.LogRecord) -> bool:
    """PgQueuer prints a traceback for each dead job, an address that does not exist too."""
    return not str(record.msg).startswith("Exception while processing entrypoint/job-id")


async def _forward(stop: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stop.wait()
    shutdown.set()
