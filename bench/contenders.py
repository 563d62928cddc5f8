"""Who takes part: how each is set up on a filled database, started, and signed in to."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import asyncpg
import httpx

from bench import data, tools
from bench.data import PASSWORD, PEER_SCHEMA, Shape
from bench.servers import Server, free_port, running
from bench.world import World
from bench.wrk import Request
from tenantry.db import schema

Environment: TypeAlias = Mapping[str, str]
Say: TypeAlias = Callable[[str], None]
Entrants: TypeAlias = "dict[str, Entrant]"

TENANTRY = Path(sys.executable).with_name("tenantry")
ACCESS_SECRET, REFRESH_SECRET = secrets.token_urlsafe(48), secrets.token_urlsafe(48)

UNLIMITED = {
    "RATE_LIMIT_GLOBAL": "off",
    "RATE_LIMIT_AUTH": "off",
    "CONNECTIONS_PER_USER": "20000",
    "CONNECTIONS_PER_ORGANISATION": "20000",
}
SECRETS = {"JWT_ACCESS_SECRET": ACCESS_SECRET, "JWT_REFRESH_SECRET": REFRESH_SECRET}


@dataclass(frozen=True)
class Contender:
    title: str
    tables: str  # contenders with the same use one database
    prepare: Callable[[World, str, Shape, Say], Awaitable[Environment]]
    command: Callable[[int, int], Sequence[str]]  # of a port and a number of processes
    health: str = "/health"


@dataclass(frozen=True)
class Entrant:
    """A contender on a filled database: to be started, in as many processes as wanted."""

    contender: Contender
    environment: Environment
    folder: Path

    @contextmanager
    def started(self, processes: int = 1, **settings: str) -> Iterator[Server]:
        port = free_port()
        environment = {
            **self.environment,
            "PORT": str(port),
            "WORKERS": str(processes),
            **settings,
        }
        command = self.contender.command(port, processes)
        with running(
            command, environment, self.folder, port=port, health=self.contender.health
        ) as server:
            yield server


async def _prepare_tenantry(world: World, database: str, shape: Shape, say: Say) -> Environment:
    owner_url = await world.create(database)
    logins = await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)
    await data.fill(owner_url, data.TENANTRY, shape, data.argon2_hash(), say)
    # With the runtime's login as `tenantry serve` makes it, no worker is started beside the server:
    # mail is queued and waits.
    return {"DATABASE_URL": logins.runtime, **UNLIMITED, **SECRETS}


async def _prepare_peers(world: World, database: str, shape: Shape, say: Say) -> Environment:
    owner_url = await world.create(database)
    owner = await asyncpg.connect(owner_url)
    await owner.execute(PEER_SCHEMA.read_text())
    await owner.close()
    await data.fill(owner_url, data.PEERS, shape, _bcrypt_hash(), say)
    return {
        "PGHOST": world.socket_folder,
        "PGDATABASE": database,
        "PGUSER": "postgres",
        **SECRETS,
    }


def _bcrypt_hash() -> str:
    """Made by the peer's own library, at its default cost."""
    program = f'console.log(require("bcryptjs").hashSync({PASSWORD!r}, 10))'
    done = subprocess.run(
        [tools.bun(), "-e", program],
        cwd=tools.javascript(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _tenantry_command(port: int, processes: int) -> Sequence[str]:
    return [str(TENANTRY), "serve", "--port", str(port), "--workers", str(processes)]


def _bun_command(peer: str) -> Callable[[int, int], Sequence[str]]:
    def command(_port: int, processes: int) -> Sequence[str]:
        server = str(tools.javascript() / peer / "server.ts")
        if processes == 1:
            return [tools.bun(), server]
        return [tools.bun(), str(tools.javascript() / "cluster.ts"), server]

    return command


CONTENDERS = {
    "tenantry": Contender("Tenantry", "tenantry_bench", _prepare_tenantry, _tenantry_command),
    "hono": Contender("Hono", "peers", _prepare_peers, _bun_command("hono")),
}


def enter(world: World, names: Sequence[str], shape: Shape, say: Say) -> Entrants:
    """The contenders on databases of this shape, in the order of their names here."""

    async def prepared() -> Entrants:
        entrants: Entrants = {}
        filled: dict[str, Environment] = {}
        for name in names:
            contender = CONTENDERS[name]
            if contender.tables not in filled:
                say(f"filling a database for {contender.title}")
                filled[contender.tables] = await contender.prepare(
                    world, contender.tables, shape, say
                )
            entrants[name] = Entrant(contender, filled[contender.tables], world.folder)
        return entrants

    return asyncio.run(prepared())


def bearer(server: Server, shape: Shape) -> list[str]:
    """A header for each measured organisation's admin, who signs in for it."""
    headers = []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for number in shape.numbers:
            answer = client.post("/api/auth/login", json=credentials(number))
            answer.raise_for_status()
            headers.append(f"Authorization: Bearer {answer.json()['data']['accessToken']}")
    return headers


def credentials(number: int) -> dict[str, object]:
    return {"email": data.admin_of(number), "password": PASSWORD}


def reads(path: str, headers: Sequence[str]) -> list[Request]:
    """The same read by each of those signed in."""
    return [Request("GET", path, header) for header in headers]
