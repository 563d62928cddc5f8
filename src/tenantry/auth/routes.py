"""POST /api/auth/register, login, refresh, logout."""

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType
from uuid_utils.compat import uuid7

from tenantry.attempts import Attempts, Guess
from tenantry.auth import passkeys, second_factor, second_step, totp
from tenantry.auth.cookies import RefreshCookie
from tenantry.auth.devices import device_of
from tenantry.auth.factors import FACTORS_OF, Factors
from tenantry.auth.me import end_session, get_me, get_sessions, logout_all, switch_organisation
from tenantry.auth.password import change_password
from tenantry.auth.privacy import erase_me, export_me
from tenantry.auth.profile import change_email, update_me
from tenantry.auth.proofs import Prover
from tenantry.auth.recovery import forgot_password, reset_password
from tenantry.auth.second_step import SecondFactorNeeded, first_step_done
from tenantry.auth.sessions import (
    SignedIn,
    TokenPair,
    end_sessions,
    open_session,
    rotate,
)
from tenantry.auth.verification import mail_verification, resend_verification, verify_email
from tenantry.db.database import Database
from tenantry.errors import (
    CredentialsInvalid,
    EmailInUse,
    FieldError,
    Invalid,
    NoOrganisation,
    RefreshTokenInvalid,
    RefreshTokenMissing,
)
from tenantry.inputs import Email, Input, Name, NewPassword, OrganisationName, Password, Token
from tenantry.mail import Mail
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.routing import Router
from tenantry.tenancy.founding import found
from tenantry.tenancy.guards import note_identity, signed_in
from tenantry.tenancy.joining import join_as_new, without_account
from tenantry.tenancy.permissions import Role
from tenantry.tenancy.person import Person
from tenantry.tenancy.product import Product
from tenantry.tenancy.tokens import TokenError, Tokens

EMAIL_TAKEN = "SELECT user_id FROM tenantry.find_account($1)"
LOGIN_SUCCEEDED = "SELECT tenantry.login_succeeded($1, $2, $3, $4, $5)"


class RegisterInput(Input):
    name: Name
    email: Email
    password: NewPassword
    organisation_name: OrganisationName

    def __post_init__(self) -> None:
        self.name = self.name.strip(" ")
        self.organisation_name = self.organisation_name.strip(" ")


class LoginInput(Input):
    email: Email
    password: Password


class RefreshInput(Input):
    """`refresh_token` is left out where a cookie has it."""

    refresh_token: Token | UnsetType = UNSET


class LogoutInput(Input):
    refresh_token: str | None = None


@post(
    "/register",
    public="Anybody may found an organisation.",
    answers=(EmailInUse,),
    summary="Found an organisation",
    operation_id="register",
)
async def register(
    request: Request[Any, Any, Any],
    data: JSONBody[RegisterInput],
    *,
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    tokens: NamedDependency[Tokens],
    attempts: NamedDependency[Attempts],
    mail: NamedDependency[Mail],
    product: NamedDependency[Product],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[SignedIn]]:
    """Makes an account and an organisation on the FREE plan, of which it is the admin.

    A link to prove the address is mailed; the account works without.
    """
    passwords.check_new(data.password, data.email, data.name, data.organisation_name)
    async with database.system() as connection:
        if await connection.fetchval(EMAIL_TAKEN, data.email):
            raise EmailInUse
    password_hash = await passwords.hash(data.password)
    user, organisation = uuid7(), uuid7()
    async with database.system() as connection:
        with without_account(EmailInUse):
            async with connection.pipelined():
                plan = product.plans.first.name
                await found(connection, organisation, data.organisation_name, plan)
                await join_as_new(
                    connection,
                    organisation,
                    user=user,
                    email=data.email,
                    name=data.name,
                    password_hash=password_hash,
                    role=Role.ADMIN,
                    owner=True,
                )
                await attempts.succeeded(connection, Guess.PASSWORD, data.email)
                if mail.sends:
                    await mail_verification(connection, mail, tokens, user)
                opened = await open_session(connection, tokens, user, device_of(request.scope))
    note_identity(request.scope, user, organisation)
    return cookie.keep(Reply("Registration successful", opened))


