"""GET and POST /api/auth/passkeys, POST …/options, PATCH and DELETE …/{id}: one's passkeys."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from uuid_utils.compat import uuid7

from tenantry.attempts import Attempts
from tenantry.auth.challenges import (
    NoChallenge,
    Purpose,
    close_challenge,
    open_challenge,
    try_challenge,
)
from tenantry.auth.credentials import NewCredential, PasskeyCreationOptions, challenge_in
from tenantry.auth.devices import device_of
from tenantry.auth.factors import (
    added,
    lock_factors,
    passkeys_of,
    removed,
    tell,
)
from tenantry.auth.proofs import Prover
from tenantry.errors import (
    ChallengeInvalid,
    FactorNeeded,
    NoSuchPasskey,
    PasskeyExists,
    PasskeyRefused,
    PasskeysNotSetUp,
    PasswordWrong,
    StepUpRequired,
    TooManyPasskeys,
)
from tenantry.inputs import Input, PasskeyName, Password, PathId
from tenantry.mail import Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.person import Person

MOST = 20  # of one person; each is named in what a browser is sent

ADD = "SELECT tenantry.add_passkey($1, $2, $3, $4, $5, $6, $7, $8)"
RENAME = "SELECT tenantry.rename_passkey($1, $2, $3)"
REMOVE = "SELECT tenantry.remove_passkey($1, $2)"


class PasskeyOptionsInput(Input):
    password: Password


class AddPasskeyInput(Input):
    name: PasskeyName
    credential: NewCredential


class RenamePasskeyInput(Input):
    name: PasskeyName


class RemovePasskeyInput(Input):
    password: Password


class Passkey(msgspec.Struct, frozen=True, rename="camel"):
    """`user_verified`: it knew its person by PIN, finger or face when it was added."""

    id: UUID
    name: str
    transports: list[str]
    user_verified: bool
    created_at: datetime
    used_at: datetime | None


class PasskeyAdded(msgspec.Struct, frozen=True, rename="camel"):
    """`recovery_codes` come with the first factor, and are shown this once; null with others."""

    id: UUID
    recovery_codes: list[str] | None


class NewPasskeyOptions(msgspec.Struct, frozen=True, rename="camel"):
    """For `navigator.credentials.create`; what it gives is the `credential`."""

    passkey_options: PasskeyCreationOptions
    expires_at: datetime


@post(
    "/passkeys/options",
    status_code=200,
    guards=[signed_in],
    answers=(PasskeysNotSetUp, PasswordWrong, StepUpRequired, TooManyPasskeys),
    summary="Begin to add a passkey",
    operation_id="getPasskeyOptions",
)
async def passkey_options(
    request: Request[Any, Any, Any],
    data: JSONBody[PasskeyOptionsInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    prover: NamedDependency[Prover],
) -> Reply[NewPasskeyOptions]:
    """What the browser needs to make a passkey. Once, and within five minutes."""
    prover.relying_party.require()
    account = await confirm_password(person, attempts, passwords, data.password)
    connection = person.connection
    async with connection.transaction():
        await lock_factors(person)
        present = await passkeys_of(connection, person.user_id)
        if len(present) >= MOST:
            raise TooManyPasskeys
        challenge = await open_challenge(
            connection,
            Purpose.NEW_PASSKEY,
            device_of(request.scope),
            user=person.user_id,
            session=person.session_id,
        )
    options = prover.relying_party.creation_options(
        challenge, person.user_id, account.name, account.email, present
    )
    return Reply("Make a passkey", NewPasskeyOptions(options, challenge.expires_at))


@post(
    "/passkeys",
    guards=[signed_in],
    answers=(
        ChallengeInvalid,
        PasskeyExists,
        PasskeyRefused,
        PasskeysNotSetUp,
        StepUpRequired,
        TooManyPasskeys,
    ),
    summary="Add a passkey",
    operation_id="addPasskey",
)
async def add_passkey(
    request: Request[Any, Any, Any],
    data: JSONBody[AddPasskeyInput],
    person: NamedDependency[Person],
    prover: NamedDependency[Prover],
    mail: NamedDependency[Mail],
) -> Reply[PasskeyAdded]:
    """The passkey that the browser has made. From now on, signing in asks for a second factor,
    or takes the passkey alone; this session has given it.
    """
    prover.relying_party.require()
    connection, challenge = person.connection, challenge_in(data.credential)
    try:
        await try_challenge(
            connection,
            challenge,
            Purpose.NEW_PASSKEY,
            device_of(request.scope),
            session=person.session_id,
        )
        registered = await prover.relying_party.registered(data.credential, challenge)
        if registered is None:
            raise PasskeyRefused
        passkey = uuid7()
        async with connection.transaction():
            before = await lock_factors(person)
            await close_challenge(connection, challenge)
            if before.passkeys >= MOST:
                raise TooManyPasskeys
            if not await connection.fetchval(
                ADD,
                passkey,
                person.user_id,
                registered.credential_id,
                registered.public_key,
                registered.sign_count,
                list(data.credential.response.transports),
                data.name,
                registered.user_verified,
            ):
                raise PasskeyExists
            codes = await added(person, before)
            await tell(person, mail, Template.PASSKEY_ADDED, passkey=data.name)
    except NoChallenge:
        raise ChallengeInvalid from None
    return Reply("Passkey added", PasskeyAdded(passkey, codes))


@get("/passkeys", guards=[signed_in], summary="One's passkeys", operation_id="listPasskeys")
async def get_passkeys(person: NamedDependency[Person]) -> Reply[list[Passkey]]:
    """The oldest first, each with when it was last used."""
    rows = await passkeys_of(person.connection, person.user_id)
    return Reply(
        "Passkeys fetched",
        [
            Passkey(
                row["id"],
                row["name"],
                row["transports"],
                row["user_verified"],
                row["created_at"],
                row["used_at"],
            )
            for row in rows
        ],
    )


@patch(
    "/passkeys/{passkey_id:str}",
    guards=[signed_in],
    answers=(NoSuchPasskey,),
    summary="Rename a passkey",
    operation_id="renamePasskey",
)
async def rename_passkey(
    passkey_id: PathId,
    data: JSONBody[RenamePasskeyInput],
    person: NamedDependency[Person],
) -> Reply[None]:
    """A name by which one knows it again."""
    renamed = await person.connection.fetchval(
        RENAME, person.user_id, _passkey(passkey_id), data.name
    )
    if not renamed:
        raise NoSuchPasskey
    return Reply("Passkey renamed", None)


@delete(
    "/passkeys/{passkey_id:str}",
    status_code=200,
    guards=[signed_in],
    answers=(FactorNeeded, NoSuchPasskey, PasswordWrong, StepUpRequired),
    summary="Remove a passkey",
    operation_id="removePasskey",
)
async def remove_passkey(
    passkey_id: PathId,
    data: JSONBody[RemovePasskeyInput],
    person: NamedDependency[Person],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    mail: NamedDependency[Mail],
) -> Reply[None]:
    """It signs in nobody any more, at once.

    With the last factor, the recovery codes go too. Where an organisation asks for a second
    factor, its members keep one.
    """
    await confirm_password(person, attempts, passwords, data.password)
    async with person.connection.transaction():
        before = await lock_factors(person)
        name = await person.connection.fetchval(REMOVE, person.user_id, _passkey(passkey_id))
        if name is None:
            raise NoSuchPasskey
        await removed(person, before)
        what = f'the passkey "{name}" was removed'
        await tell(person, mail, Template.SECOND_FACTOR_CHANGED, what=what)
    return Reply("Passkey removed", None)


def _passkey(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NoSuchPasskey from None
