"""The PostgreSQL that all contenders share in a run: Tenantry's own embedded one, in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg

from tenantry.db import embedded

# More memory than PostgreSQL takes unasked, and room for everybody's connections.
CONFIGURATION = """
shared_buffers = 1GB
max_wal_size = 8GB
maintenance_work_mem = 1GB
max_connections = 300
"""


@dataclass(frozen=True)
class World:
    folder: Path
    owner_url: str  # of the cluster's first database

    @property
    def postmaster(self) -> int:
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    @property
    def socket_folder(self) -> str:
        return parse_qs(urlsplit(self.owner_url).query)["host"][0]

    def url(self, database: str) -> str:
        return urlunsplit(urlsplit(self.owner_url)._replace(path=f"/{database}"))

    async def create(self, database: str) -> str:
        """An empty database; gives its owner's URL."""
        owner = await asyncpg.connect(self.owner_url)
        await owner.execute(f"CREATE DATABASE {database}")
        await owner.close()
        return self.url(database)


@contextmanager
def world() -> Iterator[World]:
    with (
        TemporaryDirectory(prefix="tenantry-bench-") as name,
        embedded.running(Path(name), configuration=CONFIGURATION) as owner_url,
    ):
        yield World(Path(name), owner_url)
