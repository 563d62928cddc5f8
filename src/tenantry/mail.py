"""Mail, as features send it: a row in the queue, in the transaction that caused it.

Promises: what is rolled back sends nothing; what is committed is sent by the worker, as soon as the
SMTP server takes it. No secret is in the queue: of a link's token it has the nonce from which the
worker derives it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from tenantry.db.pool import DriverConnection
from tenantry.settings import Settings

ENQUEUE = "SELECT tenantry.enqueue($1, $2)"
# The worker's entrypoints.
SEND_MAIL = "mail"
RESET_PASSWORD = "reset_password"
WARN_OF_ATTEMPTS = "warn_of_attempts"


class Action(StrEnum):
    """What a link in a mail is for: the end of its address, and its token's purpose."""

    ACCEPT_INVITE = "accept-invite"
    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"
    RESTORE_ORGANISATION = "restore-organisation"


class Template(StrEnum):
    """The mails that there are, with the values that each takes.

    One with an `action` takes a `nonce`, and carries the link. Times are datetimes.
    """

    INVITE = "invite"  # organisation, inviter, role, nonce, expires_at
    VERIFY_EMAIL = "verify_email"  # name, nonce
    CHANGE_EMAIL = "change_email"  # name, nonce; to the new address
    EMAIL_CHANGED = "email_changed"  # name, new_email; to the old address
    RESET_PASSWORD = "reset_password"  # name, nonce, expires_at
    PASSWORD_CHANGED = "password_changed"  # name, time, address
    SESSION_REVOKED = "session_revoked"  # name, device, address, time
    ACCOUNT_LOCKED = "account_locked"  # name, time, address
    SECOND_FACTOR_CHANGED = "second_factor_changed"  # name, what, time
    PASSKEY_ADDED = "passkey_added"  # name, passkey, time
    ORGANISATION_DELETED = "organisation_deleted"  # name, organisation, nonce, until
    ADDRESS_TAKEN = "address_taken"  # name
    ACCOUNT_ERASED = "account_erased"  # name

    @property
    def action(self) -> Action | None:
        return _ACTIONS.get(self)


_ACTIONS = {
    Template.INVITE: Action.ACCEPT_INVITE,
    Template.VERIFY_EMAIL: Action.VERIFY_EMAIL,
    Template.CHANGE_EMAIL: Action.VERIFY_EMAIL,
    Template.RESET_PASSWORD: Action.RESET_PASSWORD,
    Template.ORGANISATION_DELETED: Action.RESTORE_ORGANISATION,
}


class Letter(msgspec.Struct, frozen=True):
    """What the queue holds of a mail until it is sent."""

    template: Template
    to: str
    values: dict[str, Any]


class PasswordReset(msgspec.Struct, frozen=True):
    """Somebody has forgotten the password of this address, which need not have an account."""

    email: str


class AttemptsWarning(msgspec.Struct, frozen=True):
    """Somebody guesses at this address, which need not have an account, from that one."""

    email: str
    address: str
    time: datetime


class Mail:
    """How features send mail. `configured`: there is an SMTP server, so secrets leave by mail only.

    `sends`: there is one, or development's mailbox; otherwise mail goes nowhere.
    """

    def __init__(self, settings: Settings) -> None:
        self.configured = settings.smtp_url is not None
        self.sends = self.configured or not settings.production

    async def send(
        self, connection: DriverConnection, template: Template, to: str, **values: object
    ) -> None:
        """Send it when the connection's transaction commits. Does nothing where not `sends`."""
        await self.enqueue(connection, SEND_MAIL, Letter(template, to, values))

    async def enqueue(self, connection: DriverConnection, entrypoint: str, job: object) -> None:
        """The same for another job that ends in a mail: `job` is what the entrypoint decodes."""
        if self.sends:
            await connection.execute(ENQUEUE, entrypoint, msgspec.json.encode(job))
