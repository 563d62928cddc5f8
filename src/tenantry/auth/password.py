"""POST /api/auth/change-password."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts
from tenantry.auth.devices import device_of
from tenantry.auth.factors import require_strong
from tenantry.auth.sessions import end_sessions
from tenantry.errors import PasswordWrong, StepUpRequired
from tenantry.inputs import Input, NewPassword, Password
from tenantry.mail import Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.person import Person

CHANGE = "SELECT tenantry.change_password($1, $2, $3)"


class ChangePasswordInput(Input):
    current_password: Password
    new_password: NewPassword


@post(
    "/change-password",
    status_code=200,
    guards=[signed_in],
    answers=(PasswordWrong, StepUpRequired),
    summary="Change one's password",
    operation_id="changePassword",
)
async def change_password(
    request: Request[Any, Any, Any],
    data: JSONBody[ChangePasswordInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    mail: NamedDependency[Mail],
) -> Reply[None]:
    """Takes the present password. One's other sessions end; one is told by mail."""
    await require_strong(person)
    passwords.check_new(data.new_password, field="newPassword")
    confirmed = await confirm_password(person, attempts, passwords, data.current_password)
    passwords.check_new(data.new_password, *confirmed.known_as, field="newPassword")
    hashed = await passwords.hash(data.new_password)
    connection = person.connection
    async with connection.transaction():
        if not await connection.fetchval(CHANGE, person.user_id, confirmed.password_hash, hashed):
            raise PasswordWrong  # it was changed a moment ago
        await end_sessions(
            connection, person.user_id, None, "password changed", keep=person.session_id
        )
        await mail.send(
            connection,
            Template.PASSWORD_CHANGED,
            confirmed.email,
            name=confirmed.name,
            time=datetime.now(UTC),
            address=device_of(request.scope).address,
        )
    return Reply("Password changed", None)
