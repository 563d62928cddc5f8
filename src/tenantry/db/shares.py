"""Shares: how much one organisation may have at once of what all of them use.

Where one asks for more, the rest of its requests wait in a line of their own, so its flood leaves
room for the others. Nobody else waits for it. It may have more while it is alone, or beside those
only who ask for much as well: nobody who asks for little is there to be held up.

An organisation, or a person, is told apart by anything that hashes fast: its id's number.
"""

import asyncio
from collections import deque
from collections.abc import Hashable

PATIENCE = 10.0  # seconds until a request gives up waiting
COMPANY = 1.0  # seconds for which one that asks for little counts as there, after an answer


class Shares:
    def __init__(self, alone: int, beside_others: int) -> None:
        """How much one may have alone, and beside others who ask for little.

        Little is less than half of what one may have alone.
        """
        self._alone = alone
        self._beside_others = beside_others
        # Of those that ask for little: who gave back last, when, and when somebody else did so.
        self._last: Hashable | None = None
        self._last_at = self._other_at = -COMPANY
        self._held: dict[Hashable, int] = {}
        self._greedy: set[Hashable] = set()  # who has asked for more than little since it had none
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def take(self, organisation: Hashable) -> None:
        """Take one, to be given back by `give`.

        Raises:
            TimeoutError: none became free in time.
        """
        loop = asyncio.get_running_loop()
        held = self._held.get(organisation, 0)
        line = self._waiting.get(organisation)
        if held + len(line or ()) >= self._alone // 2:
            self._greedy.add(organisation)
        if held < self._most(organisation, loop.time()) and not line:
            self._held[organisation] = held + 1
            return
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(organisation, deque()).append(place)
        timer = loop.call_later(PATIENCE, _give_up, place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled() and not place.exception():  # it came just now: pass it on
                self.give(organisation)
            raise
        finally:
            timer.cancel()

    def give(self, organisation: Hashable) -> None:
        """Give one back, to whoever of the organisation waits longest."""
        held = self._held.pop(organisation) - 1
        now = asyncio.get_running_loop().time()
        most, line = self._most(organisation, now), self._waiting.get(organisation)
        while line and held < most:
            place = line.popleft()
            if not place.done():
                place.set_result(None)
                held += 1
        if not line:
            self._waiting.pop(organisation, None)
        if held:
            self._held[organisation] = held
        elif organisation in self._greedy:
            self._greedy.remove(organisation)
        else:
            self._note(organisation, now)

    def _note(self, organisation: Hashable, now: float) -> None:
        if organisation != self._last:
            self._last, self._other_at = organisation, self._last_at
        self._last_at = now

    def _most(self, organisation: Hashable, now: float) -> int:
        """How much it may have now."""
        others = self._other_at if organisation == self._last else self._last_at
        return self._beside_others if now - others < COMPANY else self._alone


def _give_up(place: "asyncio.Future[None]") -> None:
    if not place.done():
        place.set_exception(TimeoutError("the organisation has too much under way"))
