"""Who takes turns in the study of real time: a server, its clients, and how it is made to send."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import httpx

from bench import tools
from bench.contenders import TENANTRY
from bench.realtime.crowds import Crowd, Reads, crowd
from bench.realtime.tenants import Writers, paths
from bench.servers import FIRST, LAST, Processors, Server, free_port, running
from tenantry.settings import load
from tenantry.tenancy.tokens import Tokens


class Places(NamedTuple):
    """On which processors a server and its clients run."""

    server: Processors
    clients: Processors


APART = Places(FIRST, LAST)
ANYWHERE = Places(None, None)
FEW = 100  # sockets that a server has before its memory is taken as the base


@dataclass(frozen=True)
class Side:
    """`send` makes so many events for each client; `paths` are where they connect."""

    server: Server
    crowd: Crowd
    paths: Sequence[str]
    greeted: bool
    reads: Reads
    send: Callable[[int], Awaitable[None]]

    async def connect(self, sockets: int | None = None) -> None:
        """Have so many sockets open; all unless it is said."""
        more = self.paths[self.crowd.size : sockets]
        await self.crowd.open(self.server.port, more, greeted=self.greeted, reads=self.reads)

    async def deliver(self, turns: int, events: int = 1) -> float:
        """Send events to all, wait until all have them, and again; CPU µs of one delivery."""
        before = self.server.cpu()
        for _ in range(turns):
            await self.send(events)
            await self.crowd.receive(events)
        return (self.server.cpu() - before) / (turns * events * self.crowd.size)

    async def fill(self) -> float:
        """Connect all; bytes that a connection takes once it has got an event."""
        await self.connect(FEW)
        await self.deliver(1)
        before, few = self.server.memory(), self.crowd.size
        await self.connect()
        await self.deliver(1)
        return (self.server.memory() - before) / (self.crowd.size - few)


def sending(writers: Writers, organisations: Sequence[UUID]) -> Callable[[int], Awaitable[None]]:
    """How these organisations are sent events: one in a transaction, several with one for each."""

    async def send(events: int) -> None:
        if len(organisations) == 1:
            await writers.write(organisations[0], events)
        else:
            assert events == 1
            await writers.write_each(organisations)

    return send


@dataclass(frozen=True)
class Stage:
    """What the sides are made of."""

    folder: Path
    settings: dict[str, str]
    writers: Writers  # whose commits do not wait for the disk
    to_disk: Writers  # whose commits do
    bun: str | None

    @asynccontextmanager
    async def tenantry(
        self,
        organisations: Sequence[UUID],
        each: int,
        *,
        reads: Reads = "seq",
        places: Places = APART,
    ) -> AsyncIterator[Side]:
        """`tenantry serve` for some organisations, with so many sockets each."""

        opened = paths(Tokens(load(self.settings)), organisations)
        where = [path for path in opened for _ in range(each)]
        port = free_port()
        command = [str(TENANTRY), "serve", "--port", str(port)]
        with running(
            command, self.settings, self.folder, port=port, processors=places.server
        ) as server:
            async with crowd(places.clients) as clients:
                send = sending(self.writers, organisations)
                yield Side(server, clients, where, True, reads, send)

    @asynccontextmanager
    async def peers(self, sockets: int, text: str) -> AsyncIterator[list[Side]]:
        """The peer, sending this text; nobody if there is no Bun."""
        if self.bun is None:
            yield []
            return
        port = free_port()
        with running(
            [self.bun, str(tools.javascript() / "broadcast.js")],
            {"PORT": str(port)},
            self.folder,
            port=port,
            processors=APART.server,
        ) as server:
            async with (
                crowd(APART.clients) as clients,
                httpx.AsyncClient(base_url=server.url) as http,
            ):

                async def send(events: int) -> None:
                    answer = await http.post(
                        "/broadcast", params={"count": events}, content=text, timeout=60
                    )
                    answer.raise_for_status()

                yield [Side(server, clients, ["/"] * sockets, False, "nothing", send)]
