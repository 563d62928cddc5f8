"""A message to a thousand sockets of one organisation, sent by the API; what a socket takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from bench.contenders import Entrant, Running, Step, signed_in
from bench.figures import Aim, Figure
from bench.reads import SHAPE
from bench.realtime.crowds import crowd
from bench.realtime.sides import APART, Side
from bench.servers import Server
from bench.world import World

SOCKETS = 1000
MESSAGES = 20  # in a round
KIB = 1024


@asynccontextmanager
async def side(entrant: Entrant, server: Server) -> AsyncIterator[Side]:
    """An organisation's admin, who sends, and all the sockets that listen."""
    number = SHAPE.numbers[0]
    token = signed_in(entrant.contender, server, [number])[0].json()["data"]["accessToken"]
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        crowd(APART.clients) as clients,
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http,
    ):

        async def send(events: int) -> None:
            for _ in range(events):
                body = {"message": "The new release is out: please reload the page."}
                answer = await http.post("/api/organisations/broadcast", json=body)
                answer.raise_for_status()

        yield Side(server, clients, [f"/ws?token={token}"] * SOCKETS, True, "nothing", send)


def measure(_: World, running: Running, about: str, rounds: int, step: Step) -> list[Figure]:
    return asyncio.run(_measured(running, about, rounds, step))


async def _measured(running: Running, about: str, rounds: int, step: Step) -> list[Figure]:
    taken: dict[str, list[float]] = {}
    cost: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        sides = {}
        for entrant, server in running.values():
            title = entrant.contender.title
            step(f"{about}: connecting to {title}")
            sides[title] = await stack.enter_async_context(side(entrant, server))
            taken[title] = [await sides[title].fill() / KIB]
        for turn in range(rounds):
            for title, one in sides.items():
                step(f"{about}: {title}, round {turn + 1} of {rounds}")
                cost.setdefault(title, []).append(await one.deliver(MESSAGES))
    return [
        Figure(about, "the server's CPU", "µs a delivery", cost, [Aim(most=1.1, against="Hono")]),
        Figure(about, "memory", "KiB a socket", taken),
    ]
