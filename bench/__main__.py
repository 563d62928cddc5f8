"""Tenantry beside what people would pick instead. Commands, of which `make` has the main ones."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bench import document, plot, profile, reads, report, scale, scope, suite, tools
from bench.answers import AnswerError
from bench.contenders import CONTENDERS, enter
from bench.figures import Figure
from bench.progress import console, progress
from bench.realtime import run as realtime
from bench.realtime.crowds import CrowdError
from bench.servers import ServerError
from bench.tools import BUILD, ToolError
from bench.watch import WatchError
from bench.world import world
from bench.wrk import LoadError
from tenantry.db.branches import SchemaError
from tenantry.db.embedded import EmbeddedError

EXPECTED = (
    *(ServerError, CrowdError, ToolError, LoadError, WatchError, AnswerError),
    *(EmbeddedError, SchemaError),
)


def measure(chosen: argparse.Namespace) -> None:
    """Some parts of the suite, of some contenders."""
    start = time.monotonic()
    tools.wrk()
    parts = [suite.PARTS[name] for name in chosen.parts or suite.PARTS]
    if chosen.rounds:
        parts = [part._replace(rounds=chosen.rounds) for part in parts]
    with progress() as step:
        figures = suite.run(parts, chosen.only, step)
    show(figures, BUILD / ("some.json" if chosen.parts else "bench.json"), time.monotonic() - start)


def measure_scale(chosen: argparse.Namespace) -> None:
    start = time.monotonic()
    tools.wrk()
    with progress() as step:
        figures, plans = scale.run(chosen.factor, step)
    for size, by_read in plans.items():
        for read, statements in by_read.items():
            console.print(f"\n[bold]{size}: {read}[/]")
            for plan in statements:
                console.print(plan, highlight=False, markup=False, soft_wrap=True)
    show(figures, BUILD / "scale.json", time.monotonic() - start, plans=plans)


def profile_route(chosen: argparse.Namespace) -> None:
    start = time.monotonic()
    tools.wrk()
    with progress() as step:
        figures, shares = profile.run(chosen.route, step)
    table = Table("the server's CPU", "share", box=SIMPLE_HEAD)
    for part, share in shares.items():
        table.add_row(part, f"{share:.0%}")
    console.print(table)
    name = profile.name_of(chosen.route)
    path = profile.FOLDER / f"{name}.json"
    show(figures, path, time.monotonic() - start, shares=shares)
    console.print(f"The flame graph is {path.with_suffix('.svg')}", soft_wrap=True)


def study_realtime(chosen: argparse.Namespace) -> None:
    start = time.monotonic()
    figures = realtime.run(realtime.QUICK if chosen.quick else realtime.FULL)
    show(figures, BUILD / "realtime.json", time.monotonic() - start)


def serve(chosen: argparse.Namespace) -> None:
    """Start one contender on the data of the reads, say how to ask it, and wait for Ctrl-C."""
    who = chosen.contender
    with world() as cluster:
        entrant = enter(cluster, [who], reads.SHAPE, console.print)[who]
        with entrant.started(chosen.processes) as server:
            [caller] = reads.callers({who: (entrant, server)})
            print(f"{server.url}, process {server.pid}, {cluster.url(entrant.database)}")
            for read in reads.READS:
                for _, path, header, _ in caller.requests(read)[:1]:
                    print(f"wrk -t1 -c32 -d5 --latency -H '{header}' '{server.url}{path}'")
            signal.pause()


def show(figures: Sequence[Figure], path: Path, seconds: float, **more: object) -> None:
    for table in report.tables(figures):
        console.print(table)
    if aims := report.aims(figures):
        console.print(aims)
    report.write(path, figures, seconds, **more)
    drawn = plot.draw(figures, path.with_suffix(".png"))
    console.print(
        "Medians, the rounds' least and most, and Tenantry's ratio to each other one.\n"
        f"{seconds:.0f} s; written to {path}{' and .png' if drawn else ''}",
        soft_wrap=True,
    )


def names(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(CONTENDERS):
        raise argparse.ArgumentTypeError(f"{unknown.pop()} is none of {', '.join(CONTENDERS)}")
    return chosen


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "measure": measure,
    "scale": measure_scale,
    "profile": profile_route,
    "serve": serve,
    "realtime": study_realtime,
    "document": lambda _: document.update(),
    "scope": lambda _: scope.main(),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    some = commands.add_parser("measure", help="parts of the suite; all, unless some are named")
    some.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(suite.PARTS)}")
    some.add_argument("--only", type=names, default=list(CONTENDERS), metavar="A,B")
    some.add_argument("--rounds", type=int, help="of each part")
    one = commands.add_parser("serve", help="one contender on the same data, until Ctrl-C")
    one.add_argument("contender", choices=CONTENDERS)
    one.add_argument("--processes", type=int, default=1)
    large = commands.add_parser("scale", help="the reads on a million organisations")
    large.add_argument("--factor", type=float, default=1.0, help="of the million; 0.01 is quick")
    flames = commands.add_parser("profile", help="where the time of a read goes")
    flames.add_argument("route")
    live = commands.add_parser("realtime", help="the study of real time")
    live.add_argument("--quick", action="store_true", help="fewer rounds and connections")
    commands.add_parser("document", help="write what was found into docs/performance.md")
    commands.add_parser("scope", help="what entering an organisation costs")
    chosen = parser.parse_args()
    if chosen.command == "scale" and not 0.01 <= chosen.factor <= 1:
        parser.error("the factor is from 0.01 to 1")
    if unknown := set(getattr(chosen, "parts", [])) - set(suite.PARTS):
        parser.error(f"{unknown.pop()} is none of {', '.join(suite.PARTS)}")
    return chosen


def main() -> int:
    chosen = arguments()
    # What ends this by a signal ends it as Ctrl-C does: with the servers stopped.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        COMMANDS[chosen.command](chosen)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except EXPECTED as error:
        console.print(f"[red]{error}[/]")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
