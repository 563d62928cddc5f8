"""POST /api/auth/verify-email, POST …/verify-email/resend."""

from datetime import timedelta
from uuid import UUID

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts, Guess
from tenantry.db.database import Database
from tenantry.db.pool import Connection
from tenantry.errors import (
    EmailInUse,
    EmailVerified,
    LinkExpired,
    LinkInvalid,
    MailNotConfigured,
    MailSentRecently,
)
from tenantry.inputs import Input, Token
from tenantry.mail import Action, Mail, Template
from tenantry.reply import Reply
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.person import Person
from tenantry.tenancy.tokens import Tokens, new_nonce, token_hash

LIFETIME = timedelta(days=1)

ISSUE = "SELECT wait, name, email FROM tenantry.issue_verification($1, $2, $3)"
USE = "SELECT state, user_id, name, email, old_email FROM tenantry.use_verification($1)"


class VerifyEmailInput(Input):
    token: Token


class Address(msgspec.Struct, frozen=True):
    """The account's address, which is now proven."""

    email: str


async def mail_verification(connection: Connection, mail: Mail, tokens: Tokens, user: UUID) -> None:
    """Mail somebody a link to prove their address, within the caller's transaction.

    Raises:
        EmailVerified: it is proven.
        MailSentRecently: the last link is too new for another.
    """
    nonce = new_nonce()
    hashed = token_hash(tokens.derived(Action.VERIFY_EMAIL, nonce))
    issued = await connection.fetchrow(ISSUE, user, hashed, LIFETIME)
    if issued is None or issued["email"] is None:
        raise EmailVerified
    require_pause(issued["wait"])
    await mail.send(
        connection, Template.VERIFY_EMAIL, issued["email"], name=issued["name"], nonce=nonce
    )


def require_pause(seconds: int) -> None:
    """Raises `MailSentRecently` where there are seconds to wait."""
    if seconds:
        raise MailSentRecently(headers={"retry-after": str(seconds)})


def require_open(state: str | None) -> None:
    """Raises `LinkInvalid` or `LinkExpired` for a link that is not good any more."""
    if state == "expired":
        raise LinkExpired
    if state is None:
        raise LinkInvalid


@post(
    "/verify-email",
    status_code=200,
    public="The link's token is the permission.",
    answers=(LinkInvalid, LinkExpired, EmailInUse),
    summary="Prove an address",
    operation_id="verifyEmail",
)
async def verify_email(
    data: JSONBody[VerifyEmailInput],
    database: NamedDependency[Database],
    attempts: NamedDependency[Attempts],
    mail: NamedDependency[Mail],
) -> Reply[Address]:
    """By the token of the link that was mailed, once. One that was mailed for a change of address
    makes the new one the account's, and the old one is told.

    Where the new address got an account meanwhile, it is refused.
    """
    async with database.system() as connection:
        await attempts.count(connection, Guess.TOKEN)
        async with connection.transaction():
            used = await connection.fetchrow(USE, token_hash(data.token))
            assert used is not None
            if used["state"] == "taken":
                raise EmailInUse
            require_open(used["state"])
            await attempts.succeeded(connection, Guess.TOKEN)
            if used["old_email"] is not None:
                await mail.send(
                    connection,
                    Template.EMAIL_CHANGED,
                    used["old_email"],
                    name=used["name"],
                    new_email=used["email"],
                )
    return Reply("Email address verified", Address(used["email"]))


@post(
    "/verify-email/resend",
    status_code=202,
    guards=[signed_in],
    answers=(EmailVerified, MailSentRecently, MailNotConfigured),
    summary="Mail the link again",
    operation_id="resendVerification",
)
async def resend_verification(
    person: NamedDependency[Person],
    mail: NamedDependency[Mail],
    tokens: NamedDependency[Tokens],
) -> Reply[None]:
    """Another link to prove one's address; the one before is worth nothing then.

    There is a pause between two, which grows.
    """
    if not mail.sends:
        raise MailNotConfigured
    async with person.connection.transaction():
        await mail_verification(person.connection, mail, tokens, person.user_id)
    return Reply("A link is on its way to your address", None)
