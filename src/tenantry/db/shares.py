"""Shares: how much one organisation may have at once of what all of them use.

Where one asks for more, the rest of its requests wait in a line of their own, so its flood leaves
room for the others. Nobody else waits for it.
"""

import asyncio
from collections import deque
from uuid import UUID

PATIENCE = 10.0  # seconds until a request gives up waiting


class Shares:
    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[UUID, int] = {}
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}

    async def take(self, organisation: UUID) -> None:
        """Take one, to be given back by `give`.

        Raises:
            TimeoutError: none became free in time.
        """
        held = self._held.get(organisation, 0)
        if held < self._most:
            self._held[organisation] = held + 1
            return
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(organisation, deque()).append(place)
        timer = loop.call_later(PATIENCE, _give_up, place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it came as we were cancelled: pass it on
                self.give(organisation)
            raise
        finally:
            timer.cancel()

    def give(self, organisation: UUID) -> None:
        """Give one back, to whoever of the organisation waits longest."""
        while line := self._waiting.get(organisation):
            place = line.popleft()
            if not line:
                del self._waiting[organisation]
            if not place.done():
                place.set_result(None)
                return
        held = self._held[organisation] - 1
        if held:
            self._held[organisation] = held
        else:
            del self._held[organisation]


def _give_up(place: "asyncio.Future[None]") -> None:
    if not place.done():
        place.set_exception(TimeoutError("the organisation has too much under way"))
