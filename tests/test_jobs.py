"""Jobs of a feature: enqueued with the transaction, done by a real worker in their organisation."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from uuid_utils.compat import uuid4

from tenantry import Feature, TenantScope
from tenantry.db.database import Database
from tenantry.tenancy import product
from tenantry.testing import PASSWORD, Account, Api, Serve, eventually, ok, refused, registration
from tenantry.testing.servers import REFRESH_SECRET, SECRET
from tests.conftest import UNLIMITED
from tests.digests import DIGESTS, PLANS, TABLE, Digest, Nothing, send_digest
from tests.mail import Mailbox, working
from tests.processes import mail_workers, serving, tenantry, until, workers
from tests.test_mail import COUNT, DUE, wake
from tests.test_worker import environment_of

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
AtWork: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]

TRIES = "SELECT coalesce(sum(tries), 0) FROM digests"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds the feature as an installed package's."""
    package = tmp_path / "digests-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: digests\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[tenantry.features]\ndigests = tests.digests:DIGESTS\n"
    )
    plans = tmp_path / "plans.toml"
    plans.write_text(PLANS)
    root = Path(__file__).parent.parent
    return {"PYTHONPATH": f"{tmp_path}:{root}", "TENANTRY_PLANS": str(plans)}


@pytest.fixture
def at_work(
    worker_url: str, runtime_url: str, mailbox: Mailbox, installed: dict[str, str]
) -> AtWork:
    return lambda: working(
        worker_url,
        mailbox,
        RUNTIME_DATABASE_URL=runtime_url,
        JWT_REFRESH_SECRET=REFRESH_SECRET,
        **installed,
    )


@pytest.fixture
async def api(serve: Serve, owner: Db, installed: dict[str, str]) -> AsyncIterator[Api]:
    await owner.execute(TABLE)
    yield await serve(DIGESTS, plans=Path(installed["TENANTRY_PLANS"]))


async def ask(account: Account, title: str, **more: Any) -> None:
    ok(await account.post("/api/digests", title=title, **more), 201)


