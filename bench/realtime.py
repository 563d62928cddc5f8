"""What real time costs: the server's CPU a delivery, its memory a connection, and its latency.

    .venv/bin/python bench/realtime.py [--quick] [--json FILE]

Starts a PostgreSQL of its own, set as `tenantry serve` sets it, and on the same machine, by turns,
`tenantry serve` and the peer: a Bun server that only sends to its sockets in a loop
(bench/peers). The clients are other processes (bench/load.py), which count every message of every
socket: one too few, too many or out of order ends the benchmark. Events are written to the
database by this process (bench/tenants.py). All of it is on the loopback.

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

import argparse
import asyncio
import json
import os
import platform
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from contenders import ANYWHERE, Contender, Stage, sending
from crowds import CrowdError
from figures import Figure, percentile, tables
from rich.console import Console
from servers import ServerError, installed_bun, raise_file_limit
from tenants import Paced, Writers, seed, writing

from tenantry.db import embedded, schema
from tenantry.db.branches import SchemaError

PEER = "Bun, a loop"
BURST = 10  # events
FAST, SLOW = "commits not flushed", "commits flushed to disk"
PAUSE = 0.025  # seconds between the events of an idle server
KIB = 1024

console = Console()


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


async def nothing_more(contenders: list[Contender]) -> None:
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
        Figure(about, "one event at a time", "µs", one, PEER, most_ratio=1.1),
        Figure(about, f"{BURST} events at once", "µs", ten, PEER, most_ratio=0.4),
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
    cost = f"CPU a delivery: {scale.connections:,} connections of one process"
    return [
        Figure(memory, "of one organisation", "KiB", [taken[0], *taken[2:]], PEER, most=8),
        Figure(memory, way, "KiB", [taken[1], *taken[2:]], PEER, most=8),
        Figure(cost, f"{way}, {FAST}", "µs", [apart, whole], all_in_one, most_ratio=1.5),
        Figure(cost, f"{way}, {SLOW}", "µs", [slow, whole], all_in_one, most_ratio=1.5),
        Figure(f"{cost}, all of one organisation", all_in_one, "µs", [whole, *peers], PEER),
    ]


async def latency(stage: Stage, scale: Scale, organisations: Sequence[UUID]) -> list[Figure]:
    """How long an event takes from its writer to its readers."""
    about = "Latency: from before the commit to the socket"
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
            Figure(about, "idle: median", "ms", [[percentile(idle, 50)]], most=5),
            Figure(about, "idle: p99", "ms", [[percentile(idle, 99)]]),
            Figure(about, "the commits alone: median", "ms", [[percentile(commits, 50)]]),
        ]
        for writers, how in ((stage.writers, FAST), (stage.to_disk, SLOW)):
            paced, busy = await under_load(
                server, writers, organisations, scale.rate, scale.seconds
            )
            load = f"{paced.rate:,.0f} events/s, {how}"
            # A disk that is too slow for the rate says nothing about the server.
            most = 50 if paced.rate > 0.98 * scale.rate else None
            figures += [
                Figure(about, f"{load}: median", "ms", [[percentile(busy, 50)]]),
                Figure(about, f"{load}: p99", "ms", [[percentile(busy, 99)]], most=most),
                Figure(about, "the commits alone: p99", "ms", [[percentile(paced.commits, 99)]]),
            ]
        await nothing_more([server])
    return figures


async def under_load(
    server: Contender, writers: Writers, organisations: Sequence[UUID], rate: int, seconds: float
) -> tuple[Paced, list[float]]:
    """Events at a rate: how they were written, and the latency of each at each client."""
    paced = await writers.write_at(rate, seconds, organisations)
    await server.crowd.receive(round(rate * seconds) // len(organisations))
    return paced, await server.crowd.latencies()


def settings(database_url: str, folder: Path, connections: int) -> dict[str, str]:
    """A server's, with room for all connections."""
    return {
        "DATABASE_URL": database_url,
        "TENANTRY_DATA": str(folder),
        "JWT_ACCESS_SECRET": secrets.token_urlsafe(48),
        "JWT_REFRESH_SECRET": secrets.token_urlsafe(48),
        "JWT_ACCESS_EXPIRES_IN": "1h",
        "RATE_LIMIT_GLOBAL": "off",
        "RATE_LIMIT_AUTH": "off",
        "CONNECTIONS_PER_USER": str(connections),
        "CONNECTIONS_PER_ORGANISATION": str(connections),
    }


async def measure(owner_url: str, folder: Path, scale: Scale, bun: Path | None) -> list[Figure]:
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


def the_peer() -> Path | None:
    """Bun, or a word that it is left out."""
    try:
        return installed_bun()
    except ServerError as error:
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


def report(figures: Sequence[Figure], seconds: float) -> dict[str, Any]:
    return {
        "figures": [figure.as_json() for figure in figures],
        "seconds": round(seconds),
        "machine": {"system": platform.platform(), "cpus": os.cpu_count()},
        "python": platform.python_version(),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and connections")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    # What ends this by a signal ends it as Ctrl-C does: with the servers stopped.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: signal.raise_signal(signal.SIGINT))
    start = time.monotonic()
    try:
        figures = run(QUICK if chosen.quick else FULL)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except (ServerError, CrowdError, embedded.EmbeddedError, SchemaError) as error:
        console.print(f"[red]{error}[/]")
        return 1
    console.print("\nMedians, and below them the least and the most of the rounds", style="dim")
    for table in tables(figures):
        console.print(table)
    if chosen.json:
        chosen.json.write_text(json.dumps(report(figures, time.monotonic() - start), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
