"""The worker as a process: beside a server, alone, and with the library that it runs on."""

import asyncio
import os
import signal
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import httpx
import msgspec
import pytest
from aiosmtpd.smtp import AuthResult
from aiosmtplib import SMTPException
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pgqueuer import AsyncpgDriver
from pgqueuer.adapters.persistence.schema_ddl import render_install

from tenantry.mail import Letter, Template
from tenantry.testing import make_settings, registration, unique_email
from tenantry.testing.servers import REFRESH_SECRET, SECRET
from tenantry.worker.delivery import delivery, starts_tls
from tenantry.worker.letters import Letters
from tenantry.worker.queue import SETTINGS, queries
from tests.conftest import UNLIMITED
from tests.mail import Mailbox
from tests.processes import (
    TENANTRY,
    clean_environment,
    mail_workers,
    serving,
    tenantry,
    until,
    workers,
)

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SECRETS = {"JWT_ACCESS_SECRET": SECRET, "JWT_REFRESH_SECRET": REFRESH_SECRET}


async def invite(url: str, email: str) -> None:
    """Somebody new invites this address."""
    async with httpx.AsyncClient(base_url=url, verify=False) as http:
        signed_up = (await http.post("/api/auth/register", json=registration())).json()["data"]
        headers = {"authorization": f"Bearer {signed_up['accessToken']}"}
        answer = await http.post("/api/users/invite", json={"email": email}, headers=headers)
    assert answer.status_code == 201, answer.text


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def alive(pid: int) -> bool:
    try:
        return b"tenantry.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


class TestBesideAServer:
    async def test_one_however_many_serve_started_again_when_killed(
        self, owner_url: str, mailbox: Mailbox, tmp_path: Path
    ) -> None:
        settings = {name.upper(): value for name, value in mailbox.settings.items()}
        environment = {"DATABASE_URL": owner_url, **UNLIMITED, **settings}
        with serving("--workers", "2", environment=environment, cwd=tmp_path) as server:
            await until(lambda: len(workers(server)) == 2 and mail_workers(server))
            (worker,) = mail_workers(server)
            email = unique_email()
            await invite(server.url, email)
            await mailbox.mail_to(email)
            assert "_worker:" in environment_of(worker)
            assert "JWT_ACCESS_SECRET" not in environment_of(worker)
            for serving_process in workers(server):
                assert "_worker:" not in environment_of(serving_process)
            os.kill(worker, signal.SIGKILL)
            said = await asyncio.to_thread(server.wait_for, r"(The worker has ended \(-9\).*)")
            assert "started again in 1 s" in said
            await until(lambda: mail_workers(server) not in ([], [worker]))
            (another,) = mail_workers(server)
            email = unique_email()
            await invite(server.url, email)
            await mailbox.mail_to(email)
            output = await asyncio.to_thread(server.stop, signal.SIGTERM)
        assert server.process.returncode == 0
        assert output.count("The worker has ended") == 1
        assert not alive(another)

    async def test_gone_with_a_server_that_is_killed(self, owner_url: str, tmp_path: Path) -> None:
        with serving(environment={"DATABASE_URL": owner_url}, cwd=tmp_path) as server:
            await until(lambda: mail_workers(server))
            (worker,) = mail_workers(server)
            server.process.kill()
            server.process.wait()
            await until(lambda: not alive(worker))

    async def test_none_where_the_owner_is_not_known(
        self, runtime_url: str, tmp_path: Path
    ) -> None:
        environment = {"DATABASE_URL": runtime_url, **SECRETS}
        with serving(environment=environment, cwd=tmp_path) as server:
            assert httpx.get(f"{server.url}/ready").status_code == 200
            assert mail_workers(server) == []
            output = server.stop()
        assert "mail waits in the queue for `tenantry work`" in output
        environment["APP_ENV"] = "production"  # where nothing can be mailed without SMTP_URL
        with serving(environment=environment, cwd=tmp_path) as server:
            assert httpx.get(f"{server.url}/ready").status_code == 200
            assert "tenantry work" not in server.stop()