class TestAJob:
    async def test_is_done_in_the_organisation_that_asked_and_tells_its_sockets(
        self, api: Api, at_work: AtWork, owner: Db
    ) -> None:
        mine, theirs = await api.register(), await api.register()
        async with at_work(), mine.socket() as socket:
            await ask(theirs, "theirs")
            await eventually(lambda: owner.fetchval(COUNT), 0)
            await ask(mine, "mine")
            event = await socket.next()
            assert (event["type"], event["payload"]) == (
                "DIGEST_SENT",
                {"title": "mine", "digests": 1},
            )
            await eventually(lambda: owner.fetchval(COUNT), 0)
        for account, title in ((mine, "mine"), (theirs, "theirs")):
            [line] = await account.feed(type="DIGEST_SENT")
            assert (line["message"], line["actor"]) == (f"{title} was sent", None)
        rows = await owner.fetch("SELECT organisation_id, title FROM digests ORDER BY title")
        assert [tuple(row) for row in rows] == [
            (UUID(mine.organisation["id"]), "mine"),
            (UUID(theirs.organisation["id"]), "theirs"),
        ]

    async def test_is_never_done_where_its_transaction_is_rolled_back(
        self, api: Api, owner: Db
    ) -> None:
        account = await api.register()
        answer = await account.post("/api/digests", title="never", rolledBack=True)
        refused(answer, 409, code="NOT_TODAY")
        await ask(account, "always")
        queued = "SELECT payload FROM tenantry_jobs.pgqueuer WHERE entrypoint = 'digests.send'"
        [payload] = [row["payload"] for row in await owner.fetch(queued)]
        assert msgspec.json.decode(payload)["title"] == "always"

    async def test_is_done_again_until_it_succeeds(
        self, api: Api, at_work: AtWork, owner: Db
    ) -> None:
        account = await api.register()
        async with at_work():
            await ask(account, "late", failures=1)
            await eventually(lambda: owner.fetchval(TRIES), 1)
            due = "SELECT max(execute_after - updated) FROM tenantry_jobs.pgqueuer"
            await eventually(lambda: owner.fetchval(f"SELECT extract(epoch FROM ({due}))"), 10)
            await owner.execute(DUE)
            await wake(owner)
            await eventually(lambda: owner.fetchval(COUNT), 0)
        assert await owner.fetchval(TRIES) == 2
        assert len(await account.feed(type="DIGEST_SENT")) == 1

    async def test_is_dead_when_it_goes_on_failing_seen_and_put_back(
        self, api: Api, at_work: AtWork, owner: Db, owner_url: str
    ) -> None:
        account = await api.register()
        await ask(account, "doomed", failures=1)
        await owner.execute("UPDATE tenantry_jobs.pgqueuer SET attempts = 32")
        environment = {"DATABASE_URL": owner_url, "COLUMNS": "200"}
        dead = "SELECT count(*) FROM tenantry_jobs.pgqueuer WHERE status = 'failed'"
        async with at_work():
            await eventually(lambda: owner.fetchval(dead), 1)
            shown = await asyncio.to_thread(tenantry, "mail", environment=environment)
            for part in ("digests.send", "doomed fails for the 1. time", "1 dead"):
                assert part in shown.stdout
            await asyncio.to_thread(tenantry, "mail", "--retry", environment=environment)
            await wake(owner)
            await eventually(lambda: owner.fetchval(COUNT), 0)
        assert len(await account.feed(type="DIGEST_SENT")) == 1

    async def test_of_a_deleted_organisation_is_dropped(
        self, api: Api, at_work: AtWork, owner: Db
    ) -> None:
        account, other = await api.register(), await api.register()
        await ask(account, "too late")
        ok(await account.delete("/api/organisations", password=PASSWORD))
        await ask(other, "in time")
        async with at_work():
            await eventually(lambda: owner.fetchval(COUNT), 0)
        assert await owner.fetchval("SELECT string_agg(title, ',') FROM digests") == "in time"

    async def test_is_bound_by_the_plan(self, api: Api, at_work: AtWork, owner: Db) -> None:
        account = await api.register()
        async with at_work():
            for title in ("one", "two", "three"):
                await ask(account, title)
            waiting = "SELECT max(attempts), count(*) FROM tenantry_jobs.pgqueuer"
            await eventually(lambda: owner.fetchrow(waiting), (1, 1))
        assert len(await account.feed(type="DIGEST_SENT")) == 2

    async def test_that_no_organisation_asked_for_is_dead_at_once(
        self, api: Api, at_work: AtWork, owner: Db, runtime: Db
    ) -> None:
        """As `enqueue`, which does not say which it is, would have it."""
        account = await api.register()
        payload = msgspec.json.encode({"title": "forged", "organisation": account.organisation})
        await runtime.execute("SELECT tenantry.enqueue('digests.send', $1)", payload)
        await runtime.execute("SELECT tenantry.enqueue_job('digests.send', $1)", payload)
        dead = "SELECT count(*) FROM tenantry_jobs.pgqueuer WHERE status = 'failed'"
        async with at_work():
            await eventually(lambda: owner.fetchval(dead), 2)
        assert await owner.fetchval(TRIES) == 0


class TestTheDoor:
    async def test_lets_into_organisations_that_stand(
        self, api: Api, runtime_url: str, owner: Db
    ) -> None:
        account = await api.register()
        organisation = UUID(account.organisation["id"])
        database = Database(runtime_url)
        current = "SELECT tenantry.current_organisation()"
        async with database.job(organisation) as entered:
            assert entered
            connection, last_seq = entered
            assert last_seq == await owner.fetchval("SELECT last_seq FROM organisations")
            assert await connection.fetchval(current) == organisation
        await owner.execute("UPDATE organisations SET deleted_at = now()")
        for one in (organisation, uuid4()):
            async with database.job(one) as entered:
                assert entered is None
            # The same connection, which was in an organisation.
            async with database.system() as connection:
                assert await connection.fetchval(current) is None
        await database.close()

    async def test_is_not_the_workers_role_to_use(self, worker_url: str) -> None:
        connection = await asyncpg.connect(worker_url)
        for call in ("enter_job(gen_random_uuid())", "enqueue_job('digests.send', '')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT tenantry.{call}")
        await connection.close()


