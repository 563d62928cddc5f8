"""The commands: python -m bench COMMAND."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import reads, report, scope, tools
from bench.answers import AnswerError
from bench.contenders import CONTENDERS, enter
from bench.figures import Figure
from bench.progress import console, progress
from bench.reads import Caller
from bench.realtime import run as realtime
from bench.realtime.crowds import CrowdError
from bench.servers import ServerError
from bench.tools import BUILD, ToolError
from bench.world import world
from bench.wrk import LoadError
from tenantry.db.branches import SchemaError
from tenantry.db.embedded import EmbeddedError

EXPECTED = (ServerError, CrowdError, ToolError, LoadError, AnswerError, EmbeddedError, SchemaError)


def compare_reads(chosen: argparse.Namespace) -> None:
    """The reads of some contenders, all started at once, so that they can take turns."""
    start = time.monotonic()
    tools.wrk()
    with progress() as step, world() as cluster, ExitStack() as stack:
        entrants = enter(cluster, chosen.only, reads.SHAPE, step)
        callers = [
            Caller(
                who, entrants, stack.enter_context(entrant.started(chosen.processes)), reads.SHAPE
            )
            for who, entrant in entrants.items()
        ]
        figures = reads.measure(
            cluster,
            callers,
            about=f"Reads, {chosen.processes} process{'es' if chosen.processes > 1 else ''} each",
            rounds=chosen.rounds,
            seconds=chosen.seconds,
            aims=reads.ONE_PROCESS if chosen.processes == 1 else reads.ALL_CORES,
            step=step,
        )
    show(figures, chosen.json, time.monotonic() - start)


def study_realtime(chosen: argparse.Namespace) -> None:
    start = time.monotonic()
    figures = realtime.run(realtime.QUICK if chosen.quick else realtime.FULL)
    show(figures, BUILD / "realtime.json", time.monotonic() - start)


def serve(chosen: argparse.Namespace) -> None:
    """Start one contender on the data of the reads, say how to ask it, and wait for Ctrl-C."""
    with world() as cluster:
        who = chosen.contender
        entrants = enter(cluster, [who], reads.SHAPE, console.print)
        with entrants[who].started(chosen.processes) as server:
            caller = Caller(who, entrants, server, reads.SHAPE)
            database = cluster.url(entrants[who].contender.database)
            print(f"{server.url}, process {server.pid}, {database}")
            for read in reads.READS:
                for _, path, header, _ in caller.requests(read)[:1]:
                    print(f"wrk -t1 -c32 -d5 --latency -H '{header}' '{server.url}{path}'")
            signal.pause()


def names(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(CONTENDERS):
        raise argparse.ArgumentTypeError(f"{unknown.pop()} is none of {', '.join(CONTENDERS)}")
    return chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").strip())
    commands = parser.add_subparsers(dest="command", required=True)
    some = commands.add_parser("reads", help="the three reads; make bench-quick")
    some.add_argument("--only", type=names, default=["tenantry", "hono"], metavar="A,B")
    some.add_argument("--rounds", type=int, default=3)
    some.add_argument("--seconds", type=int, default=2, help="of each round")
    some.add_argument("--processes", type=int, default=1, help="of each contender")
    some.add_argument("--json", type=Path, default=BUILD / "reads.json")
    one = commands.add_parser("serve", help="one contender on the same data, until Ctrl-C")
    one.add_argument("contender", choices=CONTENDERS)
    one.add_argument("--processes", type=int, default=1)
    live = commands.add_parser("realtime", help="the study of real time")
    live.add_argument("--quick", action="store_true", help="fewer rounds and connections")
    commands.add_parser("scope", help="what entering an organisation costs")
    return parser.parse_args()


def show(figures: Sequence[Figure], path: Path, seconds: float) -> None:
    for table in report.tables(figures):
        console.print(table)
    report.write(path, figures, seconds)
    console.print(f"Medians, the rounds' least and most, and Tenantry's ratio to each. {path}")


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "reads": compare_reads,
    "serve": serve,
    "realtime": study_realtime,
    "scope": lambda _: scope.main(),
}


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
