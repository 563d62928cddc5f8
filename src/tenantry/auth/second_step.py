"""POST /api/auth/login/second-factor, …/login/passkey/options, …/login/passkey."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts
from tenantry.auth.challenges import (
    NoChallenge,
    Purpose,
    close_challenge,
    open_challenge,
    try_challenge,
)
from tenantry.auth.cookies import RefreshCookie
from tenantry.auth.credentials import Credential, PasskeyRequestOptions, to_base64url
from tenantry.auth.devices import Device, device_of
from tenantry.auth.factors import Factors, passkeys_of
from tenantry.auth.proofs import Proof, Prover, log
from tenantry.auth.sessions import SignedIn, open_session
from tenantry.db.database import Database
from tenantry.db.pool import Connection
from tenantry.errors import (
    NoOrganisation,
    PasskeysNotSetUp,
    PasskeyUnknown,
    SecondFactorInvalid,
    SignInExpired,
)
from tenantry.inputs import Input, Token
from tenantry.reply import Reply
from tenantry.tenancy.guards import note_identity
from tenantry.tenancy.tokens import Tokens


class Method(StrEnum):
    """By what a second factor is proved; `recovery` is a recovery code."""

    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY = "recovery"


class SecondStep(msgspec.Struct, frozen=True, rename="camel"):
    """What `POST /api/auth/login/second-factor` is to be given, within five minutes: the token and
    a proof by one of the methods. `passkey_options` are for
    `navigator.credentials.get`.
    """

    token: str
    methods: list[Method]
    expires_at: datetime
    passkey_options: PasskeyRequestOptions | None


class SecondFactorNeeded(msgspec.Struct, frozen=True, rename="camel"):
    """The password is right, and the account has a second factor: there are no tokens yet."""

    second_factor: SecondStep


class PasskeySignIn(msgspec.Struct, frozen=True, rename="camel"):
    """`passkey_options` are for `navigator.credentials.get`."""

    token: str
    expires_at: datetime
    passkey_options: PasskeyRequestOptions


class SecondStepInput(Proof, kw_only=True):
    token: Token


class PasskeySignInInput(Input):
    token: Token
    credential: Credential


async def first_step_done(
    connection: Connection, prover: Prover, user: UUID, device: Device, factors: Factors
) -> SecondFactorNeeded:
    """The password was right; within the caller's transaction."""
    challenge = await open_challenge(connection, Purpose.SIGN_IN, device, user=user)
    methods, options = [], None
    if factors.totp_since is not None:
        methods.append(Method.TOTP)
    if factors.passkeys and prover.relying_party.works:
        methods.append(Method.PASSKEY)
        passkeys = await passkeys_of(connection, user)
        options = prover.relying_party.request_options(challenge, passkeys)
    if factors.recovery_codes:
        methods.append(Method.RECOVERY)
    return SecondFactorNeeded(SecondStep(challenge.token, methods, challenge.expires_at, options))


@post(
    "/login/second-factor",
    status_code=200,
    public="The token says who gave the password.",
    answers=(NoOrganisation, SecondFactorInvalid, SignInExpired),
    summary="Sign in, second step",
    operation_id="giveSecondFactor",
)
async def second_factor(
    request: Request[Any, Any, Any],
    data: JSONBody[SecondStepInput],
    database: NamedDependency[Database],
    tokens: NamedDependency[Tokens],
    attempts: NamedDependency[Attempts],
    prover: NamedDependency[Prover],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[SignedIn]]:
    """What `login` asks for where the account has a second factor: its token, and one of a code
    of the authenticator app, a recovery code and a passkey's credential.

    From the device that gave the password, five times at the most.
    """
    data.require_one()
    device = device_of(request.scope)
    async with database.system() as connection:
        try:
            user = await try_challenge(connection, data.token, Purpose.SIGN_IN, device)
            assert user is not None, "the database holds it"
            async with prover.counted(connection, attempts, user):
                if not await prover.use(connection, user, data, data.token):
                    log.warning("a second factor was wrong", user=user, client=device.address)
                    raise SecondFactorInvalid
                await close_challenge(connection, data.token)
                opened = await open_session(connection, tokens, user, device, second_factor=True)
        except NoChallenge:
            raise SignInExpired from None
    note_identity(request.scope, user, opened.organisation.id)
    return cookie.keep(Reply("Login successful", opened))


@post(
    "/login/passkey/options",
    status_code=200,
    public="Who is not signed in yet.",
    answers=(PasskeysNotSetUp,),
    summary="Begin to sign in with a passkey alone",
    operation_id="beginPasskeyLogin",
)
async def passkey_options(
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    prover: NamedDependency[Prover],
) -> Reply[PasskeySignIn]:
    """What any passkey of this server is to sign. The browser shows those that it has."""
    prover.relying_party.require()
    async with database.system() as connection:
        challenge = await open_challenge(
            connection, Purpose.PASSKEY_SIGN_IN, device_of(request.scope)
        )
    options = prover.relying_party.request_options(challenge, None)
    return Reply(
        "Sign with a passkey", PasskeySignIn(challenge.token, challenge.expires_at, options)
    )


@post(
    "/login/passkey",
    status_code=200,
    public="The passkey says who it is.",
    answers=(NoOrganisation, PasskeysNotSetUp, PasskeyUnknown, SignInExpired),
    summary="Sign in with a passkey alone",
    operation_id="passkeyLogin",
)
async def passkey_login(
    request: Request[Any, Any, Any],
    data: JSONBody[PasskeySignInInput],
    database: NamedDependency[Database],
    tokens: NamedDependency[Tokens],
    prover: NamedDependency[Prover],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[SignedIn]]:
    """Without a password. The passkey must have verified its person, by PIN, finger or face, so
    that it is two factors: what one has, and what one knows or is.
    """
    prover.relying_party.require()
    device = device_of(request.scope)
    async with database.system() as connection:
        try:
            await try_challenge(connection, data.token, Purpose.PASSKEY_SIGN_IN, device)
            async with connection.transaction():
                user = await prover.use_passkey(
                    connection, data.credential, data.token, user_verified=True
                )
                if user is None or not _names(data.credential, user):
                    raise PasskeyUnknown
                await close_challenge(connection, data.token)
                opened = await open_session(connection, tokens, user, device, second_factor=True)
        except NoChallenge:
            raise SignInExpired from None
    note_identity(request.scope, user, opened.organisation.id)
    return cookie.keep(Reply("Login successful", opened))


def _names(credential: Credential, user: UUID) -> bool:
    """Whether the passkey says the same of its owner (WebAuthn Level 3, 7.2.6)."""
    return credential.response.user_handle == to_base64url(user.bytes)
