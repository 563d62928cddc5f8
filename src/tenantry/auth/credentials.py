"""Passkeys as browsers speak of them: the JSON of WebAuthn (Level 3, 5.1.8 to 5.1.10).

What the server sends goes into `PublicKeyCredential.parseCreationOptionsFromJSON` or
`parseRequestOptionsFromJSON`; what it is sent is the credential's `toJSON()`.
"""

import base64
import json
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import field

Kind = Literal["public-key"]
KIND: Kind = "public-key"
Text = Annotated[str, msgspec.Meta(max_length=2_000)]
Long = Annotated[str, msgspec.Meta(max_length=100_000)]


class Preference(StrEnum):
    """How much something is wished for."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    DISCOURAGED = "discouraged"


class PasskeyParty(msgspec.Struct, frozen=True):
    """The one that the passkey is for: this server."""

    id: str
    name: str


class PasskeyOwner(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    name: str
    display_name: str


class PasskeyAlgorithm(msgspec.Struct, frozen=True):
    alg: int
    type: Kind


class PasskeyDescriptor(msgspec.Struct, frozen=True):
    """A passkey that there is."""

    id: str
    transports: list[str]
    type: Kind


class PasskeySelection(msgspec.Struct, frozen=True, rename="camel"):
    resident_key: Preference
    user_verification: Preference


class PasskeyCreationOptions(msgspec.Struct, frozen=True, rename="camel"):
    """For `navigator.credentials.create({publicKey})`."""

    rp: PasskeyParty
    user: PasskeyOwner
    challenge: str
    pub_key_cred_params: list[PasskeyAlgorithm]
    timeout: int
    exclude_credentials: list[PasskeyDescriptor]
    authenticator_selection: PasskeySelection
    attestation: Literal["none"]


class PasskeyRequestOptions(msgspec.Struct, frozen=True, rename="camel"):
    """For `navigator.credentials.get({publicKey})`."""

    challenge: str
    timeout: int
    rp_id: str
    allow_credentials: list[PasskeyDescriptor]
    user_verification: Preference


class AttestationResponse(msgspec.Struct, frozen=True, rename="camel"):
    client_data_json: Long = field(name="clientDataJSON")
    attestation_object: Long
    transports: Annotated[list[Text], msgspec.Meta(max_length=20)] = []


class NewCredential(msgspec.Struct, frozen=True, rename="camel"):
    """What `navigator.credentials.create` gave."""

    id: Text
    raw_id: Text
    type: Kind
    response: AttestationResponse


class AssertionResponse(msgspec.Struct, frozen=True, rename="camel"):
    client_data_json: Long = field(name="clientDataJSON")
    authenticator_data: Long
    signature: Text
    user_handle: Text | None = None


class Credential(msgspec.Struct, frozen=True, rename="camel"):
    """What `navigator.credentials.get` gave."""

    id: Text
    raw_id: Text
    type: Kind
    response: AssertionResponse


class Expected(NamedTuple):
    """What a credential must have been made for."""

    challenge: bytes
    rp_id: str
    origins: list[str]


class Registered(NamedTuple):
    """What there is to keep of a new passkey."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    user_verified: bool


def to_base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def from_base64url(value: str) -> bytes:
    """Raises `ValueError`."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def challenge_in(credential: NewCredential | Credential) -> str:
    """The challenge that it says it answers; empty where it does not say."""
    try:
        said = json.loads(from_base64url(credential.response.client_data_json))
        challenge = said["challenge"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return challenge if isinstance(challenge, str) else ""
