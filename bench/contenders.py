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
from bench.data import PASSWORD, Shape
from bench.servers import Server, clean_environment, free_port, running
from bench.world import World
from bench.wrk import Request
from tenantry.db import schema

Environment: TypeAlias = Mapping[str, str]
Say: TypeAlias = Callable[[str], None]
Step: TypeAlias = Say  # is told what is done next
Entrants: TypeAlias = "dict[str, Entrant]"
Running: TypeAlias = "Mapping[str, tuple[Entrant, Server]]"

LOWEST_BCRYPT = "4"
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
    database: str  # what its one is called
    prepare: Callable[[World, str, Shape, Say], Awaitable[Environment]]
    command: Callable[[int, int], Sequence[str]]  # of a port and a number of processes
    sign_in: Request  # whose body is made of an account's credentials
    kept: Callable[[httpx.Response], str]  # the header of who is signed in
    health: str = "/health"
    lowest: Environment | None = None  # to hash passwords at their lowest cost


@dataclass(frozen=True)
class Entrant:
    """A contender on a filled database: to be started, in as many processes as wanted."""

    contender: Contender
    database: str
    environment: Environment
    folder: Path

    @contextmanager
    def started(self, processes: int = 1, *, lowest: bool = False) -> Iterator[Server]:
        port = free_port()
        environment = {
            **self.environment,
            "PORT": str(port),
            "WORKERS": str(processes),
            **((self.contender.lowest or {}) if lowest else {}),
        }
        command = self.contender.command(port, processes)
        if lowest and self.contender.title == "Tenantry":
            command = [sys.executable, "-m", "bench.lowest", *command[1:]]
            environment["PYTHONPATH"] = str(tools.ROOT)
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


async def _prepare_hono(world: World, database: str, shape: Shape, say: Say) -> Environment:
    await _fill_peer(world, database, shape, _by_bun({}, "hash.ts", "10"), say)
    return _postgres(world, database)


async def _prepare_fastapi(world: World, database: str, shape: Shape, say: Say) -> Environment:
    owner_url = await _fill_peer(world, database, shape, data.argon2_hash(), say)
    return {"SQLALCHEMY_URL": owner_url.replace("postgresql", "postgresql+asyncpg", 1), **SECRETS}


async def _fill_peer(
    world: World, database: str, shape: Shape, password_hash: str, say: Say
) -> str:
    owner_url = await world.create(database)
    owner = await asyncpg.connect(owner_url)
    await owner.execute((tools.PEERS / "schema.sql").read_text())
    await owner.close()
    await data.fill(owner_url, data.PEERS, shape, password_hash, say)
    return owner_url


async def _prepare_better_auth(world: World, database: str, shape: Shape, say: Say) -> Environment:
    owner_url = await world.create(database)
    environment = _postgres(world, database)
    password_hash = _by_bun({**environment, "PORT": "0"}, "better-auth/prepare.ts")
    await data.fill(owner_url, data.BETTER_AUTH, shape, password_hash, say)
    return environment


def _postgres(world: World, database: str) -> Environment:
    """For drivers that read what libpq reads."""
    where = {"PGHOST": world.socket_folder, "PGDATABASE": database, "PGUSER": "postgres"}
    return {**where, **SECRETS}


def _by_bun(environment: Environment, script: str, *arguments: str) -> str:
    """What a script of the peers says of the password."""
    done = subprocess.run(
        [tools.bun(), str(tools.javascript() / script), PASSWORD, *arguments],
        env=clean_environment(environment),
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


def _uvicorn_command(port: int, processes: int) -> Sequence[str]:
    where = ["--app-dir", str(tools.PEERS / "fastapi"), "--port", str(port)]
    how = ["--workers", str(processes), "--log-level", "warning"]
    return [str(tools.fastapi()), "-m", "uvicorn", "main:app", *where, *how]


def _bearer(answer: httpx.Response) -> str:
    return f"Authorization: Bearer {answer.json()['data']['accessToken']}"


def _cookie(answer: httpx.Response) -> str:
    return "Cookie: " + "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


LOGIN = Request("POST", "/api/auth/login")
CONTENDERS = {
    "tenantry": Contender(
        "Tenantry", "tenantry_bench", _prepare_tenantry, _tenantry_command, LOGIN, _bearer
    ),
    "hono": Contender(
        "Hono",
        "hono",
        _prepare_hono,
        _bun_command("hono"),
        LOGIN,
        _bearer,
        lowest={"BCRYPT_COST": LOWEST_BCRYPT},
    ),
    "fastapi": Contender(
        "FastAPI",
        "fastapi",
        _prepare_fastapi,
        _uvicorn_command,
        LOGIN,
        _bearer,
        lowest={"ARGON2_LOWEST": "yes"},
    ),
    "better-auth": Contender(
        "Better Auth",
        "better_auth",
        _prepare_better_auth,
        _bun_command("better-auth"),
        Request("POST", "/api/auth/sign-in/email"),
        _cookie,
        health="/api/auth/ok",
    ),
}
CONTRACT = ("tenantry", "hono", "fastapi")  # who answers the same requests


def enter(
    world: World, names: Sequence[str], shape: Shape, say: Say, *, suffix: str = ""
) -> Entrants:
    """The contenders, each on a database of this shape."""

    async def entrant(contender: Contender) -> Entrant:
        database = contender.database + suffix
        environment = await contender.prepare(
            world, database, shape, lambda what: say(f"{contender.title}: {what}")
        )
        return Entrant(contender, database, environment, world.folder)

    async def entrants() -> list[Entrant]:
        return await asyncio.gather(*(entrant(CONTENDERS[name]) for name in names))

    return dict(zip(names, asyncio.run(entrants()), strict=True))


def credentials(number: int) -> dict[str, object]:
    return {"email": data.admin_of(number), "password": PASSWORD}


def signed_in(contender: Contender, server: Server, numbers: Sequence[int]) -> list[httpx.Response]:
    """The answers to the admins of these organisations, who sign in."""
    answers = []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for number in numbers:
            answer = client.post(contender.sign_in.path, json=credentials(number))
            answer.raise_for_status()
            answers.append(answer)
            client.cookies.clear()
    return answers


def headers(contender: Contender, server: Server, numbers: Sequence[int]) -> list[str]:
    """What each of them sends along from then on."""
    return [contender.kept(answer) for answer in signed_in(contender, server, numbers)]