class TestAlone:
    async def test_works_as_a_role_that_has_the_queue_only(
        self, owner: Db, owner_url: str, runtime: Db, mailbox: Mailbox, tmp_path: Path
    ) -> None:
        role = f"{await owner.fetchval('SELECT current_database()')}_alone"
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' IN ROLE tenantry_worker")
        database = await owner.fetchval("SELECT current_database()")
        await owner.execute(f"GRANT CONNECT ON DATABASE {database} TO {role}")
        settings = {name.upper(): value for name, value in mailbox.settings.items()}
        environment = {
            "DATABASE_URL": owner_url.replace("//postgres@", f"//{role}:x@"),
            **SECRETS,
            **settings,
        }
        letter = Letter(Template.ADDRESS_TAKEN, unique_email(), {"name": "Ada"})
        payload = msgspec.json.encode(letter)
        try:
            process = await asyncio.create_subprocess_exec(
                TENANTRY, "work", env=clean_environment(**environment), cwd=tmp_path
            )
            await runtime.execute("SELECT tenantry.enqueue('mail', $1)", payload)
            await mailbox.mail_to(letter.to)
            process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 15) == 0
        finally:
            await owner.execute(f"REVOKE CONNECT ON DATABASE {database} FROM {role}")
            await owner.execute(f"DROP ROLE {role}")

    async def test_refuses_what_is_no_workers_role(
        self, owner_url: str, runtime_url: str, worker_url: str, owner: Db, tmp_path: Path
    ) -> None:
        await owner.execute("UPDATE alembic_version SET version_num = '0006'")
        for url, sentence in (
            (owner_url, "must be that of a worker's role"),
            (runtime_url, "must be that of a worker's role"),
            (worker_url, "Run `tenantry migrate` with the owner's DATABASE_URL"),
            ("", "DATABASE_URL is not set"),
        ):
            environment = {"DATABASE_URL": url, **SECRETS}
            run = await asyncio.to_thread(tenantry, "work", environment=environment, cwd=tmp_path)
            assert run.returncode == 1
            assert sentence in run.stderr.replace("\n", " ")


class TestDelivery:
    def test_credentials_never_go_over_a_network_in_the_clear(self) -> None:
        for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"):
            assert starts_tls(host, credentials=True) is False
        for host in ("mail.example.com", "192.0.2.1", "localhost.example.com", "2001:db8::1"):
            assert starts_tls(host, credentials=True) is True
            assert starts_tls(host, credentials=False) is None

    @pytest.mark.parametrize("offered", [True, False])
    async def test_by_starttls_and_not_without(
        self, offered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server elsewhere, by its name: a resolver that finds every name here."""
        certificate = certificate_for("mail.example.com", tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda _, *rest, **named: resolve("127.0.0.1", *rest, **named)
        )
        seen: list[bytes] = []

        def authenticate(_: object, __: object, ___: object, ____: object, data: Any) -> AuthResult:
            seen.append(data.password)
            return AuthResult(success=True)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        options: dict[str, Any] = {"tls_context": context} if offered else {}
        mailbox = Mailbox()
        await mailbox.start(authenticator=authenticate, auth_require_tls=False, **options)
        settings = make_settings(
            "",
            **{
                **mailbox.settings,
                "smtp_url": f"smtp://ada:pass%40word@mail.example.com:{mailbox.port}",
            },
        )
        to = unique_email()
        letter = Letters(settings).write(Letter(Template.ADDRESS_TAKEN, to, {"name": "A"}), "1")
        if offered:
            await delivery(settings)(letter, to)
            assert seen == [b"pass@word"]
            assert len(mailbox.mails_to(to)) == 1
            monkeypatch.delenv("SSL_CERT_FILE")
            with pytest.raises(ssl.SSLCertVerificationError):
                await delivery(settings)(letter, to)
        else:
            with pytest.raises(SMTPException, match="STARTTLS"):
                await delivery(settings)(letter, to)
        assert len(seen) == offered
        await mailbox.stop()


def certificate_for(name: str, folder: Path) -> Path:
    """A file with a certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "certificate.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return file


class TestLibrary:
    async def test_finds_the_schema_that_it_would_make(self, owner: Db, worker_url: str) -> None:
        """An upgrade of PgQueuer that changes its schema needs a migration here."""
        plan = await queries(AsyncpgDriver(owner)).plan_upgrade()
        assert (plan.statements, plan.notes) == ((), ())
        # What the plan does not look at, compared with a schema as the library makes it.
        await owner.execute(render_install(SETTINGS.model_copy(update={"db_schema": "theirs"})))
        objects = """
            SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = $1
             UNION ALL
            SELECT tgname, pg_get_triggerdef(pg_trigger.oid)
              FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
             WHERE relnamespace = $1::regnamespace
             UNION ALL
            SELECT relname, conname || pg_get_constraintdef(pg_constraint.oid)
              FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
             WHERE relnamespace = $1::regnamespace
             UNION ALL
            SELECT proname, prosrc FROM pg_proc WHERE pronamespace = $1::regnamespace
             ORDER BY 1, 2
        """

        async def made(schema: str) -> list[tuple[str, str]]:
            return [
                (row[0], row[1].replace(f"{schema}.", ""))
                for row in await owner.fetch(objects, schema)
            ]

        assert await made("tenantry_jobs") == await made("theirs")
