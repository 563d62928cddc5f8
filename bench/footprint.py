"""Starting up, and memory."""

from bench.contenders import Running, Step
from bench.figures import Aim, Figure
from bench.world import World

MIB = 1024 * 1024


def start_up(_: World, running: Running, about: str, rounds: int, step: Step) -> list[Figure]:
    """From the start of a process, on a database that is there, to its first answer."""
    seconds: dict[str, list[float]] = {}
    idle: dict[str, list[float]] = {}
    for turn in range(rounds):
        for entrant, _server in running.values():
            title = entrant.contender.title
            step(f"{about}: {title}, round {turn + 1} of {rounds}")
            with entrant.started() as server:
                seconds.setdefault(title, []).append(server.started_in)
                idle.setdefault(title, []).append(server.memory() / MIB)
    return [
        Figure(about, "to the first answer", "s", seconds, [Aim(most=1)]),
        Figure(about, "memory then", "MiB", idle, [Aim(most=120)]),
    ]


def after(_: World, running: Running, about: str, _rounds: int, step: Step) -> list[Figure]:
    """What those who have been measured hold by now."""
    step(about)
    held = {
        entrant.contender.title: [server.memory() / MIB] for entrant, server in running.values()
    }
    return [Figure(about, "resident", "MiB", held)]
