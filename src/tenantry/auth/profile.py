"""PATCH /api/auth/me, POST /api/auth/change-email."""

import msgspec
from litestar import patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts
from tenantry.auth.factors import require_strong
from tenantry.auth.verification import LIFETIME, require_pause
from tenantry.errors import (
    FieldError,
    Invalid,
    MailNotConfigured,
    MailSentRecently,
    PasswordWrong,
    StepUpRequired,
)
from tenantry.inputs import Email, Input, Name, Password
from tenantry.mail import Action, Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.person import Person
from tenantry.tenancy.tokens import Tokens, new_nonce, token_hash

RENAME = "SELECT tenantry.rename_person($1, $2)"
ISSUE = "SELECT wait, taken_by FROM tenantry.issue_email_change($1, $2, $3, $4)"


class ProfileInput(Input):
    name: Name

    def __post_init__(self) -> None:
        self.name = self.name.strip(" ")


class Profile(msgspec.Struct, frozen=True):
    name: str


class ChangeEmailInput(Input):
    email: Email
    password: Password


@patch("/me", guards=[signed_in], summary="Change one's name", operation_id="updateMe")
async def update_me(
    data: JSONBody[ProfileInput], person: NamedDependency[Person]
) -> Reply[Profile]:
    """In every organisation, and in what their feeds tell of one."""
    await person.connection.execute(RENAME, person.user_id, data.name)
    return Reply("Account updated", Profile(data.name))


@post(
    "/change-email",
    status_code=202,
    guards=[signed_in],
    answers=(PasswordWrong, StepUpRequired, MailSentRecently, MailNotConfigured),
    summary="Change one's address",
    operation_id="changeEmail",
)
async def change_email(
    data: JSONBody[ChangeEmailInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    mail: NamedDependency[Mail],
    tokens: NamedDependency[Tokens],
) -> Reply[None]:
    """Mails a link to the new address; until it has been opened, the old one stays.

    The answer is the same where the new address has an account: its owner is told.
    """
    if not mail.sends:
        raise MailNotConfigured
    await require_strong(person)
    confirmed = await confirm_password(person, attempts, passwords, data.password)
    if data.email.lower() == confirmed.email.lower():
        raise Invalid(fields=(FieldError("email", "email is your address already"),))
    nonce = new_nonce()
    hashed = token_hash(tokens.derived(Action.VERIFY_EMAIL, nonce))
    connection = person.connection
    async with connection.transaction():
        issued = await connection.fetchrow(ISSUE, person.user_id, data.email, hashed, LIFETIME)
        assert issued is not None
        require_pause(issued["wait"])
        if issued["taken_by"] is None:
            await mail.send(
                connection, Template.CHANGE_EMAIL, data.email, name=confirmed.name, nonce=nonce
            )
        else:
            await mail.send(connection, Template.ADDRESS_TAKEN, data.email, name=issued["taken_by"])
    return Reply("A link is on its way to the new address", None)
