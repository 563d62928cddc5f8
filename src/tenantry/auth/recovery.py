"""POST /api/auth/forgot-password, POST …/reset-password."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts, Guess
from tenantry.auth.devices import device_of
from tenantry.auth.sessions import end_sessions
from tenantry.auth.verification import require_open
from tenantry.db.database import Database
from tenantry.errors import LinkExpired, LinkInvalid, MailNotConfigured
from tenantry.inputs import Email, Input, NewPassword, Token
from tenantry.mail import RESET_PASSWORD, Mail, PasswordReset, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.tokens import token_hash

READ = "SELECT state, user_id, email FROM tenantry.read_token($1, '{reset-password}')"
KNOWN_AS = """
SELECT name, ARRAY(SELECT organisation_name FROM tenantry.memberships_of($1)) AS organisations
  FROM tenantry.person($1)
"""
RESET = "SELECT state, user_id, name, email FROM tenantry.reset_password($1, $2, $3)"


class ForgotPasswordInput(Input):
    email: Email


class ResetPasswordInput(Input):
    token: Token
    password: NewPassword


@post(
    "/forgot-password",
    status_code=202,
    public="Who cannot sign in.",
    answers=(MailNotConfigured,),
    summary="Ask for a new password",
    operation_id="forgotPassword",
)
async def forgot_password(
    data: JSONBody[ForgotPasswordInput],
    database: NamedDependency[Database],
    mail: NamedDependency[Mail],
) -> Reply[None]:
    """Mails a link that is good for an hour, if the address has an account.

    Answer and time are the same if it has none: the worker looks.
    """
    if not mail.sends:
        raise MailNotConfigured
    async with database.system() as connection:
        await mail.enqueue(connection, RESET_PASSWORD, PasswordReset(data.email))
    return Reply("If the address has an account, a link is on its way to it", None)


@post(
    "/reset-password",
    status_code=200,
    public="The link's token is the permission.",
    answers=(LinkInvalid, LinkExpired),
    summary="Choose a new password",
    operation_id="resetPassword",
)
async def reset_password(
    request: Request[Any, Any, Any],
    data: JSONBody[ResetPasswordInput],
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    attempts: NamedDependency[Attempts],
    mail: NamedDependency[Mail],
) -> Reply[None]:
    """By the token of the link that was mailed, once. All sessions of the account end, and wrong
    guesses at its password are forgotten. Signing in afterwards takes the second factor, if there
    is one.
    """
    passwords.check_new(data.password)
    hashed = token_hash(data.token)
    async with database.system() as connection:
        await attempts.count(connection, Guess.TOKEN)
        found = await connection.fetchrow(READ, hashed)
        assert found is not None
        require_open(found["state"])  # so that nobody makes us hash with a made-up token
        known = await connection.fetchrow(KNOWN_AS, found["user_id"])
        assert known is not None
    passwords.check_new(data.password, found["email"], known["name"], *known["organisations"])
    password_hash = await passwords.hash(data.password)
    async with database.system() as connection, connection.transaction():
        done = await connection.fetchrow(RESET, hashed, password_hash, attempts.address)
        assert done is not None
        require_open(done["state"])
        await attempts.succeeded(connection, Guess.TOKEN)
        await end_sessions(connection, done["user_id"], None, "password reset")
        await mail.send(
            connection,
            Template.PASSWORD_CHANGED,
            done["email"],
            name=done["name"],
            time=datetime.now(UTC),
            address=device_of(request.scope).address,
        )
    return Reply("Password changed; sign in with the new one", None)
