"""GET /api/auth/second-factors, POST …/second-factor, …/second-factor/options, …/recovery-codes."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.attempts import Attempts
from tenantry.auth.challenges import Purpose, open_challenge
from tenantry.auth.credentials import PasskeyRequestOptions
from tenantry.auth.devices import device_of
from tenantry.auth.factors import (
    factors_of,
    lock_factors,
    passkeys_of,
    renew_recovery_codes,
    tell,
)
from tenantry.auth.proofs import Proof, Prover
from tenantry.errors import (
    ChallengeInvalid,
    NoSecondFactor,
    PasskeysNotSetUp,
    PasswordWrong,
    ProofWrong,
)
from tenantry.inputs import Password
from tenantry.mail import Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.person import Person


class StepUpInput(Proof, kw_only=True):
    pass


class RecoveryCodesInput(Proof, kw_only=True):
    password: Password


class SecondFactors(msgspec.Struct, frozen=True, rename="camel"):
    """`totp_since` is null without an authenticator app; `recovery_codes` is how many are left."""

    totp_since: datetime | None
    passkeys: int
    recovery_codes: int


class RecoveryCodes(msgspec.Struct, frozen=True, rename="camel"):
    """Each signs in once, in place of a second factor. They are shown this once."""

    recovery_codes: list[str]


class StepUpOptions(msgspec.Struct, frozen=True, rename="camel"):
    """For `navigator.credentials.get`; what it gives is the `credential`."""

    passkey_options: PasskeyRequestOptions
    expires_at: datetime


@get(
    "/second-factors",
    guards=[signed_in],
    summary="One's second factors",
    operation_id="getSecondFactors",
)
async def get_second_factors(person: NamedDependency[Person]) -> Reply[SecondFactors]:
    """What there is beside the password. `GET /api/auth/passkeys` lists the passkeys."""
    factors = await factors_of(person.connection, person.user_id)
    return Reply(
        "Second factors fetched",
        SecondFactors(factors.totp_since, factors.passkeys, factors.recovery_codes),
    )


@post(
    "/second-factor/options",
    status_code=200,
    guards=[signed_in],
    answers=(NoSecondFactor, PasskeysNotSetUp),
    summary="What a passkey is to sign",
    operation_id="getStepUpOptions",
)
async def step_up_options(
    request: Request[Any, Any, Any],
    person: NamedDependency[Person],
    prover: NamedDependency[Prover],
) -> Reply[StepUpOptions]:
    """For every route that takes a `credential` from somebody who is signed in. Once, and within
    five minutes.
    """
    prover.relying_party.require()
    passkeys = await passkeys_of(person.connection, person.user_id)
    if not passkeys:
        raise NoSecondFactor
    challenge = await open_challenge(
        person.connection,
        Purpose.STEP_UP,
        device_of(request.scope),
        user=person.user_id,
        session=person.session_id,
    )
    options = prover.relying_party.request_options(challenge, passkeys)
    return Reply("Sign with a passkey", StepUpOptions(options, challenge.expires_at))


@post(
    "/second-factor",
    status_code=200,
    guards=[signed_in],
    answers=(ChallengeInvalid, NoSecondFactor, ProofWrong),
    summary="Give the second factor in this session",
    operation_id="stepUp",
)
async def step_up(
    request: Request[Any, Any, Any],
    data: JSONBody[StepUpInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    prover: NamedDependency[Prover],
) -> Reply[None]:
    """For a session that was opened before there was a second factor: it counts as one that has
    given it from now on.
    """
    async with prover.proven(person, attempts, device_of(request.scope), data):
        return Reply("Second factor given", None)


@post(
    "/recovery-codes",
    guards=[signed_in],
    answers=(ChallengeInvalid, NoSecondFactor, PasswordWrong, ProofWrong),
    summary="New recovery codes",
    operation_id="renewRecoveryCodes",
)
async def recovery_codes(
    request: Request[Any, Any, Any],
    data: JSONBody[RecoveryCodesInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    prover: NamedDependency[Prover],
    mail: NamedDependency[Mail],
) -> Reply[RecoveryCodes]:
    """Ten new ones; those from before are void."""
    await confirm_password(person, attempts, passwords, data.password)
    async with prover.proven(person, attempts, device_of(request.scope), data):
        if not (await lock_factors(person)).any:
            raise NoSecondFactor
        codes = await renew_recovery_codes(person)
        what = "your recovery codes were replaced by new ones"
        await tell(person, mail, Template.SECOND_FACTOR_CHANGED, what=what)
    return Reply("Recovery codes renewed", RecoveryCodes(codes))
