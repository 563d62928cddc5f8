"""The reads: the organisation, its members, the newest page of its feed; and the session."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench import answers
from bench.contenders import CONTRACT, Running, Step, headers
from bench.data import Shape, organisation_id
from bench.figures import Aim, Figure, geometric_mean
from bench.servers import Server
from bench.world import World
from bench.wrk import Load, Request, load

SHAPE = Shape(measured=16, members=10, activities=10_000)
CONNECTIONS = 32
SECONDS = 2  # of a round
CHECKED = 16  # organisations whose answers are compared


class Read(NamedTuple):
    what: str
    path: str
    better_auth: str | None = None  # the nearest that Better Auth has
    aimed: bool = True  # and, unless it has no aim, asked of everybody who keeps the contract

    def path_of(self, who: str, number: int) -> str | None:
        if who == "better-auth":
            return self.better_auth and self.better_auth.format(organisation_id(number))
        return self.path if self.aimed or who == "tenantry" else None


READS = (
    Read("the organisation", "/api/organisations"),
    Read(
        "10 members",
        "/api/users",
        better_auth="/api/auth/organization/get-full-organization?organizationId={}",
    ),
    Read("the newest 50 activities", "/api/activities"),
    Read("who is signed in", "/api/auth/me", better_auth="/api/auth/get-session", aimed=False),
)


class Aims(NamedTuple):
    """The least ratios: of each read to Hono and to FastAPI, and of their mean to Hono."""

    hono: float
    fastapi: float | None
    mean: float | None


ONE_PROCESS = Aims(1.5, 4, 2)
ALL_CORES = Aims(2, None, None)


@dataclass(frozen=True)
class Caller:
    """Those who are signed in at one contender, and what they ask of it."""

    who: str
    title: str
    server: Server
    shape: Shape
    headers: Mapping[int, str]  # of the organisations' admins, by the organisations' numbers

    def requests(self, read: Read) -> list[Request]:
        """The same read by each of them; none where there is no such thing."""
        return [
            Request("GET", path, header)
            for number, header in self.headers.items()
            if (path := read.path_of(self.who, number))
        ]

    def answers(self, read: Read) -> list[object]:
        """What each gets, checked to be right."""
        found = []
        asked = list(zip(self.headers, self.requests(read), strict=False))
        for number, request in asked[:CHECKED]:
            body = answers.fetch(self.server, request.path, request.header)
            if self.who == "better-auth":
                answers.check_better_auth(request.path, body, number, self.shape)
            elif read.aimed:
                found.append(answers.by_contract(read.path, body))
                answers.check(read.path, found[-1], number, self.shape)
        return found

    def load(
        self,
        read: Read,
        world: World,
        *,
        connections: int = CONNECTIONS,
        seconds: int = SECONDS,
    ) -> Load:
        return load(
            self.server,
            self.requests(read),
            database=world.postmaster,
            seconds=seconds,
            connections=connections,
        )


def callers(running: Running) -> list[Caller]:
    """The admins of all organisations, each signed in at every contender."""
    return [
        Caller(
            who,
            entrant.contender.title,
            server,
            SHAPE,
            dict(
                zip(
                    SHAPE.numbers,
                    headers(entrant.contender, server, SHAPE.numbers),
                    strict=True,
                )
            ),
        )
        for who, (entrant, server) in running.items()
    ]


def check(callers: Sequence[Caller]) -> None:
    """See that all answer the same, and right, before anything is measured."""
    for read in READS:
        found = {caller.title: got for caller in callers if (got := caller.answers(read))}
        if found:
            answers.compare(read.path, found)


def measure(
    world: World, running: Running, about: str, rounds: int, step: Step, *, aims: Aims
) -> list[Figure]:
    everybody = callers(running)
    check(everybody)
    loads: dict[Read, dict[str, list[Load]]] = {}
    for turn in range(rounds + 1):  # the first is to be warm
        for read in READS:
            able = [caller for caller in everybody if caller.requests(read)]
            if not read.aimed and len(able) < 2:
                continue  # it is there for the comparison only
            for caller in able:
                step(f"{about}: {read.what}, {caller.title}, round {turn} of {rounds}")
                found = caller.load(read, world)
                if turn:
                    loads.setdefault(read, {}).setdefault(caller.title, []).append(found)
    by_read = {read: _figures(about, read, of, aims) for read, of in loads.items()}
    figures = [figure for together in by_read.values() for figure in together]
    contract = {caller.title for caller in everybody if caller.who in CONTRACT}
    rates = [_only(by_read[read][0], contract) for read in by_read if read.aimed]
    least = [Aim(least=aims.mean, against="Hono")] if aims.mean else []
    return [*figures, geometric_mean(about, "geometric mean of the first three", rates, least)]


def _figures(
    about: str, read: Read, loads: Mapping[str, Sequence[Load]], aims: Aims
) -> list[Figure]:
    ratios = [Aim(least=aims.hono, against="Hono")]
    if aims.fastapi:
        ratios.append(Aim(least=aims.fastapi, against="FastAPI"))
    parts: list[tuple[str, str, Callable[[Load], float], list[Aim]]] = [
        (f"GET {read.what}", "requests/s", lambda one: one.counts.rate, ratios),
        (f"{read.what}: p50", "ms", lambda one: one.counts.p50 / 1000, []),
        (
            f"{read.what}: p99",
            "ms",
            lambda one: one.counts.p99 / 1000,
            [Aim(most=1, against="Hono")],
        ),
        (f"{read.what}: the server's CPU", "µs", lambda one: one.server_cpu, []),
        (f"{read.what}: PostgreSQL's CPU", "µs", lambda one: one.database_cpu, []),
    ]
    return [
        Figure(
            about,
            what,
            unit,
            {who: [of(one) for one in ones] for who, ones in loads.items()},
            wanted,
        )
        for what, unit, of, wanted in parts
    ]


def _only(figure: Figure, who: set[str]) -> Figure:
    rounds = {name: rounds for name, rounds in figure.rounds.items() if name in who}
    return Figure(figure.about, figure.what, figure.unit, rounds)
