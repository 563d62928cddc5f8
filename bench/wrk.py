"""Load by wrk: a list of requests, played in turn for some seconds over some connections."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal, NamedTuple

import msgspec

from bench import tools
from bench.servers import Server, cpu

SCRIPT = Path(__file__).with_name("wrk.lua")
GRACE = 30  # seconds that wrk, and what is under way at its end, may take beyond its time
LOOK = 0.03  # seconds over which a server is seen to be idle


class LoadError(Exception):
    """A run that counts for nothing; the message says why."""


class Request(NamedTuple):
    method: str
    path: str
    header: str = "Accept: */*"
    body: Mapping[str, object] | None = None

    def line(self) -> str:
        body = "" if self.body is None else msgspec.json.encode(self.body).decode()
        return "\t".join([self.method, self.path, self.header, body])


class Counts(msgspec.Struct, frozen=True):
    """What wrk.lua prints."""

    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int
    broken: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


class Load(NamedTuple):
    """A run: what wrk saw, and the CPU a request that server and database used, in µs."""

    counts: Counts
    server_cpu: float
    database_cpu: float


def load(
    server: Server,
    requests: Sequence[Request],
    *,
    database: int,
    seconds: float,
    connections: int,
    how: Literal["in-turn", "refresh", "invites"] = "in-turn",
    label: str = "",
) -> Load:
    """Play the requests; wrk.lua says how.

    Raises:
        LoadError: a single request was not answered with success.
    """
    with NamedTemporaryFile("w", suffix=".requests") as file:
        file.write("".join(f"{request.line()}\n" for request in requests))
        file.flush()
        before = server.cpu(), cpu(database)
        counts = _run(
            [
                *(tools.wrk(), "--threads=1", f"--connections={connections}"),
                *(f"--duration={seconds:g}s", "--timeout=10s", f"--script={SCRIPT}"),
                *(server.url, "--", file.name, how, label),
            ],
            seconds,
        )
        after = server.cpu(), cpu(database)
    _wait_until_idle(server)
    if counts.refused or counts.broken or not counts.requests:
        raise LoadError(
            f"{server.url}{requests[0].path}: of {counts.requests} requests {counts.refused} were "
            f"not answered with success, and {counts.broken} not at all"
        )
    server_cpu, database_cpu = (
        (end - start) / counts.requests for start, end in zip(before, after, strict=True)
    )
    return Load(counts, server_cpu, database_cpu)


def _wait_until_idle(server: Server) -> None:
    """Leave nothing under way that the next one would be measured beside."""
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        before = server.cpu()
        time.sleep(LOOK)
        if server.cpu() - before < 0.1 * LOOK * 1e6:
            return


def _run(command: Sequence[str], seconds: float) -> Counts:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + GRACE, check=False
    )
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        return msgspec.json.decode(last, type=Counts)
    except msgspec.DecodeError:
        raise LoadError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}") from None