class TestEnqueueing:
    async def test_takes_jobs_that_there_are_and_their_payloads(self, runtime: Any) -> None:
        tenant = TenantScope(
            runtime,
            product.OURS._replace(jobs={"digests.send": Digest}),
            organisation_id=uuid4(),
            last_seq=0,
        )
        with pytest.raises(KeyError, match="no feature has the job"):
            await tenant.enqueue("digests.sent", Digest("x"))
        with pytest.raises(TypeError, match="takes a Digest"):
            await tenant.enqueue("digests.send", Nothing())

    def test_needs_a_name_of_the_feature_and_a_typed_payload(self) -> None:
        with pytest.raises(ValueError, match=r"The job mail must be called notes\.something"):
            Feature(name="notes", jobs={"mail": send_digest})

        async def untyped(tenant: TenantScope, payload: Any) -> None: ...

        async def lonely(tenant: TenantScope) -> None: ...

        for handle in (untyped, lonely):
            with pytest.raises(TypeError, match="must be `async def` with two"):
                Feature(name="notes", jobs={"notes.go": handle})  # type: ignore[dict-item]


class TestTheProcesses:
    async def test_serve_gives_its_worker_the_way_to_tenants_and_nobody_else_another(
        self, owner_url: str, owner: Db, installed: dict[str, str], tmp_path: Path
    ) -> None:
        environment = {"DATABASE_URL": owner_url, **UNLIMITED, **installed}
        with serving("--workers", "2", environment=environment, cwd=tmp_path) as server:
            await owner.execute(TABLE)
            await until(lambda: len(workers(server)) == 2 and mail_workers(server))
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
                data = (await http.post("/api/auth/register", json=registration())).json()["data"]
                headers = {"authorization": f"Bearer {data['accessToken']}"}
                answer = await http.post("/api/digests", json={"title": "x"}, headers=headers)
                assert answer.status_code == 201
            await eventually(lambda: owner.fetchval(TRIES), 1)
            [worker] = mail_workers(server)
            assert "RUNTIME_DATABASE_URL=" in environment_of(worker)
            for one in workers(server):
                assert "_worker:" not in environment_of(one)
                assert "RUNTIME_DATABASE_URL=" not in environment_of(one)

    async def test_a_worker_without_jobs_has_no_way_to_tenants(
        self, owner_url: str, runtime_url: str, tmp_path: Path
    ) -> None:
        environment = {"DATABASE_URL": owner_url, "RUNTIME_DATABASE_URL": runtime_url}
        with serving(environment=environment, cwd=tmp_path) as server:
            await until(lambda: mail_workers(server))
            [worker] = mail_workers(server)
            assert "_runtime:" not in environment_of(worker)

    async def test_work_alone_says_what_it_needs(
        self,
        worker_url: str,
        runtime_url: str,
        owner_url: str,
        installed: dict[str, str],
        tmp_path: Path,
    ) -> None:
        common = {
            "DATABASE_URL": worker_url,
            "JWT_ACCESS_SECRET": SECRET,
            "JWT_REFRESH_SECRET": REFRESH_SECRET,
            **installed,
        }
        for url, sentence in (
            ("", "RUNTIME_DATABASE_URL is not set, and the jobs of features need it: digests"),
            (worker_url, "RUNTIME_DATABASE_URL must be that of a role that servers work as"),
            (owner_url, "RUNTIME_DATABASE_URL must be that of a role that servers work as"),
            (
                runtime_url.replace("_runtime:", "_nobody:"),
                "The database of RUNTIME_DATABASE_URL cannot be reached",
            ),
        ):
            environment = {**common, "RUNTIME_DATABASE_URL": url}
            run = await asyncio.to_thread(tenantry, "work", environment=environment, cwd=tmp_path)
            assert run.returncode == 1
            assert sentence in run.stderr.replace("\n", " ")
