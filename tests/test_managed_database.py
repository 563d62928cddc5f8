"""A database as managed ones are: its owner is no superuser."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tenantry.db import embedded, isolation, schema
from tenantry.testing import Api, make_settings, ok, serving
from tenantry.testing.databases import FAST, of_database
from tenantry.testing.servers import REFRESH_SECRET


@pytest.fixture
def own_cluster() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="tenantry-managed-"))
    with embedded.running(folder, configuration=FAST) as url:
        yield url
    shutil.rmtree(folder)


async def test_is_migrated_and_served_with_an_owners_rights(own_cluster: str) -> None:
    superuser = await asyncpg.connect(own_cluster)
    await superuser.execute("CREATE ROLE landlord LOGIN CREATEROLE")
    await superuser.execute("CREATE DATABASE house OWNER landlord")
    await superuser.close()
    owner_url = of_database(own_cluster, "house").replace("//postgres@", "//landlord@")
    runtime_url = (
        await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)
    ).runtime
    assert "//house_runtime:" in runtime_url

    async with serving(make_settings(runtime_url)) as url, Api(url) as api:
        admin = await api.register()
        member = await admin.add()
        ok(await admin.change_plan("PRO"))
        ok(await admin.remove(member.id))
        assert len(await admin.feed()) == 6

    owner = await asyncpg.connect(owner_url)
    assert await isolation.faults(owner) == []
    # Forced row-level security binds the owner too, who here is a member of the doors' role.
    again = (await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)).runtime
    assert again == runtime_url
    await owner.close()


async def test_takes_the_runtime_logins_password_and_no_other(own_cluster: str) -> None:
    """By a rule that asks for passwords, as the embedded database does not by itself."""
    runtime_url = (
        await schema.prepare(own_cluster, secret=REFRESH_SECRET, say=lambda _: None)
    ).runtime
    wrong_url = runtime_url.replace("_runtime:", "_runtime:x")
    superuser = await asyncpg.connect(own_cluster)
    rules = Path(await superuser.fetchval("SHOW hba_file"))
    rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")  # noqa: ASYNC240
    await superuser.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(10):
        with pytest.raises(asyncpg.InvalidPasswordError):
            while True:  # until the new rules are in force
                await (await asyncpg.connect(wrong_url)).close()
    await (await asyncpg.connect(runtime_url)).close()
    await superuser.close()
