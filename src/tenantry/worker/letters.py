"""Letters: a mail's text, HTML and headers, from its templates.

A mail is two templates: `<name>.txt`, whose first line is the subject, and `<name>.html`. Those in
MAIL_TEMPLATES come before Tenantry's own, file by file.
What people are called, they say themselves, and it is mailed to strangers: it stays one line, is no
markup, and nothing that mail programs make a link of.
"""

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape

from tenantry.mail import Letter
from tenantry.settings import Settings
from tenantry.tenancy.tokens import derived_token

OURS = Path(__file__).parent / "templates"
# The values that somebody has made up.
MADE_UP = {"name", "inviter", "organisation", "role", "device", "passkey", "what"}
IN_DEVELOPMENT = "Tenantry <tenantry@localhost>"


class Letters:
    def __init__(self, settings: Settings) -> None:
        self._sender = settings.mail_from or IN_DEVELOPMENT
        self._secret = settings.jwt_refresh_secret.encode()
        self._site = (settings.public_url or f"http://localhost:{settings.port}").rstrip("/")
        folders = [settings.mail_templates, OURS] if settings.mail_templates else [OURS]
        self._templates = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(moment=_moment, masked=_masked)
        self._templates.globals["sender"] = (
            parseaddr(self._sender)[0] or urlsplit(self._site).hostname
        )

    def write(self, letter: Letter, id_: str) -> EmailMessage:
        """The message. The same id gives the same Message-ID, so that a double is recognised.

        Raises:
            TemplateError: a template is wrong, or a value is missing.
        """
        values = {
            name: _no_link(_one_line(value)) if name in MADE_UP else _one_line(value)
            for name, value in letter.values.items()
        }
        if (action := letter.template.action) and (nonce := values.pop("nonce", None)):
            token = derived_token(self._secret, action, nonce)
            values["link"] = f"{self._site}/account/{action}#token={token}"
        text = self._templates.get_template(f"{letter.template}.txt").render(values)
        html = self._templates.get_template(f"{letter.template}.html").render(values)
        subject, _, body = text.strip().partition("\n")
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = letter.to
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{id_}@{parseaddr(self._sender)[1].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from machines
        message.set_content(body.strip() + "\n")
        message.add_alternative(html, subtype="html")
        return message


def _one_line(value: Any) -> Any:
    """Text that stays where it is put: no line ends, so no header or paragraph of its own."""
    return " ".join(value.split()) if isinstance(value, str) else value


def _no_link(value: str) -> str:
    """Text in which no address stands: a space parts what looks like one."""
    return re.sub(r"(?<=:)(?=//)|(?<=\.)(?=[^\W\d_]{2})", " ", value)


def _moment(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone(UTC):%-d %B %Y, %H:%M} UTC"


def _masked(address: str) -> str:
    """Enough of an address for its owner to know it by."""
    name, _, domain = address.partition("@")
    return f"{name[:1]}•••@{domain}"
