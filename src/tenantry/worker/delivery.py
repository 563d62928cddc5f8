"""Delivery: by SMTP (RFC 5321), or into development's mailbox."""

import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import parseaddr
from functools import partial
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTPDataError, SMTPRecipientRefused, SMTPRecipientsRefused

from tenantry.mailbox import Mailbox
from tenantry.settings import Settings
from tenantry.worker.retries import Permanent

TIMEOUT = 30.0  # seconds for each answer of the server

Deliver = Callable[[EmailMessage, str], Awaitable[None]]


def delivery(settings: Settings) -> Deliver:
    """How a message goes to an address.

    The function raises `Permanent` where the server will never take the message, and anything
    else where it may yet.
    """
    if settings.smtp_url:
        return partial(_by_smtp, settings.smtp_url)
    if settings.production:
        return _nowhere
    return partial(_into_mailbox, Mailbox(settings.data))


async def _by_smtp(url: str, message: EmailMessage, to: str) -> None:
    parts = urlsplit(url)
    assert parts.hostname
    secure = parts.scheme == "smtps"
    try:
        await aiosmtplib.send(
            message,
            sender=parseaddr(message["From"])[1],
            recipients=[to],
            hostname=parts.hostname,
            port=parts.port or (465 if secure else 587),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            use_tls=secure,
            start_tls=not secure and starts_tls(parts.hostname, bool(parts.username)),
            tls_context=ssl.create_default_context(),
            timeout=TIMEOUT,
        )
    except SMTPRecipientsRefused as refused:
        raise _refusal(refused.recipients[0]) from refused
    except SMTPDataError as refused:
        raise _refusal(refused) from refused


def starts_tls(host: str, credentials: bool) -> bool | None:
    """Whether STARTTLS is used: True must, None where it is offered.

    Credentials never go over a network in the clear.
    """
    if host == "localhost":
        return False
    try:
        if ipaddress.ip_address(host).is_loopback:
            return False
    except ValueError:
        pass  # a name
    return True if credentials else None


def _refusal(refused: SMTPRecipientRefused | SMTPDataError) -> Exception:
    reason = f"{refused.code} {refused.message}"
    return Permanent(reason) if refused.code >= 500 else ConnectionError(reason)


async def _into_mailbox(mailbox: Mailbox, message: EmailMessage, _: str) -> None:
    mailbox.add(message)


async def _nowhere(*_: object) -> None:
    raise ConnectionError("SMTP_URL is not set")
