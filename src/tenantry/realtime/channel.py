"""A channel: the subscribers of one organisation in this process, and how far they have got."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

import msgspec
from asyncpg import Record

from tenantry.events import OrganisationDeleted, UserRemoved
from tenantry.realtime.audience import Audience
from tenantry.realtime.stream import event_of
from tenantry.realtime.subscriber import (
    ORGANISATION_DELETED,
    REMOVED,
    Closing,
    Encode,
    Subscriber,
)


class Channel:
    """`cursor` is the last seq that was delivered here; whoever is live has everything up to it."""

    __slots__ = ("cursor", "live", "size", "users")

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.live: dict[Encode, Audience] = {}
        self.users: dict[UUID, set[Subscriber]] = {}
        self.size = 0

    def __iter__(self) -> Iterator[Subscriber]:
        for subscribers in self.users.values():
            yield from subscribers

    def add(self, subscriber: Subscriber) -> None:
        self.users.setdefault(subscriber.user_id, set()).add(subscriber)
        self.size += 1

    def remove(self, subscriber: Subscriber) -> None:
        mine = self.users[subscriber.user_id]
        mine.remove(subscriber)
        if not mine:
            del self.users[subscriber.user_id]
        self.size -= 1
        if audience := self.live.get(subscriber.encode):
            audience.remove(subscriber)

    def go_live(self, subscriber: Subscriber) -> None:
        """From now on it gets what is delivered; it must have everything up to the cursor."""
        assert subscriber.seq == self.cursor
        if subscriber.encode not in self.live:
            self.live[subscriber.encode] = Audience()
        subscriber.go_live(self.live[subscriber.encode])

    def deliver(self, rows: Sequence[Record]) -> None:
        """Send these events, which follow the cursor, to whoever is live.

        Who is removed, or everybody where the organisation is deleted, is closed before the event
        that says so, and whatever follows it.
        """
        start = 0
        leaving: Iterable[Subscriber]
        for index, row in enumerate(rows):
            if row["type"] == UserRemoved.type:
                removed = UUID(msgspec.json.decode(row["payload"])["userId"])
                leaving, closing = self.users.get(removed, ()), REMOVED
            elif row["type"] == OrganisationDeleted.type:
                leaving, closing = self, ORGANISATION_DELETED
            else:
                continue
            self._send(rows[start:index])
            _close(leaving, closing, row["seq"])
            start = index
        self._send(rows[start:])
        self.cursor = rows[-1]["seq"]

    def _send(self, rows: Sequence[Record]) -> None:
        if not rows:
            return
        events = [event_of(row) for row in rows]
        for encode, audience in self.live.items():
            audience.send(encode(events))


def _close(leaving: Iterable[Subscriber], closing: Closing, seq: int) -> None:
    for subscriber in list(leaving):
        if seq > subscriber.since:  # else it has come back since
            subscriber.close(closing)
