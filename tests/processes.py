"""Programs of their own: `tenantry` as a person runs it."""

import asyncio
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tenantry.settings import COMPOSE_VARIABLES, variables
from tenantry.testing import PATIENCE

TENANTRY = str(Path(sys.executable).with_name("tenantry"))


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without any setting of Tenantry, and with these."""
    ours = {field.metadata["name"] for field in variables()} | set(COMPOSE_VARIABLES) | {"CI"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONUNBUFFERED": "1", **changes}


def tenantry(
    *arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [TENANTRY, *arguments],
        env=clean_environment(**(environment or {})),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Served:
    """A running `tenantry serve`, whose output is always read."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.wait_for(r"Serving on (http://\S+)")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, pattern: str) -> str:
        """Wait for a line that matches; gives the first group."""
        while (line := self._lines.get(timeout=60)) is not None:
            if match := re.search(pattern, line):
                return match[1]
        raise AssertionError("".join(self.output))

    def stop(self, with_signal: int = signal.SIGINT) -> str:
        """Send the signal and wait for the end; gives everything that it printed."""
        self.process.send_signal(with_signal)
        self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        return "".join(self.output)


@contextmanager
def serving(
    *arguments: str, environment: Mapping[str, str], cwd: Path | None = None
) -> Iterator[Served]:
    """`tenantry serve` on a free port; stopped at the end if it still runs."""
    with running([TENANTRY, "serve", *arguments, "--port", "0"], environment, cwd) as server:
        yield server


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path | None
) -> Iterator[Served]:
    """A command that serves, with no other setting than these."""
    with subprocess.Popen(
        command,
        env=clean_environment(**environment),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        server = Served(process)
        try:
            yield server
        finally:
            if process.poll() is None:
                server.stop(signal.SIGTERM)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.to_thread(time.sleep, 0.01)


def workers(server: Served) -> list[int]:
    """The serving processes of a server with several."""
    return _children(server, lambda command: b"spawn_main" in command)


def connections(process: int, port: int) -> int:
    """How many the process holds that were made to a port of this machine."""
    here = f":{port:04X}"
    made = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{one[9]}]" for one in made if one[1].endswith(here) and one[3] == "01"}
    files = Path(f"/proc/{process}/fd").iterdir()
    return sum(str(file.readlink()) in inodes for file in files)


def mail_workers(server: Served) -> list[int]:
    """The processes that do what the queue holds: one, once it has started."""
    return _children(server, lambda command: b"tenantry.worker" in command)


def _children(server: Served, wanted: Callable[[bytes], bool]) -> list[int]:
    # A child belongs to the thread that started it.
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    found = [child for file in threads for child in _read(file).split()]
    return [
        int(child) for child in found if wanted(_read(Path("/proc") / child.decode() / "cmdline"))
    ]


def _read(file: Path) -> bytes:
    """What it holds; nothing, where its thread or process has just ended."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
