"""Accounts: signing in, refreshing, inviting and accepting; and who waits while others sign in."""

import secrets
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import lowest, tools
from bench.contenders import LOWEST_BCRYPT, Entrant, Running, Step, credentials, headers, signed_in
from bench.data import PASSWORD
from bench.figures import Aim, Figure, percentile
from bench.reads import SHAPE
from bench.servers import Server
from bench.watch import Watch
from bench.world import World
from bench.wrk import Load, Request, load

LOGINS = 8  # at once
REFRESHES = 12  # fewer than there are accounts, as a chain in flight has no token to give
LONG, SHORT = 4, 2  # seconds of a round, with hashing and without


def by_title(running: Running) -> dict[str, list[Any]]:
    return {entrant.contender.title: [] for entrant, _ in running.values()}


def logins(world: World, running: Running, about: str, rounds: int, step: Step) -> list[Figure]:
    """Signing in, beside how many passwords the processors could verify."""
    loads: dict[str, list[Load]] = by_title(running)
    capacity: list[float] = []
    for turn in range(rounds):
        step(f"{about}: what the processors can hash, round {turn + 1} of {rounds}")
        capacity.append(_argon2_a_second(LONG))
        for entrant, server in running.values():
            title = entrant.contender.title
            step(f"{about}: {title}, round {turn + 1} of {rounds}")
            found = _log_in(world, entrant, server)
            loads[title].append(found)
    rates = {title: [one.counts.rate for one in ones] for title, ones in loads.items()}
    share = [rate / most for rate, most in zip(rates["Tenantry"], capacity, strict=True)]
    return [
        Figure(
            about,
            "POST login",
            "logins/s",
            rates,
            [Aim(least=4, against="Hono"), Aim(least=3, against="Better Auth")],
        ),
        Figure(
            about,
            "POST login: p99",
            "ms",
            {title: [one.counts.p99 / 1000 for one in ones] for title, ones in loads.items()},
        ),
        Figure(about, "argon2id alone, in all processors", "verified/s", {"Tenantry": capacity}),
        Figure(about, "logins by what that allows", "", {"Tenantry": share}, [Aim(least=0.9)]),
    ]


def _log_in(world: World, entrant: Entrant, server: Server) -> Load:
    path = entrant.contender.sign_in.path
    requests = [Request("POST", path, body=credentials(number)) for number in SHAPE.numbers]
    return load(server, requests, database=world.postmaster, seconds=LONG, connections=LOGINS)


def _argon2_a_second(seconds: int) -> float:
    return float(_said([sys.executable, "-m", "bench.hashing", str(seconds)]))


def _said(command: Sequence[str]) -> str:
    return subprocess.run(
        command, cwd=tools.ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def refreshes(world: World, running: Running, about: str, rounds: int, step: Step) -> list[Figure]:
    """Refresh tokens, each of which works once: what comes back is presented next."""
    loads: dict[str, list[Load]] = by_title(running)
    for turn in range(rounds + 1):  # the first is to be warm
        for entrant, server in running.values():
            title = entrant.contender.title
            step(f"{about}: {title}, round {turn} of {rounds}")
            requests = [
                Request("POST", "/api/auth/refresh", body={"refreshToken": token})
                for answer in signed_in(entrant.contender, server, SHAPE.numbers)
                if (token := answer.json()["data"]["refreshToken"])
            ]
            found = load(
                server,
                requests,
                database=world.postmaster,
                seconds=SHORT,
                connections=REFRESHES,
                how="refresh",
            )
            if turn:
                loads[title].append(found)
    return [
        Figure(
            about,
            "POST refresh",
            "requests/s",
            {title: [one.counts.rate for one in ones] for title, ones in loads.items()},
            [Aim(least=1.5, against="Hono")],
        ),
        Figure(
            about,
            "the server's CPU for one",
            "µs",
            {title: [one.server_cpu for one in ones] for title, ones in loads.items()},
        ),
        Figure(
            about,
            "PostgreSQL's CPU for one",
            "µs",
            {title: [one.database_cpu for one in ones] for title, ones in loads.items()},
        ),
    ]


def invites(world: World, running: Running, about: str, rounds: int, step: Step) -> list[Figure]:
    """An invite and its acceptance, without what the new member's password takes to hash.

    All of `running` hash at their lowest cost, as what a hash does to the processors' caches would
    be measured otherwise; what one takes at that cost, measured in each round, is taken off.
    """
    pairs: dict[str, list[float]] = by_title(running)
    database: dict[str, list[float]] = by_title(running)
    for turn in range(rounds + 1):  # the first is to be warm
        for entrant, server in running.values():
            title = entrant.contender.title
            step(f"{about}: {title}, round {turn} of {rounds}")
            admins = headers(entrant.contender, server, SHAPE.numbers)
            requests = [Request("POST", "/api/users/invite", one, {}) for one in admins]
            found = load(
                server,
                requests,
                database=world.postmaster,
                seconds=LONG if turn else SHORT,
                connections=LOGINS,
                how="invites",
                label=f"invited-{secrets.token_hex(4)}",
            )
            if not turn:
                continue
            of_hashing = _bcrypt_cpu() if title == "Hono" else lowest.hash_cpu()
            pairs[title].append(2 * found.server_cpu - of_hashing)
            database[title].append(2 * found.database_cpu)
    together = {
        title: [one + other for one, other in zip(pairs[title], database[title], strict=True)]
        for title in pairs
    }
    return [
        Figure(about, "the server's CPU", "µs a pair", pairs, [Aim(most=0.5, against="Hono")]),
        Figure(about, "PostgreSQL's CPU", "µs a pair", database),
        Figure(about, "both", "µs a pair", together),
    ]


def _bcrypt_cpu() -> float:
    """Microseconds of CPU of a hash at the lowest cost."""
    script = str(tools.javascript() / "hash.ts")
    return float(_said([tools.bun(), script, PASSWORD, LOWEST_BCRYPT, "1"]))


def health(world: World, running: Running, about: str, rounds: int, step: Step) -> list[Figure]:
    """How long /health takes while sign-ins saturate the machine; beside, on an idle one."""
    idle: dict[str, list[float]] = by_title(running)
    busy: dict[str, list[float]] = by_title(running)
    middle: dict[str, list[float]] = by_title(running)
    for turn in range(rounds):
        for entrant, server in running.values():
            title = entrant.contender.title
            step(f"{about}: {title}, round {turn + 1} of {rounds}")
            watch = Watch(server.url + entrant.contender.health)
            idle[title].append(percentile(watch.during(1), 99))
            with ThreadPoolExecutor(1) as pool:
                others = pool.submit(_log_in, world, entrant, server)
                found = watch.during(LONG)
                others.result()
            busy[title].append(percentile(found, 99))
            middle[title].append(statistics.median(found))
    return [
        Figure(about, "GET health: p50", "ms", middle),
        Figure(about, "GET health: p99", "ms", busy, [Aim(most=0.1, against="Hono")]),
        Figure(about, "the same on an idle machine", "ms", idle),
    ]
