"""The three reads: the organisation, its members, the newest page of its feed."""

from collections.abc import Callable, Mapping, Sequence

from bench import answers
from bench.contenders import Entrants, bearer, reads
from bench.data import Shape
from bench.figures import Aim, Figure, geometric_mean
from bench.servers import Server
from bench.world import World
from bench.wrk import Load, load

ROUTES = {
    "/api/organisations": "the organisation",
    "/api/users": "10 members",
    "/api/activities": "50 activities of 10,000",
}
CONNECTIONS = 32
SHAPE = Shape(measured=16, members=10, activities=10_000)

# (least ratio to Hono, to FastAPI) of each read, and of their geometric mean to Hono.
ONE_PROCESS = ((1.5, 4.0), 2.0)
ALL_CORES = ((2.0, None), None)


def compared(servers: Mapping[str, Server], headers: Mapping[str, Sequence[str]]) -> None:
    """See that all answer the same, and right, before anything is measured."""
    for path in ROUTES:
        for place, number in enumerate(SHAPE.numbers):
            found = {
                who: answers.fetch(server, path, headers[who][place])
                for who, server in servers.items()
            }
            answers.compare(path, found)
            for one in found.values():
                answers.check(path, one, number, SHAPE)


def measure(
    world: World,
    entrants: Entrants,
    servers: Mapping[str, Server],
    *,
    about: str,
    rounds: int,
    seconds: int,
    aims: tuple[tuple[float | None, float | None], float | None],
    step: Callable[[str], None],
) -> list[Figure]:
    headers = {who: bearer(server, SHAPE) for who, server in servers.items()}
    compared(servers, headers)
    titles = {who: entrants[who].contender.title for who in servers}
    found: dict[str, dict[str, list[Load]]] = {
        path: {title: [] for title in titles.values()} for path in ROUTES
    }
    for turn in range(rounds + 1):  # the first is to be warm
        for path in ROUTES:
            for who, server in servers.items():
                step(f"{path}, {titles[who]}")
                one = load(
                    server,
                    reads(path, headers[who]),
                    database=world.postmaster,
                    seconds=seconds if turn else 1,
                    connections=CONNECTIONS,
                )
                if turn:
                    found[path][titles[who]].append(one)
    return [
        figure for path in ROUTES for figure in _of_route(about, path, found[path], aims[0])
    ] + [_mean(about, found, aims[1])]


def _of_route(
    about: str,
    path: str,
    found: Mapping[str, Sequence[Load]],
    aims: tuple[float | None, float | None],
) -> list[Figure]:
    what = ROUTES[path]
    least = [
        Aim(least=bound, against=who)
        for who, bound in zip(("Hono", "FastAPI"), aims, strict=True)
        if bound
    ]
    parts: list[tuple[str, str, Callable[[Load], float], Sequence[Aim]]] = [
        (f"GET {what}", "requests/s", lambda one: one.counts.rate, least),
        ("p50", "ms", lambda one: one.counts.p50 / 1000, ()),
        ("p99", "ms", lambda one: one.counts.p99 / 1000, [Aim(most=1, against="Hono")]),
        ("server's CPU", "µs a request", lambda one: one.server_cpu, ()),
        ("PostgreSQL's CPU", "µs a request", lambda one: one.database_cpu, ()),
    ]
    return [
        Figure(
            about,
            name,
            unit,
            {who: [of(one) for one in loads] for who, loads in found.items()},
            wanted,
        )
        for name, unit, of, wanted in parts
    ]


def _mean(
    about: str, found: Mapping[str, Mapping[str, Sequence[Load]]], least: float | None
) -> Figure:
    rates = [
        Figure(
            about,
            path,
            "requests/s",
            {who: [o.counts.rate for o in loads] for who, loads in of.items()},
        )
        for path, of in found.items()
    ]
    aims = [Aim(least=least, against="Hono")] if least else []
    return geometric_mean(about, "geometric mean of the three", rates, aims)
