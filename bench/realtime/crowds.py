"""load.py as the study holds it: a process full of clients, and what to tell it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.servers import Processors, started_on

PROGRAM = Path(__file__).with_name("load.py")
LONGEST_LINE = 2**25

Reads = Literal["nothing", "seq", "times"]


class CrowdError(Exception):
    """The clients did not get what they should; the message says how."""


class Crowd:
    def __init__(self, process: Process) -> None:
        self._process = process
        self.size = 0

    async def open(self, port: int, paths: Sequence[str], *, greeted: bool, reads: Reads) -> None:
        """Open a socket on every path. With `greeted`, the server sends a message first."""
        self.size = await self._tell("open", port=port, paths=paths, greeted=greeted, reads=reads)

    async def receive(self, each: int) -> None:
        """Wait until every client has got so many messages more; raises if one has got others."""
        await self._tell("receive", each=each)

    async def sample(self) -> str:
        """The last message that was read."""
        text: str = await self._tell("sample")
        return text

    async def latencies(self) -> list[float]:
        """Milliseconds from the sending to the receipt of each message since the last call."""
        latencies: list[float] = await self._tell("latencies")
        return latencies

    async def _tell(self, do: str, **what: object) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(msgspec.json.encode({"do": do, **what}) + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise CrowdError("the clients' process has ended")
        answer = msgspec.json.decode(line)
        if "failed" in answer:
            raise CrowdError(answer["failed"])
        return answer["done"]


@asynccontextmanager
async def crowd(processors: Processors) -> AsyncIterator[Crowd]:
    """A process without any client yet. It ends with its input."""
    with started_on(processors):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            stdin=PIPE,
            stdout=PIPE,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
    try:
        yield Crowd(process)
    finally:
        assert process.stdin
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
