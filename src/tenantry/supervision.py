"""The worker beside a server: a child process that is started again when it ends."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

RUNTIME_URL = "RUNTIME_DATABASE_URL"
WORKER = [sys.executable, "-P", "-m", "tenantry.worker"]
# The worker derives links' tokens, and signs in nobody; and it reaches tenants' tables only where
# there are jobs that need it.
NOT_THE_WORKERS = {"JWT_ACCESS_SECRET", RUNTIME_URL}
HEAD_START = 1.0  # seconds that the server has the processors for itself, to be ready sooner
PATIENCE = 10  # seconds that jobs under way are given to end
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a worker that ended is started again


class Worker:
    """`with Worker(…):` there is a worker, until the end of the block or of this process.

    It watches its standard input, a pipe that closes even when this process is killed.
    """

    def __init__(
        self, database_url: str, runtime_url: str | None, say: Callable[[str], None]
    ) -> None:
        """`runtime_url` is for the jobs of features, where there are any."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_THE_WORKERS}
        self._environment = {**kept, "DATABASE_URL": database_url}
        if runtime_url:
            self._environment[RUNTIME_URL] = runtime_url
        self._say = say
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopping.set()
            process = self._process
        if process:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()

    def _supervise(self) -> None:
        pause = FIRST_PAUSE
        self._stopping.wait(HEAD_START)
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(  # noqa: S603  # our own module
                    WORKER, env=self._environment, stdin=subprocess.PIPE
                )
            started = time.monotonic()
            with self._process:
                status = self._process.wait()
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            if not self._stopping.is_set():
                self._say(f"The worker has ended ({status}); it is started again in {pause:g} s.")
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
