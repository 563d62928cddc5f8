"""The replay: who came with an older seq is sent what it missed, as fast as it reads."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter
from uuid import UUID

from asyncpg import Record

from tenantry.db.pool import Connection
from tenantry.realtime import reading
from tenantry.realtime.channel import Channel
from tenantry.realtime.stream import event_of
from tenantry.realtime.subscriber import Encode, Subscriber


class Replay:
    def __init__(self, channels: Mapping[UUID, Channel]) -> None:
        self._channels = channels
        self._behind: set[Subscriber] = set()  # not where their channel's cursor is

    def add(self, subscriber: Subscriber) -> None:
        self._behind.add(subscriber)

    def discard(self, subscriber: Subscriber) -> None:
        self._behind.discard(subscriber)

    async def go_on(self, connection: Connection) -> bool:
        """Send each the next part, or let it go live. Says whether there may be more to do."""
        starts: dict[UUID, int] = {}
        for subscriber in list(self._behind):
            channel = self._channels[subscriber.organisation_id]
            if subscriber.seq == channel.cursor and subscriber.ready:
                self._behind.remove(subscriber)
                channel.go_live(subscriber)
            elif subscriber.seq < channel.cursor and subscriber.ready:
                start = starts.get(subscriber.organisation_id, subscriber.seq)
                starts[subscriber.organisation_id] = min(start, subscriber.seq)
        for some in reading.chunks(starts):
            for organisation, rows in await reading.read(
                connection, {one: starts[one] for one in some}
            ):
                self._send(organisation, reading.part(rows))
        return bool(starts)

    def _send(self, organisation: UUID, rows: Sequence[Record]) -> None:
        channel = self._channels.get(organisation)
        if channel is None:
            return
        events = [event_of(row) for row in rows if row["seq"] <= channel.cursor]
        encoded: dict[tuple[Encode, int], bytes] = {}
        for subscriber in [one for one in self._behind if one.organisation_id == organisation]:
            start = bisect_right(events, subscriber.seq, key=itemgetter(0))
            if start == len(events) or not subscriber.ready:
                continue
            key = (subscriber.encode, start)
            if key not in encoded:
                encoded[key] = subscriber.encode(events[start:])
            subscriber.seq = events[-1].seq
            subscriber.write(encoded[key])
