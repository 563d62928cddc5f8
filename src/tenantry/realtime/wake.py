"""Wake-ups through Redis or Valkey, in place of NOTIFY, for which commits wait in line.

Promises: when a connection that recorded something is given back, every node hears of it. Does not
promise that none is lost; the hub's poll makes that good. While Redis is away, NOTIFY does it.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from tenantry.db.database import Database, unreachable
from tenantry.feed import CHANNEL
from tenantry.realtime.hub import Hub

log = structlog.get_logger()

TIMEOUT = 0.25  # seconds that Redis has to take a wake-up
SILENCE = 10.0  # seconds after which it is asked whether it is there
RETRY = 0.5  # seconds between attempts to reach it

NOTIFY = "SELECT pg_notify($1, organisation) FROM unnest($2::text[]) AS organisation"


class RedisWake:
    def __init__(self, url: str) -> None:
        url = url.replace("redis+unix:", "unix:", 1)
        self._publisher = Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        self._subscriber = Redis.from_url(url, socket_connect_timeout=TIMEOUT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._database: Database

    def start(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._spawn(self._listen(hub))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._publisher.aclose()
        await self._subscriber.aclose()

    def publish(self, organisations: Iterable[UUID]) -> None:
        """Tell every node that these organisations have news; does not wait."""
        self._spawn(self._publish([str(organisation) for organisation in organisations]))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a wake-up failed; it is left to the poll", exc_info=error)

    async def _publish(self, organisations: list[str]) -> None:
        try:
            for organisation in organisations:
                await self._publisher.publish(CHANNEL, organisation)
        except (RedisError, OSError):
            await self._notify(organisations)

    async def _notify(self, organisations: list[str]) -> None:
        try:
            async with self._database.system() as connection:
                await connection.execute(NOTIFY, CHANNEL, organisations)
        except Exception as error:
            if not unreachable(error):
                raise
            log.warning("a wake-up is left to the poll: the database is away", error=repr(error))

    async def _listen(self, hub: Hub) -> None:
        away = False
        while True:
            try:
                async with self._subscriber.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL)
                    if away:
                        log.info("wake-ups come by Redis again")
                        away = False
                    hub.wake_all()  # of what was not heard until now
                    await self._follow(channel, hub)
            except (RedisError, OSError) as error:
                if not away:
                    log.warning("wake-ups come by NOTIFY: Redis is away", error=str(error))
                    away = True
            await asyncio.sleep(RETRY)

    async def _follow(self, channel: PubSub, hub: Hub) -> None:
        """Raises `OSError` once nothing answers any more, as on a connection that died silently."""
        asked = False
        while True:
            message = await channel.get_message(timeout=SILENCE)
            if message is None:
                if asked:
                    raise TimeoutError("no answer to a ping")
                await channel.ping()
            elif message["type"] == "message":
                try:
                    hub.wake(UUID(message["data"].decode()))
                except ValueError:
                    log.warning("a message on Redis is no wake-up", channel=CHANNEL)
            asked = message is None
