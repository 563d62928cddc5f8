"""The same reads on a small and on a large database; and a neighbour that floods.

A thousand tenants take turns, spread over all that there are. Their tokens are made here, with the
secrets that the servers have, instead of by signing in.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Connection, Record
from joserfc import jwt
from joserfc.jwk import OctKey

from bench import plans, reads
from bench.contenders import ACCESS_SECRET, SECRETS, Entrant, Step, enter
from bench.data import Shape, organisation_id
from bench.figures import Aim, Figure, percentile
from bench.reads import READS, Caller, Read
from bench.servers import Server, ServerError
from bench.watch import Watch
from bench.world import World, world
from bench.wrk import Load, Request, load
from tenantry.settings import load as load_settings
from tenantry.tenancy.tokens import Tokens

WHO = ("tenantry", "hono")
SMALL = Shape(measured=1000, members=10, activities=60)
LARGE = Shape(
    measured=1000,
    members=10,
    activities=60,
    others=999_000,
    other_members=3,
    other_activities=15,
    giants=10,
    giant_members=5000,
    giant_activities=500_000,
)
BYTES = 30 * 2**30  # that the large one takes, of both, with the log of changes
ROUNDS, SECONDS = 3, 3
LIFETIME = timedelta(hours=2)
FLOOD = 32  # connections that read, and half as many that broadcast

COMPARED = [read for read in READS if read.aimed]
FEED = COMPARED[-1]
SESSIONS = """
INSERT INTO sessions (id, user_id, expires_at)
SELECT organisation_id, user_id, now() + interval '1 day' FROM memberships WHERE role = 'ADMIN'
"""
ADMINS = """
SELECT organisation_id, user_id FROM memberships
 WHERE role = 'ADMIN' AND organisation_id = ANY($1)
