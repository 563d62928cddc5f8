"""Processes that are measured, each with a log in a folder, and stopped by its id.

What a server has used is asked of the kernel (Linux): the CPU time of all its threads and child
processes, and its resident memory.
"""

import os
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tenantry.settings import variables

Processors: TypeAlias = frozenset[int] | None  # None: any
FIRST: Processors = frozenset([min(os.sched_getaffinity(0))])
LAST: Processors = frozenset([max(os.sched_getaffinity(0))])
TICK = 1 / os.sysconf("SC_CLK_TCK")
PATIENCE = 60.0  # seconds that a server may take to start, and to stop


class ServerError(Exception):
    """A server cannot be measured; the message says why."""


@dataclass(frozen=True)
class Server:
    pid: int
    url: str
    started_in: float = 0.0  # seconds until it answered

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def cpu(self) -> float:
        return cpu(self.pid)

    def memory(self) -> int:
        return memory(self.pid)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except FileNotFoundError:  # it has ended
        return []
    return [pid, *(descendant for child in children for descendant in family(child))]


def cpu(pid: int) -> float:
    """Microseconds of CPU that a process and its descendants have used, in all threads.

    By their clocks, as of clock_getcpuclockid(3): exact, where /proc/<pid>/stat counts ticks, from
    which only those come that have ended.
    """
    used = 0.0
    for member in family(pid):
        try:
            used += time.clock_gettime((~member << 3) | 2) * 1e6
            after_name = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        used += (int(after_name[13]) + int(after_name[14])) * TICK * 1e6
    return used


def memory(pid: int) -> int:
    """Bytes that are resident, of a process and its descendants."""
    statuses = [Path(f"/proc/{member}/status").read_text() for member in family(pid)]
    return sum(1024 * int(kib) for text in statuses for kib in re.findall(r"VmRSS:\s+(\d+)", text))


def clean_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these variables, and no settings of Tenantry beside them."""
    ours = {field.metadata["name"] for field in variables()}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONUNBUFFERED": "1", **changes}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def started_on(processors: Processors) -> Iterator[None]:
    """What is started within runs on these processors only, with all its threads.

    Where a server and its clients share one, waking them costs the server differently from one
    moment to the next, and the figures scatter.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    port: int,
    health: str = "/health",
    processors: Processors = None,
) -> Iterator[Server]:
    """A command that serves on a port. Ctrl-C is for us to pass on, hence its own session."""
    log = folder / f"{Path(command[0]).name}-{port}.log"
    with log.open("w") as output, started_on(processors):
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            env=clean_environment(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _until_answering(process, url + health, log)
        yield Server(process.pid, url, time.monotonic() - start)
        if process.poll() is not None:
            raise ServerError(f"{command[0]} ended by itself:\n{_tail(log)}")
    finally:
        _stop(process)


def _until_answering(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.005)
    raise ServerError(f"{process.args!r} does not serve:\n{_tail(log)}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-20:])


def raise_file_limit(needed: int) -> None:
    """Let this process and those that it starts have so many files, sockets included, open.

    Raises:
        ServerError: it is not allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY:
        hard = max(hard, needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError) as error:
        raise ServerError(
            f"{needed} open files are needed and {soft} allowed: raise it, as with ulimit -n"
        ) from error
