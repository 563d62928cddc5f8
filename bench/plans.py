"""How PostgreSQL carries out a read: the plans of the statements that Tenantry really sends.

The server's role is made to log its statements; each is then explained as that role, in the same
order on one connection, so that the first one enters the organisation as it does for the server.
"""

import re
from collections.abc import Iterator

import asyncpg

from bench import answers
from bench.contenders import Entrant
from bench.reads import Caller, Read
from bench.world import World

# "LOG:  duration: 0.1 ms  execute NAME: STATEMENT", over several lines, and then its parameters.
EXECUTED = re.compile(
    r"LOG:  duration: [\d.]+ ms  execute [^:]+:\s(?P<statement>.*?)\n"
    r"(?=\d{4}-)(?:[^\n]*DETAIL:  [Pp]arameters: (?P<parameters>[^\n]*))?",
    re.DOTALL,
)
PARAMETER = re.compile(r"\$(\d+) = ('(?:[^']|'')*'|NULL)")


async def explain(world: World, entrant: Entrant, caller: Caller, read: Read) -> list[str]:
    """The plan of each statement of the read, in the order in which they run."""
    found = await sent(world, entrant, caller, read)
    runtime = await asyncpg.connect(entrant.environment["DATABASE_URL"])
    try:
        return [await _plan(runtime, statement) for statement in found]
    finally:
        await runtime.close()


async def sent(world: World, entrant: Entrant, caller: Caller, read: Read) -> list[str]:
    """The statements of the read, by a server of its own, with their parameters in place."""
    owner = await asyncpg.connect(world.url(entrant.database))
    role = f"{entrant.database}_runtime"
    await owner.execute(f"ALTER ROLE {role} SET log_min_duration_statement = 0")
    await owner.execute(f"ALTER ROLE {role} SET log_parameter_max_length = -1")
    log = world.folder / "postgres" / "log"
    try:
        with entrant.started() as server:  # its connections are new, and so log
            [request] = caller.requests(read)[:1]
            for _ in range(2):  # the second without what a first one brings along
                before = log.stat().st_size
                answers.fetch(server, request.path, request.header)
            return list(statements(log.read_bytes()[before:].decode()))
    finally:
        await owner.execute(f"ALTER ROLE {role} RESET ALL")
        await owner.close()


def statements(logged: str) -> Iterator[str]:
    """The statements in a log, with their parameters in place."""
    for found in EXECUTED.finditer(logged):
        values = dict(PARAMETER.findall(found["parameters"] or ""))
        text = re.sub(r"\$(\d+)", lambda match: values[match[1]], found["statement"])  # noqa: B023
        if text.lstrip().upper().startswith(("SELECT", "WITH")):
            yield text


async def _plan(connection: "asyncpg.Connection[asyncpg.Record]", statement: str) -> str:
    await connection.fetch(statement)  # a connection's first time has more to look up
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, COSTS OFF) {statement}")
    return "\n".join(row[0] for row in rows)