"""


def shapes(factor: float) -> dict[str, Shape]:
    """Both sizes, by what they are called. By a factor, the large one shrinks."""
    large = replace(
        LARGE,
        others=round((LARGE.others + LARGE.measured) * factor) - LARGE.measured,
        giant_activities=round(LARGE.giant_activities * factor),
    )
    return {f"{shape.organisations:,} organisations": shape for shape in (large, SMALL)}


def run(factor: float, step: Step) -> tuple[list[Figure], dict[str, Any]]:
    """The figures; and the plans, by size and read."""
    _check_room(factor)
    with world() as cluster, ExitStack() as stack:
        figures: list[Figure] = []
        explained: dict[str, Any] = {}
        callers: dict[str, list[Caller]] = {}
        for size, shape in shapes(factor).items():
            suffix = f"_{shape.organisations}"
            entrants = enter(cluster, WHO, shape, step, suffix=suffix)
            callers[size] = [
                _caller(cluster, who, entrant, shape, stack.enter_context(entrant.started()))
                for who, entrant in entrants.items()
            ]
            reads.check(callers[size])
            step(f"{size}: how PostgreSQL carries out the reads")
            explained[size] = _explained(cluster, entrants["tenantry"], callers[size][0])
        figures += _reads(cluster, callers, step)
        figures += _giants(cluster, next(iter(callers.values())), step)
        figures += _neighbour(cluster, next(iter(callers.values())), step)
    return figures, explained


def _check_room(factor: float) -> None:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < BYTES * factor:
        raise ServerError(
            f"{BYTES * factor / 2**30:.0f} GiB are needed in {tempfile.gettempdir()}, and "
            f"{free / 2**30:.0f} are free: set TMPDIR, or give a smaller factor"
        )


def _caller(cluster: World, who: str, entrant: Entrant, shape: Shape, server: Server) -> Caller:
    """The admins of the measured organisations and of the giants."""
    numbers = [*shape.numbers, *shape.giant_numbers]
    admins = asyncio.run(
        _admins(cluster.url(entrant.database), numbers, with_sessions=who == "tenantry")
    )
    sign = _tenantrys_token if who == "tenantry" else _honos_token
    headers = {
        number: f"Authorization: Bearer {sign(UUID(organisation_id(number)), admins[number])}"
        for number in numbers
    }
    return Caller(who, entrant.contender.title, server, shape, headers)


async def _admins(
    owner_url: str, numbers: Sequence[int], *, with_sessions: bool
) -> dict[int, UUID]:
    owner: Connection[Record] = await asyncpg.connect(owner_url)
    try:
        if with_sessions:
            await owner.execute(SESSIONS)
            await owner.execute("VACUUM ANALYZE sessions")
        by_id = {UUID(organisation_id(number)): number for number in numbers}
        rows = await owner.fetch(ADMINS, list(by_id))
        return {by_id[row["organisation_id"]]: row["user_id"] for row in rows}
    finally:
        await owner.close()


def _tenantrys_token(organisation: UUID, admin: UUID) -> str:
    """Each admin's session has their organisation's id."""
    settings = load_settings({**SECRETS, "JWT_ACCESS_EXPIRES_IN": "2h"})
    return Tokens(settings).access(admin, organisation, organisation, datetime.now(UTC))


def _honos_token(organisation: UUID, admin: UUID) -> str:
    expires = datetime.now(UTC) + LIFETIME
    claims = {"userId": str(admin), "organisationId": str(organisation), "role": "ADMIN"}
    key = OctKey.import_key(ACCESS_SECRET)
    return jwt.encode({"alg": "HS256"}, claims | {"exp": int(expires.timestamp())}, key)


def _explained(cluster: World, entrant: Entrant, caller: Caller) -> dict[str, list[str]]:
    return {
        read.what: asyncio.run(plans.explain(cluster, entrant, caller, read)) for read in COMPARED
    }


def _reads(cluster: World, callers: Mapping[str, Sequence[Caller]], step: Step) -> list[Figure]:
    """Each read at both sizes by turns, one request at a time."""
    large, small = callers
    loads: dict[tuple[str, Read, str], list[Load]] = {}
    for turn in range(ROUNDS + 1):  # the first is to be warm
        for read in COMPARED:
            for size, everybody in callers.items():
                for caller in everybody:
                    step(f"{size}: {read.what}, {caller.title}, round {turn} of {ROUNDS}")
                    measured = {number: caller.headers[number] for number in caller.shape.numbers}
                    one = replace(caller, headers=measured)
                    found = one.load(read, cluster, connections=1)
                    if turn:
                        loads.setdefault((caller.title, read, size), []).append(found)
    figures = []
    for title in dict.fromkeys(title for title, _, _ in loads):
        about = f"{title}: one request at a time, of {SMALL.measured:,} tenants in turn"
        aims = [Aim(most=1.2, against=small)] if title == "Tenantry" else []
        for read in COMPARED:
            of = {size: loads[title, read, size] for size in (large, small)}
            figures += [
                Figure(about, f"GET {read.what}, median", "ms", _each(of, _milliseconds), aims),
                Figure(
                    about,
                    f"{read.what}: PostgreSQL's CPU",
                    "µs",
                    _each(of, lambda one: one.database_cpu),
                ),
            ]
    return figures


def _each(
    loads: Mapping[str, Sequence[Load]], of: Callable[[Load], float]
) -> dict[str, list[float]]:
    return {size: [of(one) for one in ones] for size, ones in loads.items()}


def _milliseconds(one: Load) -> float:
    return one.counts.p50 / 1000


def _giants(cluster: World, callers: Sequence[Caller], step: Step) -> list[Figure]:
    """The newest page of the longest feeds."""
    shape = callers[0].shape
    medians: dict[str, list[float]] = {caller.title: [] for caller in callers}
    for turn in range(ROUNDS + 1):
        for caller in callers:
            step(f"giants: {caller.title}, round {turn} of {ROUNDS}")
            giants = {number: caller.headers[number] for number in shape.giant_numbers}
            found = replace(caller, headers=giants).load(FEED, cluster, connections=1)
            if turn:
                medians[caller.title].append(_milliseconds(found))
    about = f"The newest 50 activities of a giant's {shape.giant_activities:,}"
    return [Figure(about, "median", "ms", medians)]


def _neighbour(cluster: World, callers: Sequence[Caller], step: Step) -> list[Figure]:
    """One tenant's members are read at a pace, while a giant is quiet, and while it floods."""
    figures = []
    for caller in callers:
        quiet: list[list[float]] = []
        flooded: list[list[float]] = []
        header = caller.headers[caller.shape.numbers[0]]
        watch = Watch(f"{caller.server.url}/api/users", header)
        for turn in range(ROUNDS):
            step(f"a neighbour's flood: {caller.title}, round {turn + 1} of {ROUNDS}")
            quiet.append(watch.during(SECONDS))
            with _flood(cluster, caller):
                flooded.append(watch.during(SECONDS))
        about = f"{caller.title}: one tenant's members, while another floods"
        aims = [Aim(most=2, against="quiet")] if caller.title == "Tenantry" else []
        figures += [
            Figure(
                about,
                f"p{percent}",
                "ms",
                {
                    "flooded": [percentile(one, percent) for one in flooded],
                    "quiet": [percentile(one, percent) for one in quiet],
                },
                aims if percent == 99 else [],
            )
            for percent in (50, 99)
        ]
    return figures


@contextmanager
def _flood(cluster: World, caller: Caller) -> Iterator[None]:
    """The first giant reads its feed and broadcasts, as fast as it is answered."""
    header = caller.headers[caller.shape.giant_numbers[0]]
    floods = [
        (Request("GET", FEED.path, header), FLOOD),
        (Request("POST", "/api/organisations/broadcast", header, {"message": "flood"}), FLOOD // 2),
    ]
    with ThreadPoolExecutor(len(floods)) as pool:
        flooding = [
            pool.submit(
                load,
                caller.server,
                [request],
                database=cluster.postmaster,
                seconds=SECONDS + 1,
                connections=connections,
            )
            for request, connections in floods
        ]
        yield
    for flood in flooding:
        flood.result()
