"""The parts of `make bench`, which can be run alone too, in the order in which it runs them."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

from bench import accounts, footprint, live, reads
from bench.contenders import CONTENDERS, CONTRACT, Entrants, Running, Step, enter
from bench.figures import Figure
from bench.reads import SHAPE
from bench.servers import raise_file_limit
from bench.world import World, world

EVERYBODY = tuple(CONTENDERS)
ALL = os.cpu_count() or 1  # processors


class Part(NamedTuple):
    about: str
    measure: Callable[[World, Running, str, int, Step], list[Figure]]
    who: Sequence[str]
    rounds: int
    processes: int = 1
    lowest: bool = False  # passwords are hashed at their lowest cost

    def run(self, cluster: World, running: Running, step: Step) -> list[Figure]:
        able = {who: running[who] for who in running if who in self.who}
        return self.measure(cluster, able, self.about, self.rounds, step)


PARTS = {
    "start-up": Part("Starting up", footprint.start_up, EVERYBODY, 3),
    "reads": Part(
        "Reads, one process each", partial(reads.measure, aims=reads.ONE_PROCESS), EVERYBODY, 3
    ),
    "logins": Part("Signing in, one process each", accounts.logins, EVERYBODY, 3),
    "health": Part("/health while others sign in", accounts.health, EVERYBODY, 2),
    "refreshes": Part("Refreshing", accounts.refreshes, CONTRACT, 3),
    "memory": Part("Memory after all that", footprint.after, EVERYBODY, 1),
    "reads-all": Part(
        f"Reads, {ALL} processes each",
        partial(reads.measure, aims=reads.ALL_CORES),
        EVERYBODY,
        2,
        processes=ALL,
    ),
    "logins-all": Part(
        f"Signing in, {ALL} processes each", accounts.logins, EVERYBODY, 2, processes=ALL
    ),
    # The last two, as they change what the others read.
    "sockets": Part(f"A message to {live.SOCKETS:,} sockets", live.measure, CONTRACT, 3),
    "invites": Part(
        "Invite and acceptance, without the hashing",
        accounts.invites,
        CONTRACT,
        2,
        lowest=True,
    ),
}


def run(parts: Sequence[Part], who: Sequence[str], step: Step) -> list[Figure]:
    """Parts that follow each other and want the same processes share them."""
    raise_file_limit(4 * live.SOCKETS)
    figures: list[Figure] = []
    with world() as cluster:
        entrants = enter(cluster, who, SHAPE, step)
        for stage in _stages(parts):
            with _started(entrants, stage[0], step) as running:
                for part in stage:
                    figures += part.run(cluster, running, step)
    return figures


def _stages(parts: Sequence[Part]) -> list[list[Part]]:
    stages: list[list[Part]] = []
    for part in parts:
        last = stages[-1][-1] if stages else None
        if last and (last.processes, last.lowest) == (part.processes, part.lowest):
            stages[-1].append(part)
        else:
            stages.append([part])
    return stages


@contextmanager
def _started(entrants: Entrants, part: Part, step: Step) -> Iterator[Running]:
    """All of them at once, so that they can take turns."""
    step(f"starting {part.processes} process{'es' if part.processes > 1 else ''} each")
    with ExitStack() as stack:
        yield {
            who: (entrant, stack.enter_context(entrant.started(part.processes, lowest=part.lowest)))
            for who, entrant in entrants.items()
        }
