"""What real time costs: the server's CPU a delivery, its memory a connection, and its latency.

    .venv/bin/python -m bench realtime [--quick]

Starts a PostgreSQL of its own, set as `tenantry serve` sets it, and on the same machine, by turns,
`tenantry serve` and the peer: a Bun server that only sends to its sockets in a loop
(bench/peers). The clients are other processes (load.py), which count every message of every
socket: one too few, too many or out of order ends the benchmark. Events are written to the
database by this process (tenants.py). All of it is on the loopback.

CPU is of all threads of the server's process, the kernel's share included, from the first event's
writing until the last client has the last message. Servers have one processor and clients another.
Contenders take turns, and the ratio is taken round by round. For Tenantry it includes hearing of
the event and reading it from the database; for the peer, one request over a connection that is
kept. PostgreSQL's own is in neither. Where the organisations are many, each has an event in a
commit of its own, and how fast those come decides how many the server reads at once: so both with
commits that wait for the disk and without.

Memory is what the resident set grows by from a hundred connections to all, each past an event.

Latency is from just before the statement that writes and commits an event is sent to PostgreSQL,
until the clients' process has the message: the commit is in it, and stands below it alone. On an
idle server commits wait for the disk. Under load they are measured both ways, as it is PostgreSQL
that queues them behind each other's flush (see tenants.writing), and the aim counts only where the
rate was kept.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import UUID

import uvloop

from bench import tools
from bench.contenders import UNLIMITED
from bench.figures import Aim, Figure, percentile
from bench.progress import console
from bench.realtime.sides import ANYWHERE, Side, Stage, sending
from bench.realtime.tenants import Paced, Writers, seed, writing
from bench.servers import raise_file_limit
from bench.tools import ToolError
from tenantry.db import embedded, schema

OURS = "Tenantry"
PEER = "Bun, a loop"
BURST = 10  # events
FAST, SLOW = "commits not flushed", "commits flushed to disk"
PAUSE = 0.025  # seconds between the events of an idle server
KIB = 1024


@dataclass(frozen=True)
class Scale:
    rounds: int
    events: int  # one after the other, a round
    bursts: int  # a round
    clients: int  # of the organisation to which they go
    connections: int
    organisations: int  # that share the connections
    sweeps: int  # events to all connections, a round
    busy: int  # organisations with two sockets each, whose latency is measured
    rate: int  # events a second in all of them
    seconds: float


FULL = Scale(
    rounds=5,
    events=100,
    bursts=20,
    clients=1000,
    connections=10_000,
    organisations=1000,
    sweeps=5,
    busy=200,
    rate=1000,
    seconds=10.0,
)
QUICK = replace(
    FULL, rounds=3, events=30, bursts=5, connections=2000, organisations=200, sweeps=3, seconds=3.0
)


async def by_turns(rounds: int, *measures: Callable[[], Awaitable[float]]) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for values, measure in zip(found, measures, strict=True):
            values.append(await measure())
    return found


def beside(other: str, measured: Sequence[Sequence[float]]) -> dict[str, Sequence[float]]:
    """Our rounds, and, where there are any, the other's."""
    return dict(zip((OURS, other), measured, strict=False))


async def nothing_more(contenders: list[Side]) -> None:
    """See that no client gets a message that it should not."""
    await asyncio.sleep(0.2)
    for contender in contenders:
        await contender.crowd.receive(0)