@post(
    "/login",
    status_code=200,
    public="Who is not signed in yet.",
    answers=(CredentialsInvalid, NoOrganisation),
    summary="Sign in",
    operation_id="login",
)
async def login(
    request: Request[Any, Any, Any],
    data: JSONBody[LoginInput],
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    tokens: NamedDependency[Tokens],
    attempts: NamedDependency[Attempts],
    prover: NamedDependency[Prover],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[SignedIn | SecondFactorNeeded]]:
    """Opens a session. The answer is the same for an unknown address and a wrong password; wrong
    ones have to wait, longer each time.

    An account with a second factor gets no tokens yet: `data.secondFactor` says what
    `POST /api/auth/login/second-factor` wants.
    """
    email, device = data.email, device_of(request.scope)
    async with attempts.turn(email):
        async with database.system() as connection:
            account = await attempts.count_login(connection, email)
        known = account["password_hash"] if account else None
        right, renewed = await passwords.verify(data.password, known)
        if account is None or not right:
            raise CredentialsInvalid
        user = account["user_id"]
        async with database.system() as connection, connection.pipelined():
            succeeded, found = await connection.together(
                (LOGIN_SUCCEEDED, (user, known, renewed, email, attempts.address)),
                (FACTORS_OF, (user,)),
            )
            if not succeeded[0]["login_succeeded"]:
                raise CredentialsInvalid  # it was changed a moment ago
            factors = Factors(**found[0])
            if factors.any:
                step = await first_step_done(connection, prover, user, device, factors)
                return cookie.keep(Reply("Second factor required", step))
            opened = await open_session(connection, tokens, user, device)
    note_identity(request.scope, user, opened.organisation.id)
    return cookie.keep(Reply("Login successful", opened))


@post(
    "/refresh",
    status_code=200,
    public="The refresh token says who it is.",
    answers=(RefreshTokenInvalid,),
    summary="Renew the tokens",
    operation_id="refresh",
)
async def refresh(
    request: Request[Any, Any, Any],
    data: JSONBody[RefreshInput],
    database: NamedDependency[Database],
    tokens: NamedDependency[Tokens],
    mail: NamedDependency[Mail],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[TokenPair]]:
    """Gives the next access and refresh token. Each refresh token works once.

    The same one again within ten seconds gives the same successor, for tabs and lost answers.
    Later, it has been stolen from somebody: the whole session ends.
    """
    token = data.refresh_token or cookie.token
    if token is None:
        raise Invalid(fields=(FieldError("refreshToken", "refreshToken is required"),))
    try:
        async with database.system() as connection:
            pair, claims = await rotate(connection, tokens, mail, token, device_of(request.scope))
    except RefreshTokenInvalid:
        raise RefreshTokenInvalid(headers=cookie.clearing) from None
    note_identity(request.scope, claims.user, claims.organisation)
    return cookie.keep(Reply("Token refreshed", pair))


@post(
    "/logout",
    status_code=200,
    guards=[signed_in],
    answers=(RefreshTokenMissing,),
    summary="Sign out",
    operation_id="logout",
)
async def logout(
    data: JSONBody[LogoutInput],
    person: NamedDependency[Person],
    tokens: NamedDependency[Tokens],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[None]]:
    """Ends the session at once: its access tokens, its refresh tokens and its sockets."""
    token = data.refresh_token or cookie.token
    if token is None:
        raise RefreshTokenMissing
    ending = {person.session_id}
    try:
        claims = tokens.read_refresh(token)
    except TokenError:
        pass  # expired or foreign: there is nothing more to end
    else:
        ending.add(claims.session)  # another session's, where it is the same user's
    await end_sessions(person.connection, person.user_id, ending, "logout")
    return cookie.clear(Reply("Logged out successfully", None))


router = Router(
    "/api/auth",
    route_handlers=[
        register,
        login,
        refresh,
        logout,
        logout_all,
        get_me,
        export_me,
        erase_me,
        switch_organisation,
        get_sessions,
        end_session,
        update_me,
        change_password,
        change_email,
        verify_email,
        resend_verification,
        forgot_password,
        reset_password,
        second_step.second_factor,
        second_step.passkey_options,
        second_step.passkey_login,
        second_factor.get_second_factors,
        second_factor.step_up_options,
        second_factor.step_up,
        second_factor.recovery_codes,
        totp.start_totp,
        totp.confirm_totp,
        totp.remove_totp,
        passkeys.passkey_options,
        passkeys.add_passkey,
        passkeys.get_passkeys,
        passkeys.rename_passkey,
        passkeys.remove_passkey,
    ],
    tags=["Authentication"],
)
