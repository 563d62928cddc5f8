"""The servers that bench/realtime.py measures: `tenantry serve`, and the peer under Bun.

Each is a process of its own, with a log in a folder, and is stopped by its id. What a server has
used is asked of the kernel (Linux): the CPU time of all its threads, and its resident memory.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tenantry.settings import variables

BUN = "bun@^1.3"  # the one place that says which
PEER = Path(__file__).parent / "peers" / "broadcast.js"
TENANTRY = Path(sys.executable).with_name("tenantry")
Processors: TypeAlias = frozenset[int] | None  # None: any
FIRST: Processors = frozenset([min(os.sched_getaffinity(0))])
LAST: Processors = frozenset([max(os.sched_getaffinity(0))])
PATIENCE = 60.0  # seconds that a server may take to start, and to stop


class ServerError(Exception):
    """A server cannot be measured; the message says why."""


@dataclass(frozen=True)
class Server:
    pid: int
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def cpu(self) -> float:
        """Microseconds of CPU that the process has used, in all threads, ended ones included.

        Its clock, as of clock_getcpuclockid(3): exact, where /proc/<pid>/stat counts ticks.
        """
        return time.clock_gettime((~self.pid << 3) | 2) * 1e6

    def memory(self) -> int:
        """Bytes that are resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


def clean_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings of Tenantry and no others."""
    ours = {field.metadata["name"] for field in variables()}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONUNBUFFERED": "1", **changes}


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
def tenantry(settings: Mapping[str, str], folder: Path, processors: Processors) -> Iterator[Server]:
    """`tenantry serve`, from the environment that this runs in."""
    command = [str(TENANTRY), "serve", "--port", "0"]
    with _running(command, clean_environment(settings), folder, processors) as server:
        yield server


@contextmanager
def peer(bun: Path, folder: Path, processors: Processors) -> Iterator[Server]:
    with _running([str(bun), str(PEER)], clean_environment({}), folder, processors) as server:
        yield server


@contextmanager
def _running(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    processors: Processors,
) -> Iterator[Server]:
    """A command that says where it serves. Ctrl-C is for us to pass on, hence its own session."""
    log = folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
    with log.open("w") as output, started_on(processors):
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(process.pid, _address(process, log))
        if process.poll() is not None:
            raise ServerError(f"{command[0]} ended by itself:\n{_tail(log)}")
    finally:
        _stop(process)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Serving on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.02)
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


def installed_bun() -> Path:
    """Bun's program, from npm if it is not there yet; kept in this Python's environment.

    Raises:
        ServerError: it cannot be had.
    """
    cache = Path(sys.prefix) / "bench-peers"
    program = cache / "node_modules" / ".bin" / "bun"
    kept = cache / "installed"  # says which range the program was installed for
    if program.exists() and kept.exists() and kept.read_text() == BUN:
        return program
    npm = shutil.which("npm")
    if npm is None:
        raise ServerError("npm is not installed, and Bun is installed with it")
    cache.mkdir(exist_ok=True)
    options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(
        [npm, "install", *options, "--prefix", str(cache), BUN],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode or not program.exists():
        raise ServerError(
            f"npm did not install {BUN}: {done.stderr.strip() or done.stdout.strip()}"
        )
    kept.write_text(BUN)
    return program


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