async def fan_out(stage: Stage, scale: Scale, organisation: UUID) -> tuple[list[Figure], str]:
    """One organisation's events to its clients; gives a message too, for the peer to send."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(stage.tenantry([organisation], scale.clients))
        await ours.connect()
        await ours.deliver(10)
        text = await ours.crowd.sample()
        theirs = await stack.enter_async_context(stage.peers(scale.clients, text))
        for contender in theirs:
            await contender.connect()
            await contender.deliver(10)
        contenders = [ours, *theirs]
        singles = [partial(contender.deliver, scale.events) for contender in contenders]
        bursts = [partial(contender.deliver, scale.bursts, BURST) for contender in contenders]
        one = await by_turns(scale.rounds, *singles)
        ten = await by_turns(scale.rounds, *bursts)
        await nothing_more(contenders)
    about = f"CPU a delivery: {scale.clients:,} clients of one organisation"
    return [
        Figure(
            about, "one event at a time", "µs", beside(PEER, one), [Aim(most=1.1, against=PEER)]
        ),
        Figure(
            about, f"{BURST} events at once", "µs", beside(PEER, ten), [Aim(most=0.4, against=PEER)]
        ),
    ], text


async def many(
    stage: Stage, scale: Scale, organisations: Sequence[UUID], text: str
) -> list[Figure]:
    """Many connections of one process: what they take, and what it costs to reach them."""
    shared, several = scale.connections // scale.organisations, organisations[1:]
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(stage.tenantry(organisations[:1], scale.connections))
        spread = await stack.enter_async_context(stage.tenantry(several, shared))
        theirs = await stack.enter_async_context(stage.peers(scale.connections, text))
        contenders = [one, spread, *theirs]
        taken = [[await contender.fill() / KIB] for contender in contenders]
        slowly = replace(spread, send=sending(stage.to_disk, several))
        measures = [partial(each.deliver, scale.sweeps) for each in (one, spread, slowly, *theirs)]
        whole, apart, slow, *peers = await by_turns(scale.rounds, *measures)
        await nothing_more(contenders)
    way = f"{scale.organisations:,} organisations × {shared}"
    all_in_one = f"1 × {scale.connections:,}"
    memory = f"Memory a connection: {scale.connections:,} connections of one process"
    aim = [Aim(most=1.5, against=all_in_one)]
    cost = f"CPU a delivery: {scale.connections:,} connections of one process"
    return [
        Figure(
            memory,
            "of one organisation",
            "KiB",
            beside(PEER, [taken[0], *taken[2:]]),
            [Aim(most=8)],
        ),
        Figure(memory, way, "KiB", beside(PEER, [taken[1], *taken[2:]]), [Aim(most=8)]),
        Figure(cost, f"{way}, {FAST}", "µs", beside(all_in_one, [apart, whole]), aim),
        Figure(cost, f"{way}, {SLOW}", "µs", beside(all_in_one, [slow, whole]), aim),
        Figure(f"{cost}, all of one organisation", all_in_one, "µs", beside(PEER, [whole, *peers])),
    ]


async def latency(stage: Stage, scale: Scale, organisations: Sequence[UUID]) -> list[Figure]:
    """How long an event takes from its writer to its readers."""
    about = "Latency: from before the commit to the socket"

    def one(what: str, value: float, *aims: Aim) -> Figure:
        return Figure(about, what, "ms", {OURS: [value]}, aims)

    async with stage.tenantry(organisations, 2, reads="times", places=ANYWHERE) as server:
        await server.connect()
        await under_load(server, stage.writers, organisations, scale.rate, 1)  # to be warm
        commits = []
        for organisation in organisations:
            await asyncio.sleep(PAUSE)
            commits.append(await stage.to_disk.write_timed(organisation))
        await server.crowd.receive(1)
        idle = await server.crowd.latencies()
        figures = [
            one("idle: median", percentile(idle, 50), Aim(most=5)),
            one("idle: p99", percentile(idle, 99)),
            one("the commits alone: median", percentile(commits, 50)),
        ]
        for writers, how in ((stage.writers, FAST), (stage.to_disk, SLOW)):
            paced, busy = await under_load(
                server, writers, organisations, scale.rate, scale.seconds
            )
            load = f"{paced.rate:,.0f} events/s, {how}"
            # A disk that is too slow for the rate says nothing about the server.
            aims = [Aim(most=50)] if paced.rate > 0.98 * scale.rate else []
            figures += [
                one(f"{load}: median", percentile(busy, 50)),
                one(f"{load}: p99", percentile(busy, 99), *aims),
                one("the commits alone: p99", percentile(paced.commits, 99)),
            ]
        await nothing_more([server])
    return figures


async def under_load(
    server: Side, writers: Writers, organisations: Sequence[UUID], rate: int, seconds: float
) -> tuple[Paced, list[float]]:
    """Events at a rate: how they were written, and the latency of each at each client."""
    paced = await writers.write_at(rate, seconds, organisations)
    await server.crowd.receive(round(rate * seconds) // len(organisations))
    return paced, await server.crowd.latencies()


def settings(database_url: str, folder: Path, connections: int) -> dict[str, str]:
    """A server's, with room for all connections."""
    assert connections <= int(UNLIMITED["CONNECTIONS_PER_USER"])
    return {
        "DATABASE_URL": database_url,
        "TENANTRY_DATA": str(folder),
        "JWT_ACCESS_SECRET": secrets.token_urlsafe(48),
        "JWT_REFRESH_SECRET": secrets.token_urlsafe(48),
        "JWT_ACCESS_EXPIRES_IN": "1h",
        **UNLIMITED,
    }


async def measure(owner_url: str, folder: Path, scale: Scale, bun: str | None) -> list[Figure]:
    url = (await schema.prepare(owner_url, secret=secrets.token_hex(), say=console.print)).runtime
    organisations = await seed(owner_url, 1 + max(scale.organisations, scale.busy))
    async with (
        writing(owner_url, to_disk=False) as writers,
        writing(owner_url, to_disk=True) as to_disk,
    ):
        stage = Stage(folder, settings(url, folder, scale.connections), writers, to_disk, bun)
        console.print(f"One organisation, {scale.clients:,} clients …")
        figures, text = await fan_out(stage, scale, organisations[0])
        console.print(f"Latency, with {scale.busy} organisations of two clients …")
        figures += await latency(stage, scale, organisations[-scale.busy :])
        console.print(f"{scale.connections:,} connections a server …")
        figures += await many(stage, scale, organisations[: 1 + scale.organisations], text)
    return figures


def the_peer() -> str | None:
    """Bun, or a word that it is left out."""
    try:
        return tools.bun()
    except ToolError as error:
        console.print(
            f"[yellow]The peer is left out, and with it what is compared to it:[/] {error}."
        )
        return None


def run(scale: Scale) -> list[Figure]:
    raise_file_limit(scale.connections + 1000)
    bun = the_peer()
    with (
        tempfile.TemporaryDirectory(prefix="tenantry-bench-") as name,
        embedded.running(Path(name)) as owner_url,
    ):
        return uvloop.run(measure(owner_url, Path(name), scale, bun))
