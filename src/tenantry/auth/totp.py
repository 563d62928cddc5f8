"""POST and DELETE /api/auth/totp, POST …/totp/confirm: an authenticator app."""

from datetime import timedelta
from typing import Any

import msgspec
import segno
from litestar import Request, delete, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts
from tenantry.auth.challenges import MOST_TRIES
from tenantry.auth.codes import address_of, new_secret
from tenantry.auth.devices import device_of
from tenantry.auth.factors import added, lock_factors, removed, tell
from tenantry.auth.proofs import Proof, Prover
from tenantry.errors import (
    ChallengeInvalid,
    FactorNeeded,
    NoSecondFactor,
    NoTotp,
    PasswordWrong,
    ProofWrong,
    StepUpRequired,
    TotpExists,
    TotpUnconfirmed,
)
from tenantry.inputs import Input, Password, TotpCode
from tenantry.mail import Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.person import Person

CHANGED = Template.SECOND_FACTOR_CHANGED
TIME_TO_CONFIRM = timedelta(minutes=10)

START = "SELECT tenantry.start_totp($1, $2)"
TRY = "SELECT tenantry.try_totp($1, $2, $3)"
CONFIRM = "SELECT tenantry.confirm_totp($1, $2, $3)"
REMOVE = "SELECT tenantry.remove_totp($1)"


class StartTotpInput(Input):
    password: Password


class ConfirmTotpInput(Input):
    code: TotpCode


class RemoveTotpInput(Proof, kw_only=True):
    password: Password


class TotpStart(msgspec.Struct, frozen=True, rename="camel"):
    """What an app is given: the picture of the address, the address, or the secret by hand."""

    secret: str
    uri: str
    qr_code: str


class FactorAdded(msgspec.Struct, frozen=True, rename="camel"):
    """`recovery_codes` come with the first factor, and are shown this once; null with others."""

    recovery_codes: list[str] | None


@post(
    "/totp",
    guards=[signed_in],
    answers=(PasswordWrong, StepUpRequired, TotpExists),
    summary="Begin with an authenticator app",
    operation_id="startTotp",
)
async def start_totp(
    data: JSONBody[StartTotpInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    prover: NamedDependency[Prover],
) -> Reply[TotpStart]:
    """Gives a secret, as text, as an otpauth address, and as a picture of that (SVG) for the
    app to scan. It counts for nothing until its first code has been confirmed, within ten minutes.
    """
    account = await confirm_password(person, attempts, passwords, data.password)
    secret = new_secret()
    sealed = prover.vault.seal(person.user_id, secret)
    async with person.connection.transaction():
        await lock_factors(person)
        if not await person.connection.fetchval(START, person.user_id, sealed):
            raise TotpExists
    uri = address_of(secret, prover.relying_party.name, account.email)
    picture = segno.make_qr(uri).svg_inline(scale=4)
    return Reply("Scan the picture, then confirm a code", TotpStart(secret, uri, picture))


@post(
    "/totp/confirm",
    status_code=200,
    guards=[signed_in],
    answers=(ProofWrong, StepUpRequired, TotpUnconfirmed),
    summary="Confirm the authenticator app",
    operation_id="confirmTotp",
)
async def confirm_totp(
    data: JSONBody[ConfirmTotpInput],
    person: NamedDependency[Person],
    prover: NamedDependency[Prover],
    mail: NamedDependency[Mail],
) -> Reply[FactorAdded]:
    """The app's first code. From now on, signing in asks for a second factor; this session has
    given it. After five wrong codes, begin again.
    """
    connection, user = person.connection, person.user_id
    sealed = await connection.fetchval(TRY, user, TIME_TO_CONFIRM, MOST_TRIES)
    if sealed is None:
        raise TotpUnconfirmed
    step = prover.step(user, sealed, data.code)
    if step is None:
        raise ProofWrong
    async with connection.transaction():
        before = await lock_factors(person)
        if not await connection.fetchval(CONFIRM, user, sealed, step):
            raise TotpUnconfirmed
        codes = await added(person, before)
        await tell(person, mail, CHANGED, what="an authenticator app was added to your account")
    return Reply("Authenticator app added", FactorAdded(codes))


@delete(
    "/totp",
    status_code=200,
    guards=[signed_in],
    answers=(
        ChallengeInvalid,
        FactorNeeded,
        NoSecondFactor,
        NoTotp,
        PasswordWrong,
        ProofWrong,
    ),
    summary="Remove the authenticator app",
    operation_id="removeTotp",
)
async def remove_totp(
    request: Request[Any, Any, Any],
    data: JSONBody[RemoveTotpInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    prover: NamedDependency[Prover],
    mail: NamedDependency[Mail],
) -> Reply[None]:
    """With the password, and any second factor: who has lost the app has a recovery code.

    With the last factor, the recovery codes go too. Where an organisation asks for a second
    factor, its members keep one.
    """
    await confirm_password(person, attempts, passwords, data.password)
    async with prover.proven(person, attempts, device_of(request.scope), data):
        before = await lock_factors(person)
        if not await person.connection.fetchval(REMOVE, person.user_id):
            raise NoTotp
        await removed(person, before)
        await tell(person, mail, CHANGED, what="your authenticator app was removed")
    return Reply("Authenticator app removed", None)
