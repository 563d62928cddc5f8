"""Pings: each connection once every twenty seconds; one that does not answer by the next is closed.

A wheel that turns a step a second, instead of a timer for each connection.
"""

import asyncio
from typing import Protocol

STEPS = 20
STEP = 1.0  # seconds


class Pinged(Protocol):
    def ping(self) -> None:
        """Send a ping; or close, where the last one was not answered."""


class Heartbeat:
    def __init__(self) -> None:
        self._wheel: list[set[Pinged]] = [set() for _ in range(STEPS)]
        self._step = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="heartbeat")

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    def add(self, one: Pinged) -> set[Pinged]:
        """Ping this one from now on, until it discards itself from the set."""
        rim = self._wheel[self._step - 1]
        rim.add(one)
        return rim

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(STEP)
            self._step = (self._step + 1) % STEPS
            for one in list(self._wheel[self._step]):
                one.ping()
