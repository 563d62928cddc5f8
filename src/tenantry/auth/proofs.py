"""Proofs: an authenticator's code, a recovery code or a passkey, each good once.

What is compared is counted before; what is right is used within the transaction of what it was
given for. So of two who give the same proof at once, one wins.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from tenantry.attempts import Attempts, Guess
from tenantry.auth.challenges import NoChallenge, Purpose, close_challenge, try_challenge
from tenantry.auth.codes import recovery_hash, step_of
from tenantry.auth.credentials import Credential, challenge_in, from_base64url
from tenantry.auth.devices import Device
from tenantry.auth.factors import STRENGTHEN, factors_of, locked
from tenantry.auth.relying_party import RelyingParty
from tenantry.auth.vault import Vault, VaultError
from tenantry.db.pool import Connection
from tenantry.errors import (
    ChallengeInvalid,
    FieldError,
    Invalid,
    NoSecondFactor,
    ProofWrong,
)
from tenantry.inputs import Input, RecoveryCode, TotpCode
from tenantry.tenancy.person import Person

log = structlog.get_logger()

EMAIL_OF = "SELECT email FROM tenantry.person($1)"
TOTP_SECRET = "SELECT tenantry.totp_secret($1)"
USE_TOTP = "SELECT tenantry.use_totp($1, $2)"
USE_RECOVERY_CODE = "SELECT tenantry.use_recovery_code($1, $2)"
FIND_PASSKEY = "SELECT id, user_id, public_key FROM tenantry.find_passkey($1)"
USE_PASSKEY = "SELECT tenantry.use_passkey($1, $2, $3)"


class Proof(Input, kw_only=True):
    """One of the three."""

    code: TotpCode | None = None
    recovery_code: RecoveryCode | None = None
    credential: Credential | None = None

    def require_one(self) -> None:
        """Raises `Invalid` for none and for several."""
        given = [self.code, self.recovery_code, self.credential]
        if sum(value is not None for value in given) != 1:
            raise Invalid(fields=(FieldError("", "Give one of code, recoveryCode, credential"),))


class Prover:
    """Compares proofs with what is kept of a person."""

    def __init__(self, vault: Vault, relying_party: RelyingParty) -> None:
        self.vault = vault
        self.relying_party = relying_party

    async def use(
        self, connection: Connection, user: UUID, proof: Proof, challenge: str | None
    ) -> bool:
        """Whether it is right, and has not been used; within the caller's transaction.

        `challenge` is what a passkey must have signed.
        """
        if proof.code is not None:
            return await self._use_code(connection, user, proof.code)
        if proof.recovery_code is not None:
            digest = recovery_hash(proof.recovery_code)
            return bool(await connection.fetchval(USE_RECOVERY_CODE, user, digest))
        assert proof.credential is not None, "require_one has been asked"
        return challenge is not None and user == await self.use_passkey(
            connection, proof.credential, challenge, user_verified=False
        )

    async def use_passkey(
        self, connection: Connection, credential: Credential, challenge: str, *, user_verified: bool
    ) -> UUID | None:
        """Whose passkey has signed the challenge; within the caller's transaction."""
        try:
            credential_id = from_base64url(credential.id)
        except ValueError:
            return None
        passkey = await connection.fetchrow(FIND_PASSKEY, credential_id)
        if passkey is None or passkey["id"] is None or not self.relying_party.works:
            return None
        count = await self.relying_party.asserted(
            credential, challenge, passkey["public_key"], user_verified=user_verified
        )
        if count is None:
            return None
        user: UUID = passkey["user_id"]
        if not await connection.fetchval(USE_PASSKEY, passkey["id"], user, count):
            log.warning("a passkey counts backwards: there are two of it", user=user, count=count)
            return None
        return user

    @asynccontextmanager
    async def proven(
        self, person: Person, attempts: Attempts, device: Device, proof: Proof
    ) -> AsyncIterator[None]:
        """A transaction in which somebody signed in has given a proof. Their session has given a
        second factor then.

        Raises:
            Invalid, NoSecondFactor, ChallengeInvalid, ProofWrong, TooManyAuthAttempts
        """
        proof.require_one()
        connection, challenge = person.connection, None
        if not (await factors_of(connection, person.user_id)).any:
            raise NoSecondFactor
        try:
            if proof.credential is not None:
                challenge = challenge_in(proof.credential)
                await try_challenge(
                    connection, challenge, Purpose.STEP_UP, device, session=person.session_id
                )
            async with self.counted(connection, attempts, person.user_id):
                await locked(person)  # first, as everybody does who changes factors
                if not await self.use(connection, person.user_id, proof, challenge):
                    log.warning(
                        "a second factor was wrong", user=person.user_id, client=device.address
                    )
                    raise ProofWrong
                if challenge is not None:
                    await close_challenge(connection, challenge)
                await connection.execute(STRENGTHEN, person.user_id, person.session_id)
                yield
        except NoChallenge:
            raise ChallengeInvalid from None

    @asynccontextmanager
    async def counted(
        self, connection: Connection, attempts: Attempts, user: UUID
    ) -> AsyncIterator[None]:
        """A transaction in which a proof is compared. Leaving it by an error is a wrong guess.

        Raises:
            TooManyAuthAttempts
        """
        email = await connection.fetchval(EMAIL_OF, user)
        await attempts.count(connection, Guess.SECOND_FACTOR, email)
        async with connection.transaction():
            yield
            await attempts.succeeded(connection, Guess.SECOND_FACTOR, email)

    async def _use_code(self, connection: Connection, user: UUID, code: str) -> bool:
        sealed = await connection.fetchval(TOTP_SECRET, user)
        step = None if sealed is None else self.step(user, sealed, code)
        return step is not None and bool(await connection.fetchval(USE_TOTP, user, step))

    def step(self, user: UUID, sealed: bytes, code: str) -> int | None:
        """The time step that the code is of; None where it is wrong."""
        try:
            return step_of(self.vault.unseal(user, sealed), code)
        except VaultError:
            log.warning("an authenticator's secret cannot be opened", user=user)
            return None
