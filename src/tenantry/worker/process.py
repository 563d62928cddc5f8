"""The worker's process: PgQueuer over one connection, until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog
from pgqueuer import AsyncpgDriver, Job, PgQueuer
from pgqueuer.domain.errors import FailingListenerError

from tenantry.db.database import Database, unreachable
from tenantry.db.pool import Connection
from tenantry.feature import Feature, installed, jobs_of, product_of
from tenantry.settings import Settings
from tenantry.worker.entrypoints import ENTRYPOINTS, SCHEDULES, Work
from tenantry.worker.jobs import entrypoint
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
    asyncio.run(_run(settings, installed(), child=child))


async def _run(settings: Settings, features: Sequence[Feature], *, child: bool) -> None:
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
            await _work(settings, features, stop)
        except Exception as error:
            if not unreachable(error) and not isinstance(error, FailingListenerError):
                raise
            log.warning("the worker cannot reach the database", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE)


async def _work(settings: Settings, features: Sequence[Feature], stop: asyncio.Event) -> None:
    """Do what the queue holds. Raises when the connection fails."""
    assert settings.database_url
    async with (
        _database(settings.database_url) as database,
        _jobs(settings, features) as jobs,
        _connection(database) as connection,
    ):
        driver = AsyncpgDriver(connection)
        pgq = PgQueuer(driver, queries=queries(driver))
        work = Work(settings, database)
        register = partial(pgq.entrypoint, accepts_context=False, on_failure="hold")
        for name, handle in ENTRYPOINTS.items():
            register(name, executor_factory=Retrying)(partial(handle, work))
        for name, act in jobs.items():
            register(name, executor_factory=partial(Retrying, traceback=True))(act)
        for name, (expression, routine) in SCHEDULES.items():
            pgq.schedule(name, expression, accepts_context=False)(partial(routine, work))
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


@contextlib.asynccontextmanager
async def _jobs(
    settings: Settings, features: Sequence[Feature]
) -> AsyncIterator[dict[str, Callable[[Job], Awaitable[None]]]]:
    """What features have the worker do, with connections that reach tenants' tables."""
    jobs = jobs_of(features)
    if not jobs or not settings.runtime_database_url:
        if jobs:
            log.warning("jobs wait: RUNTIME_DATABASE_URL is not set", jobs=sorted(jobs))
        yield {}
        return
    async with _database(settings.runtime_database_url) as tenants:
        product = product_of(settings, features)
        yield {name: entrypoint(product, tenants, handle) for name, handle in jobs.items()}


@contextlib.asynccontextmanager
async def _database(url: str) -> AsyncIterator[Database]:
    database = Database(url, application="tenantry worker")
    try:
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def _connection(database: Database) -> AsyncIterator[Connection]:
    connection = await database.connect()
    try:
        yield connection
    finally:
        connection.terminate()


def _not_said_already(record: logging.LogRecord) -> bool:
    """PgQueuer prints a traceback for each dead job, an address that does not exist too."""
    return not str(record.msg).startswith("Exception while processing entrypoint/job-id")


async def _forward(stop: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stop.wait()
    shutdown.set()
