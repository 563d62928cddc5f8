"""GET /dev/mail: what would have been mailed, had SMTP_URL been set."""

from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import msgspec
from litestar import MediaType, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from tenantry.dev.guards import this_machine
from tenantry.errors import NotFound
from tenantry.mailbox import Mailbox
from tenantry.reply import Reply
from tenantry.settings import Settings

OURS = Path(__file__).parent
SERVED = {"mail.css": "text/css", "mail.js": "text/javascript"}
# Nothing from elsewhere and nothing inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "cache-control": "no-store"}
# A mail may have styles, and links that open elsewhere; nothing in it runs, loads or submits.
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'"
)
MAIL_HEADERS = {"content-security-policy": MAIL_POLICY, "cache-control": "no-store"}


class Listed(msgspec.Struct, frozen=True):
    """A mail in the list."""

    key: str
    to: str
    subject: str
    date: datetime


class Opened(msgspec.Struct, frozen=True):
    """A mail, but for its HTML, which is served by itself."""

    headers: list[tuple[str, str]]
    text: str


@get("/")
async def page() -> Response[bytes]:
    content = (OURS / "mail.html").read_bytes()
    return Response(content, media_type=MediaType.HTML, headers=HEADERS)


@get("/files/{name:str}")
async def file(name: FromPath[str]) -> Response[bytes]:
    if name not in SERVED:
        raise NotFound
    return Response((OURS / name).read_bytes(), media_type=SERVED[name], headers=HEADERS)


@get("/messages", sync_to_thread=True)
def messages(settings: NamedDependency[Settings]) -> Reply[list[Listed]]:
    """The mails, newest first."""
    found = [
        Listed(key, message["To"], message["Subject"], message["Date"].datetime)
        for key, message in Mailbox(settings.data).newest_first()
    ]
    return Reply("Mails fetched", found)


@get("/messages/{key:str}", sync_to_thread=True)
def message(key: FromPath[str], settings: NamedDependency[Settings]) -> Reply[Opened]:
    mail = _mail(settings, key)
    headers = [(name, str(value)) for name, value in mail.items()]
    return Reply("Mail fetched", Opened(headers, _part(mail, "plain")))


@get("/messages/{key:str}/html", sync_to_thread=True)
def html(key: FromPath[str], settings: NamedDependency[Settings]) -> Response[str]:
    # Its links open elsewhere, as in a mail client.
    content = f'<base target="_blank">\n{_part(_mail(settings, key), "html")}'
    return Response(content, media_type=MediaType.HTML, headers=MAIL_HEADERS)


def _mail(settings: Settings, key: str) -> EmailMessage:
    mail = Mailbox(settings.data).get(key)
    if mail is None:
        raise NotFound
    return mail


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()) if part else ""


router = Router(
    "/dev/mail",
    route_handlers=[page, file, messages, message, html],
    guards=[this_machine],
    include_in_schema=False,
)
