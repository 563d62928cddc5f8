"""A real SMTP server, and real workers that send to it."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from tenantry.testing import PATIENCE
from tests.processes import clean_environment

SENDER = "Example <no-reply@example.com>"
SITE = "https://app.example.com"


class Mail:
    """A mail as it arrived."""

    def __init__(self, message: EmailMessage) -> None:
        self.message = message
        self.subject = str(message["Subject"]).strip()
        self.text = self._part("plain")
        self.html = self._part("html")

    @property
    def link(self) -> str:
        """The link that it carries."""
        found = re.search(r"https?://\S+#token=\S+", self.text)
        assert found, self.text
        return found[0]

    @property
    def token(self) -> str:
        return self.link.partition("#token=")[2]

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part
        return str(part.get_content())


class Mailbox:
    """An SMTP server on a port of this machine, and what it has received."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Mail]] = []
        self.refused: set[str] = set()  # addresses that there are not
        self.open = asyncio.Event()  # while it is not set, the server does not answer to MAIL
        self.open.set()
        self.port = 0
        self._read: dict[str, int] = {}
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, **options: Any) -> None:
        """Listen, after a stop on the same port again."""
        loop = asyncio.get_running_loop()
        options = {"hostname": "mail.example.com", **options}
        self._server = await loop.create_server(
            lambda: SMTP(self, **options), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a server that sends here."""
        return {
            "smtp_url": f"smtp://127.0.0.1:{self.port}",
            "mail_from": SENDER,
            "public_url": SITE,
        }

    async def mail_to(self, address: str) -> Mail:
        """The next mail to this address that has not been read yet; waits until it is there."""
        number = self._read.get(address, 0)
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.mails_to(address)) > number)
        self._read[address] = number + 1
        return self.mails_to(address)[number]

    def mails_to(self, address: str) -> list[Mail]:
        """All that have come for this address until now."""
        return [mail for to, mail in self.received if to == address]

    async def handle_MAIL(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self.open.wait()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 5.1.1 There is nobody of this name"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        async with self._news:
            self.received += [(address, Mail(message)) for address in envelope.rcpt_tos]
            self._news.notify_all()
        return "250 OK"


@asynccontextmanager
async def working(
    worker_url: str, mailbox: Mailbox, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker, as `tenantry serve` starts it."""
    settings = {name.upper(): str(value) for name, value in mailbox.settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tenantry.worker",
        env=clean_environment(DATABASE_URL=worker_url, **{**settings, **environment}),
        stdin=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
