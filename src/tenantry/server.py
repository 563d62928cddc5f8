"""The server: prepares the database and the secrets, then serves.

The processes that serve get what they need by their environment: the runtime role's DATABASE_URL,
never the owner's or the worker's.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from types import FrameType
from typing import Any, NamedTuple

import uvicorn
from uvicorn import Server
from uvicorn.supervisors import Multiprocess

from tenantry.db import embedded, schema
from tenantry.db.pooler import require_own_connections
from tenantry.feature import installed, jobs_of, migrations_of, product_of
from tenantry.mail import Mail
from tenantry.protocols import BoundedHttpProtocol
from tenantry.realtime.websocket import WebSocketProtocol
from tenantry.settings import Settings, require_secrets
from tenantry.supervision import Worker

SHUTDOWN_PATIENCE = 10  # seconds that requests under way are given to end
MAX_MESSAGE = 64 * 1024  # bytes of a WebSocket message from a client


class AddressError(Exception):
    """The address cannot be listened on; the message says what to do."""


class Prepared(NamedTuple):
    """`settings` can be served with: they have secrets, and the database as its runtime role.
    `worker_url` is that of the worker's role, where it is known.
    """

    settings: Settings
    owner_url: str
    worker_url: str | None


@contextmanager
def prepared(settings: Settings, say: Callable[[str], None]) -> Iterator[Prepared]:
    """The database up and migrated, and the secrets there.

    Raises:
        SettingsError: production without good secrets.
        PlansError: the plans cannot be read.
        EmbeddedError: the embedded database cannot be used.
        SchemaError: the database cannot be reached, or not migrated, or is behind a pooler.
    """
    features = installed()
    product_of(settings, features)
    with ExitStack() as stack:
        settings = with_secrets(settings)
        owner_url = settings.database_url
        if owner_url is None:
            stack.enter_context(embedded.hold(settings.data))
            say(f"Starting PostgreSQL in {settings.data} …")
            owner_url = stack.enter_context(embedded.running(settings.data))
        asyncio.run(require_own_connections(owner_url, say=say, patience=schema.PATIENCE))
        logins = asyncio.run(
            schema.prepare(
                owner_url,
                migrations_of(features),
                secret=settings.jwt_refresh_secret,
                say=say,
            )
        )
        yield Prepared(replace(settings, database_url=logins.runtime), owner_url, logins.worker)


def serve(
    settings: Settings,
    host: str,
    say: Callable[[str], None],
    arrange: Callable[[str, str], None] | None = None,
) -> None:
    """Serve until told to stop. Before the first request, `arrange` is called with the owner's URL
    of the database and the address of the server.

    Raises what `prepared` raises, and `AddressError`.
    """
    # uvicorn ends by raising the signal that it was sent again: turned into an exception, so that
    # the embedded database is stopped on the way out.
    # That of Ctrl-C too, which a shell's background jobs ignore until uvicorn looks after it.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        listeners = listening_for_each(host, settings.port, settings.workers)
        with prepared(settings, say) as (ready, owner_url, worker_url):
            port = listeners[0].getsockname()[1]
            os.environ.update(
                DATABASE_URL=str(ready.database_url),
                JWT_ACCESS_SECRET=ready.jwt_access_secret,
                JWT_REFRESH_SECRET=ready.jwt_refresh_secret,
                PORT=str(port),
                TENANTRY_DATA=str(ready.data),
            )
            config = uvicorn.Config(
                "tenantry.app:from_environment",
                factory=True,
                workers=ready.workers,
                **uvicorn_options(ready),
            )
            address = f"http://{_shown(host)}:{port}"
            if arrange:
                arrange(owner_url, address)
            say(f"Serving on {address} – the documentation is at {address}/docs")
            if not ready.production and not ready.smtp_url:
                say(f"What it mails is at {address}/dev/mail")
            with _worker(ready, worker_url, say):
                if ready.workers > 1:
                    if ready.redis_url is None:
                        say("Each process counts rate limits for itself; REDIS_URL shares them.")
                    Processes(config, listeners).run()
                else:
                    Server(config).run(sockets=listeners)
    except KeyboardInterrupt:
        pass
    say("Stopped.")


def _worker(
    ready: Settings, url: str | None, say: Callable[[str], None]
) -> AbstractContextManager[object]:
    jobs = bool(jobs_of(installed()))
    if url:
        return Worker(url, ready.database_url if jobs else None, say)
    if Mail(ready).sends or jobs:
        say(
            "DATABASE_URL is not the owner's, so no worker is started: "
            f"mail{' and jobs wait' if jobs else ' waits'} in the queue for `tenantry work`."
        )
    return nullcontext()


class Processes(Multiprocess):
    """Each has a listener of its own, over which the kernel spreads the connections.

    Of one that all share, whoever wakes first accepts all that have come: of 80, one had 80.
    """

    def __init__(self, config: uvicorn.Config, listeners: list[socket.socket]) -> None:
        self._listeners = listeners
        self._host, self._port = listeners[0].getsockname()[:2]
        super().__init__(config, sockets=[])

    @property
    def sockets(self) -> list[socket.socket]:
        """Asked for each process that is started. From then on only that one has them, so that
        nobody waits for one that has ended.
        """
        if self._listeners:
            return [self._listeners.pop()]
        return [listening(self._host, self._port, beside_others=True)]

    @sockets.setter
    def sockets(self, _: list[socket.socket]) -> None:
        """There are none that all share."""

    def run(self) -> None:
        try:
            super().run()
        except BaseException:  # the address is gone: none is left behind
            self.terminate_all()
            self.join_all()
            raise


def listening_for_each(host: str, port: int, processes: int) -> list[socket.socket]:
    """The sockets to serve on, one for each process. Raises `AddressError`."""
    alone = listening(host, port)  # so that only ours are beside each other
    if processes == 1:
        return [alone]
    port = alone.getsockname()[1]
    alone.close()
    return [listening(host, port, beside_others=True) for _ in range(processes)]


def listening(host: str, port: int, *, beside_others: bool = False) -> socket.socket:
    """A socket to serve on. Raises `AddressError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if beside_others:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise AddressError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose with --port and --host."
        ) from error
    listener.set_inheritable(True)
    return listener


def uvicorn_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn serves this application, wherever it is started."""
    return {
        "access_log": False,  # the edge writes the line, without query strings
        "log_config": None,
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": ",".join(settings.trusted_proxies),
        "lifespan": "on",
        "timeout_graceful_shutdown": SHUTDOWN_PATIENCE,
        "http": BoundedHttpProtocol,
        "ws": WebSocketProtocol,
        "ws_max_size": MAX_MESSAGE,
    }


def _interrupt(signum: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


def with_secrets(settings: Settings) -> Settings:
    """The settings with secrets; in development they are made once, and kept in the data folder.

    Raises:
        SettingsError: production without good secrets.
    """
    if settings.production:
        require_secrets(settings)
        return settings
    if settings.jwt_access_secret and settings.jwt_refresh_secret:
        return settings
    file = settings.data / "secrets.json"
    try:
        kept = json.loads(file.read_text())
    except FileNotFoundError:
        kept = {"access": secrets.token_urlsafe(48), "refresh": secrets.token_urlsafe(48)}
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            json.dump(kept, out)
    return replace(
        settings,
        jwt_access_secret=settings.jwt_access_secret or kept["access"],
        jwt_refresh_secret=settings.jwt_refresh_secret or kept["refresh"],
    )
