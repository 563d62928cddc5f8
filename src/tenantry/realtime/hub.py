"""The hub: every open connection of this process, and the cursors that feed them.

Woken, it reads what lies past the last seq that it delivered, for all of its organisations in one
query, encodes each event once, and hands it to every subscriber of the organisation. One that
comes with an older seq is first sent what it missed (replay.py), and joins the others
where it has caught up. All of that is one task on one connection, so nothing can come between.

A subscriber's way: `welcome`, `follow`, then `dismiss` however it ends.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from uuid import UUID

import structlog

from tenantry.db.database import Database, unreachable
from tenantry.db.pool import Connection
from tenantry.errors import TokenInvalid, TooManyConnections, Unavailable
from tenantry.events import OrganisationChanged
from tenantry.feed import CHANNEL
from tenantry.realtime import reading
from tenantry.realtime.channel import Channel
from tenantry.realtime.replay import Replay
from tenantry.realtime.stream import Event, opening
from tenantry.realtime.subscriber import SESSION_ENDED, Subscriber, restarting
from tenantry.settings import Settings
from tenantry.tenancy.tenant import Tenant

log = structlog.get_logger()

SESSION_CHANNEL = "tenantry_session_ended"
POLL = 5.0  # seconds until a lost wake-up is made good
RETRY = 0.5  # seconds between attempts to reach a database that is away
INTRODUCTION = 5.0  # seconds until a newcomer is told to come back later
RETURN_RATE = 500  # connections a second that a restart asks to come back

STANDING = "SELECT tenantry.standing($1, $2, $3)"
BECOME_NODE = "SELECT tenantry.become_node()"
TELL_PRESENCE = "SELECT tenantry.tell_presence($1, $2, $3, $4)"


class Hub:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._per_user = settings.connections_per_user
        self._per_organisation = settings.connections_per_organisation
        self._replay_limit = settings.replay_limit
        self._channels: dict[UUID, Channel] = {}
        self._sessions: defaultdict[UUID, set[Subscriber]] = defaultdict(set)
        self._replay = Replay(self._channels)
        self._newcomers: list[tuple[Subscriber, asyncio.Future[bool]]] = []
        self._untold: set[tuple[UUID, UUID]] = set()  # whose presence has changed
        self._stale: set[UUID] = set()  # organisations with news
        self._wake = asyncio.Event()
        self._draining = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="realtime hub")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def welcome(
        self, subscriber: Subscriber, tenant: Tenant, after: int | None
    ) -> list[Event]:
        """Let it in, and say what it is greeted with; it is to follow once it was.

        `after` is the last seq that its client has. From now on it is closed when its session
        ends or its user is removed, also if that happened since it entered.

        Raises:
            TooManyConnections: of its user or its organisation.
            TokenInvalid: its session or membership has ended.
            Unavailable: the database is away, or the server is about to stop.
        """
        subscriber.enter_as(tenant)
        self._admit(subscriber)
        await self._introduce(subscriber)
        greeting = opening(subscriber.since, after, self._replay_limit)
        subscriber.seq = greeting[-1].seq
        return greeting

    def _admit(self, subscriber: Subscriber) -> None:
        self._refuse_if_draining()
        organisation, user = subscriber.organisation_id, subscriber.user_id
        channel = self._channels.get(organisation)
        if channel is not None:
            if len(channel.users.get(user, ())) >= self._per_user:
                raise TooManyConnections("You have too many connections open; close one first")
            if channel.size >= self._per_organisation:
                raise TooManyConnections("Your organisation has too many connections open")
        else:
            channel = self._channels[organisation] = Channel(subscriber.since)
            self.wake(organisation)  # something may have been committed since it entered
        subscriber.admitted = True
        channel.add(subscriber)
        self._sessions[subscriber.session_id].add(subscriber)
        self._untold.add((organisation, user))

    async def _introduce(self, subscriber: Subscriber) -> None:
        """Make its presence known, and see that nothing has ended it since it entered."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._newcomers.append((subscriber, answer))
        self._wake.set()
        try:
            async with asyncio.timeout(INTRODUCTION):
                stands = await answer
        except TimeoutError:
            raise Unavailable(headers={"retry-after": "2"}) from None
        self._refuse_if_draining()
        if not (stands and subscriber.admitted):
            raise TokenInvalid("Invalid or expired token")

    def follow(self, subscriber: Subscriber) -> None:
        """Deliver whatever comes after its `seq`."""
        if not subscriber.admitted:
            return  # it has left meanwhile
        channel = self._channels[subscriber.organisation_id]
        if subscriber.seq == channel.cursor and subscriber.ready:
            channel.go_live(subscriber)
        else:
            self._replay.add(subscriber)
            self.wake(subscriber.organisation_id)

    def go_on(self) -> None:
        """A subscriber that was not ready is."""
        self._wake.set()

    def dismiss(self, subscriber: Subscriber) -> None:
        """Forget it. Does nothing where it is not known, or not any more."""
        if not subscriber.admitted:
            return
        subscriber.admitted = False
        organisation = subscriber.organisation_id
        channel = self._channels[organisation]
        channel.remove(subscriber)
        if not channel.size:
            del self._channels[organisation]
        mine = self._sessions[subscriber.session_id]
        mine.remove(subscriber)
        if not mine:
            del self._sessions[subscriber.session_id]
        self._replay.discard(subscriber)
        self._untold.add((organisation, subscriber.user_id))
        self._wake.set()

    def drain(self) -> None:
        """The server is about to stop: send everybody away, to come back spread over a while."""
        if self._draining:
            return
        self._draining = True
        subscribers = list(self._all())
        spread = 1000 + 1000 * len(subscribers) // RETURN_RATE
        for subscriber in subscribers:
            subscriber.close(restarting(random.randint(100, spread)))  # noqa: S311

    def _refuse_if_draining(self) -> None:
        if self._draining:
            raise Unavailable("The server restarts; connect again", headers={"retry-after": "1"})

    def wake(self, organisation: UUID) -> None:
        """There may be something new in this organisation's feed."""
        if organisation in self._channels:
            self._stale.add(organisation)
            self._wake.set()

    def wake_all(self) -> None:
        """There may be something new in every organisation's feed."""
        self._stale.update(self._channels)
        self._wake.set()

    async def _run(self) -> None:
        away = False
        while True:
            try:
                async with self._listening() as (connection, node):
                    if away:
                        log.info("the realtime hub has its database again")
                        away = False
                    await self._work(connection, node)
            except Exception as error:
                if not unreachable(error):
                    log.exception("the realtime hub failed; it goes on")
                elif not away:
                    log.warning("the realtime hub waits for its database", error=repr(error))
                    away = True
                await asyncio.sleep(RETRY)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[tuple[Connection, int]]:
        """The connection on which everything is heard and read, and the node that it stands for."""
        connection = await self._database.connect()
        try:
            connection.add_termination_listener(lambda _: self._wake.set())
            await connection.add_listener(CHANNEL, self._on_activity)
            await connection.add_listener(SESSION_CHANNEL, self._on_session_ended)
            yield connection, await connection.fetchval(BECOME_NODE)
        finally:
            connection.terminate()

    async def _work(self, connection: Connection, node: int) -> None:
        self._untold.update((one.organisation_id, one.user_id) for one in self._all())
        clock = asyncio.get_running_loop().time
        poll_at = clock()  # at once: wake-ups may have been missed
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(poll_at):
                    await self._wake.wait()
            self._wake.clear()
            if connection.is_closed():
                raise ConnectionResetError
            await self._tell(connection, node)
            if polls := clock() >= poll_at:
                poll_at = clock() + POLL
                self._stale.update(self._channels)
            await self._deliver(connection)
            if await self._replay.go_on(connection):
                self._wake.set()
            if polls:
                await self._close_fallen(connection)

    def _on_activity(self, _: object, _pid: int, _channel: str, payload: object) -> None:
        self.wake(UUID(str(payload)))

    def _on_session_ended(self, _: object, _pid: int, _channel: str, payload: object) -> None:
        for subscriber in list(self._sessions.get(UUID(str(payload)), ())):
            subscriber.close(SESSION_ENDED)

    def _all(self) -> Iterator[Subscriber]:
        for channel in self._channels.values():
            yield from channel

    async def _tell(self, connection: Connection, node: int) -> None:
        """Tell who has come and gone, then answer the newcomers."""
        newcomers = list(self._newcomers)
        if untold := self._untold:
            self._untold = set()
            organisations, users = zip(*untold, strict=True)
            counts = [self._count(organisation, user) for organisation, user in untold]
            await connection.execute(TELL_PRESENCE, node, organisations, users, counts)
        if newcomers:
            standing = await self._standing(connection, [one for one, _ in newcomers])
            del self._newcomers[: len(newcomers)]
            for (_, answer), stands in zip(newcomers, standing, strict=True):
                if not answer.done():
                    answer.set_result(stands)

    def _count(self, organisation: UUID, user: UUID) -> int:
        channel = self._channels.get(organisation)
        return len(channel.users.get(user, ())) if channel else 0

    async def _standing(
        self, connection: Connection, subscribers: Sequence[Subscriber]
    ) -> list[bool]:
        standing: list[bool] = await connection.fetchval(
            STANDING,
            [subscriber.user_id for subscriber in subscribers],
            [subscriber.session_id for subscriber in subscribers],
            [subscriber.organisation_id for subscriber in subscribers],
        )
        return standing

    async def _fallen(
        self, connection: Connection, subscribers: Iterable[Subscriber]
    ) -> list[Subscriber]:
        """Those of them who would not be let in any more."""
        fallen = []
        for some in reading.chunks(subscribers):
            standing = await self._standing(connection, some)
            fallen += [one for one, stands in zip(some, standing, strict=True) if not stands]
        return fallen

    async def _close_fallen(self, connection: Connection) -> None:
        """Close those whose session has ended or expired without our hearing of it."""
        if fallen := await self._fallen(connection, self._all()):
            # Whoever was removed at this moment is to hear that.
            for subscriber in fallen:
                self.wake(subscriber.organisation_id)
            await self._deliver(connection)
            for subscriber in fallen:
                subscriber.close(SESSION_ENDED)

    async def _deliver(self, connection: Connection) -> None:
        """Send what is new in the stale organisations."""
        stale, self._stale = self._stale, set()
        for some in reading.chunks(stale):
            cursors = {one: self._channels[one].cursor for one in some if one in self._channels}
            for organisation, events in await reading.read(connection, cursors):
                part = reading.part(events)
                if any(event["type"] == OrganisationChanged.type for event in part):
                    # It may ask for a second factor from now on.
                    everybody = self._channels.get(organisation, ())
                    for subscriber in await self._fallen(connection, everybody):
                        subscriber.close(SESSION_ENDED)
                channel = self._channels.get(organisation)
                if channel is None or channel.cursor != cursors[organisation]:
                    continue  # everybody left while we read, and who came since is stale anew
                channel.deliver(part)
                if len(part) < len(events) or len(events) == reading.BATCH:
                    self.wake(organisation)
