"""Development's mailbox: mail that no SMTP server takes lies in a Maildir."""

import mailbox
import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

KEPT = 200


class Mailbox:
    """The newest mails of a Maildir. The worker adds, /dev/mail reads."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "mail"

    def add(self, message: EmailMessage) -> None:
        """Add it, and drop the oldest past those that are kept."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        maildir = mailbox.Maildir(self._folder)
        maildir.add(message)
        for file in self._files()[KEPT:]:
            file.unlink(missing_ok=True)

    def newest_first(self) -> Iterator[tuple[str, EmailMessage]]:
        """Each mail with its key, headers only."""
        for file in self._files():
            if (message := _read(file, headers_only=True)) is not None:
                yield file.name, message

    def get(self, key: str) -> EmailMessage | None:
        """The mail of a key; None, where there is none."""
        file = next((file for file in self._files() if file.name == key), None)
        return _read(file) if file else None

    def _files(self) -> list[Path]:
        return sorted((self._folder / "new").glob("*"), key=_arrival, reverse=True)


def _arrival(file: Path) -> tuple[int, ...]:
    """When it came: a Maildir's names begin with the second and the microsecond."""
    found = re.match(r"(\d+)\.M(\d+)P", file.name)
    return (int(found[1]), int(found[2])) if found else ()


def _read(file: Path, *, headers_only: bool = False) -> EmailMessage | None:
    try:
        with file.open("rb") as source:
            parser = BytesParser(policy=policy.default)
            return parser.parse(source, headersonly=headers_only)
    except FileNotFoundError:  # dropped meanwhile
        return None
