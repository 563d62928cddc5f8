"""Mail: committed with its cause, sent by a worker, whatever fails in between."""

import asyncio
import html
import sys
from typing import Any, TypeAlias

import asyncpg
import pytest

from tenantry.mail import Letter, Mail, Template
from tenantry.testing import PASSWORD, Api, Serve, eventually, make_settings, ok, unique_email
from tenantry.testing.servers import REFRESH_SECRET
from tests.mail import Mailbox, working
from tests.processes import tenantry

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

QUEUE = "tenantry_jobs.pgqueuer"
COUNT = "SELECT count(*) FROM tenantry_jobs.pgqueuer"
AT_WORK = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE '%_worker'
"""
DUE = "UPDATE tenantry_jobs.pgqueuer SET execute_after = now()"
SECRET = {"JWT_REFRESH_SECRET": REFRESH_SECRET}


def sender(**changes: Any) -> Mail:
    return Mail(make_settings("", smtp_url="smtp://localhost", **changes))


async def wake(connection: Db) -> None:
    """A new job wakes a worker at once; for one that became due it looks every few seconds."""
    await sender().send(connection, Template.ADDRESS_TAKEN, unique_email(), name="Ada")


class TestInvites:
    async def test_leave_by_mail_only(self, mail_api: Api, mailbox: Mailbox) -> None:
        admin = await mail_api.register("Ada <b>Lovelace</b>")
        email = unique_email("grace")
        invite = ok(await admin.invite(email), 201, "Invite sent successfully")
        assert invite["token"] is None
        mail = await mailbox.mail_to(email)
        assert mail.subject == "Ada <b>Lovelace</b> invites you to Analytical Engines"
        assert mail.message["From"] == "Example <no-reply@example.com>"
        assert mail.message["To"] == email
        assert mail.message["Auto-Submitted"] == "auto-generated"
        assert mail.link.startswith("https://app.example.com/account/accept-invite#token=")
        assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in mail.html
        assert "<b>" not in mail.html
        assert mail.link in html.unescape(mail.html)
        ok(await mail_api.accept(mail.token), 201)
        await mail_api.login(email)
        assert len(mailbox.mails_to(email)) == 1

    async def test_are_in_the_answer_where_no_mail_is_sent(self, api: Api) -> None:
        admin = await api.register()
        ok(await api.accept(ok(await admin.invite(), 201)["token"]), 201)

    async def test_leave_no_secret_in_the_queue(self, fresh: Api, owner: Db) -> None:
        admin = await fresh.register()
        token = ok(await admin.invite(), 201)["token"]
        payload = await owner.fetchval("SELECT payload FROM tenantry_jobs.pgqueuer")
        assert b'"nonce"' in payload
        assert token.encode() not in payload

    async def test_are_not_queued_where_no_mail_can_be_sent(self, serve: Serve, owner: Db) -> None:
        api = await serve(app_env="production")
        ok(await (await api.register()).invite(), 201)
        assert await owner.fetchval(COUNT) == 0


class TestQueue:
    async def test_is_rolled_back_with_what_caused_it(
        self, runtime: Db, owner: Db, mailbox: Mailbox
    ) -> None:
        transaction = runtime.transaction()
        await transaction.start()
        await sender().send(runtime, Template.ADDRESS_TAKEN, unique_email(), name="Ada")
        await transaction.rollback()
        assert await owner.fetchval(COUNT) == 0

    @pytest.mark.parametrize("right", ["SELECT", "INSERT", "UPDATE", "DELETE"])
    async def test_is_not_the_servers_to_touch(self, runtime: Db, owner: Db, right: str) -> None:
        for table in ("pgqueuer", "pgqueuer_log"):
            allowed = "SELECT has_table_privilege('tenantry_runtime', $1, $2)"
            assert not await owner.fetchval(allowed, f"tenantry_jobs.{table}", right)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runtime.fetch("SELECT * FROM tenantry_jobs.pgqueuer")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runtime.fetch("SELECT tenantry.sweep()")


class TestFaults:
    async def test_smtp_down_sends_later_and_once(
        self, serve: Serve, worker_url: str, owner: Db
    ) -> None:
        mailbox = Mailbox()
        await mailbox.start()
        await mailbox.stop()
        api = await serve(**mailbox.settings)
        email = unique_email()
        async with working(worker_url, mailbox, **SECRET):
            ok(await (await api.register()).invite(email), 201)
            attempts = "SELECT attempts FROM tenantry_jobs.pgqueuer"
            await eventually(lambda: owner.fetchval(attempts), 1)
            due = "SELECT execute_after - updated FROM tenantry_jobs.pgqueuer"
            assert (await owner.fetchval(due)).total_seconds() == 10
            async with mailbox:
                await owner.execute(DUE)
                await wake(owner)
                ok(await api.accept((await mailbox.mail_to(email)).token), 201)
                await eventually(lambda: owner.fetchval(COUNT), 0)
        assert len(mailbox.mails_to(email)) == 1

    async def test_a_killed_workers_mail_is_sent_by_the_next(
        self, worker_url: str, runtime: Db, owner: Db
    ) -> None:
        addresses = [unique_email() for _ in range(25)]
        async with Mailbox() as mailbox:
            for address in addresses:
                await sender().send(runtime, Template.ADDRESS_TAKEN, address, name="Ada")
            async with working(worker_url, mailbox, **SECRET) as process:
                await mailbox.mail_to(addresses[2])
                mailbox.open.clear()
                picked = "SELECT count(*) > 0 FROM tenantry_jobs.pgqueuer WHERE status = 'picked'"
                await eventually(lambda: owner.fetchval(picked), True)
                process.kill()
                await process.wait()
            assert await owner.fetchval(COUNT) > 0
            mailbox.open.set()
            await eventually(lambda: owner.fetchval(AT_WORK), 0)  # what it had asked for last
            # The killed worker's last sign of life is long ago.
            await owner.execute(
                "UPDATE tenantry_jobs.pgqueuer SET heartbeat = now() - interval '1 hour'"
            )
            async with working(worker_url, mailbox, **SECRET):
                await eventually(lambda: owner.fetchval(COUNT), 0)
        assert {address for address, _ in mailbox.received} == set(addresses)
        ids = {mail.message["Message-ID"] for _, mail in mailbox.received}
        assert len(ids) == len(addresses), "a double is told by its Message-ID"

    async def test_an_address_that_there_is_not_is_dead_at_once_and_can_be_retried(
        self, worker: None, owner_url: str, runtime: Db, owner: Db, mailbox: Mailbox
    ) -> None:
        address = unique_email("nobody")
        mailbox.refused.add(address)
        await sender().send(runtime, Template.ADDRESS_TAKEN, address, name="Ada")
        dead = "SELECT count(*) FROM tenantry_jobs.pgqueuer WHERE status = 'failed'"
        await eventually(lambda: owner.fetchval(dead), 1)
        environment = {"DATABASE_URL": owner_url, "COLUMNS": "200"}
        shown = await asyncio.to_thread(tenantry, "mail", environment=environment)
        assert shown.returncode == 0, shown.stderr
        for part in ("dead", address, "address_taken", "550 5.1.1 There is nobody", "1 dead"):
            assert part in shown.stdout
        mailbox.refused.discard(address)
        retried = await asyncio.to_thread(tenantry, "mail", "--retry", environment=environment)
        assert "1 put back into the queue" in retried.stdout
        await wake(runtime)
        await mailbox.mail_to(address)
        await eventually(lambda: owner.fetchval(COUNT), 0)

    async def test_a_job_that_cannot_be_read_stops_no_other(
        self, worker: None, runtime: Db, owner: Db, mailbox: Mailbox
    ) -> None:
        await runtime.execute("SELECT tenantry.enqueue('mail', 'no mail')")
        nameless = Letter(Template.ADDRESS_TAKEN, unique_email(), {})
        await sender().enqueue(runtime, "mail", nameless)
        address = unique_email()
        await sender().send(runtime, Template.ADDRESS_TAKEN, address, name="Ada")
        await mailbox.mail_to(address)
        states = "SELECT string_agg(status || attempts::text, ' ' ORDER BY id) FROM " + QUEUE
        await eventually(lambda: owner.fetchval(states), "failed0 queued1")

    async def test_the_database_comes_back(
        self, worker: None, runtime: Db, owner: Db, mailbox: Mailbox
    ) -> None:
        """What a worker is connected with is cut, and it connects again."""
        workers = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tenantry worker'"
        await eventually(lambda: owner.fetchval(f"SELECT EXISTS ({workers})"), True)
        await owner.execute(f"SELECT pg_terminate_backend(pid) FROM ({workers}) AS worker")
        address = unique_email()
        await sender().send(runtime, Template.ADDRESS_TAKEN, address, name="Ada")
        await mailbox.mail_to(address)


async def test_a_worker_ends_with_its_parent(worker_url: str, mailbox: Mailbox) -> None:
    """However that went: its end of the pipe closes."""
    async with working(worker_url, mailbox, **SECRET) as process:
        assert process.stdin
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_server_loads_nothing_of_the_queue() -> None:
    program = (
        "import sys, tenantry.app, tenantry.server;"
        "print({'pgqueuer', 'pydantic', 'jinja2', 'aiosmtplib'} & set(sys.modules))"
    )
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await run.communicate()
    assert output.decode().strip() == "set()"


async def test_the_daily_sweep(worker_url: str, fresh: Api, owner: Db, mailbox: Mailbox) -> None:
    gone = await fresh.register()
    ok(await gone.delete("/api/organisations", password=PASSWORD))
    account = await fresh.register()
    for _ in range(2):
        await fresh.login(account.user["email"])
    ok(await account.post("/api/realtime/ticket"), 201)
    await owner.execute("""
        UPDATE organisations SET deleted_at = now() - interval '30 days'
         WHERE deleted_at IS NOT NULL;
        UPDATE tickets SET expires_at = now();
        UPDATE one_time_tokens SET expires_at = now() - interval '25 hours';
        UPDATE auth_attempts SET counted_at = now() - interval '49 hours';
        UPDATE sessions SET ended_at = now() - interval '31 days' WHERE id = (
            SELECT id FROM sessions ORDER BY created_at DESC LIMIT 1);
        UPDATE sessions SET ended_at = now() WHERE id = (
            SELECT id FROM sessions WHERE ended_at IS NULL ORDER BY created_at DESC LIMIT 1);
        SELECT tenantry.enqueue('mail', NULL);
        INSERT INTO tenantry_jobs.pgqueuer_log (job_id, status, entrypoint, priority, created)
        SELECT job_id, 'successful', 'mail', 0, now() - interval '31 days'
          FROM (VALUES (0), ((SELECT max(id) FROM tenantry_jobs.pgqueuer))) AS job (job_id);
        INSERT INTO tenantry_jobs.pgqueuer_schedules (expression, entrypoint, next_run)
        VALUES ('17 3 * * *', 'sweep', now());
    """)
    async with working(worker_url, mailbox, **SECRET):
        await eventually(lambda: owner.fetchval("SELECT count(*) FROM tickets"), 0)
        await eventually(lambda: owner.fetchval("SELECT count(*) FROM organisations"), 1)
        await eventually(lambda: owner.fetchval("SELECT count(*) FROM sessions"), 3)
        await eventually(lambda: owner.fetchval("SELECT count(*) FROM one_time_tokens"), 0)
        # Where one has got in is remembered for longer.
        known = "SELECT bool_and(succeeded_at IS NOT NULL) FROM auth_attempts"
        await eventually(lambda: owner.fetchval(known), True)
    old = """
        SELECT job_id > 0 FROM tenantry_jobs.pgqueuer_log
         WHERE status = 'successful' AND created < now() - interval '30 days'
    """
    assert [row[0] for row in await owner.fetch(old)] == [True], "that of the job which is there"
