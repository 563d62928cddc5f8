"""The two ceremonies of WebAuthn, as py_webauthn verifies them.

Imported when the first passkey comes; see relying_party.py.
"""

import json

import msgspec
import structlog
from webauthn import verify_authentication_response, verify_registration_response

from tenantry.auth.credentials import (
    Credential,
    Expected,
    NewCredential,
    Registered,
    from_base64url,
)

log = structlog.get_logger()

# Both catch whatever is raised: what parses foreign CBOR, ASN.1 and certificates says anything.


def verify_registration(credential: NewCredential, expected: Expected) -> Registered | None:
    """What there is to keep of a new passkey; None where it does not verify."""
    try:
        _refuse_frames(credential)
        verified = verify_registration_response(
            credential=msgspec.to_builtins(credential),
            expected_challenge=expected.challenge,
            expected_rp_id=expected.rp_id,
            expected_origin=expected.origins,
        )
    except Exception as error:
        log.info("a new passkey was refused", why=str(error))
        return None
    return Registered(
        verified.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        verified.user_verified,
    )


def verify_assertion(
    credential: Credential, expected: Expected, public_key: bytes, user_verified: bool
) -> int | None:
    """The authenticator's count of signatures, for the caller to compare with the one before;
    None where it does not verify. `user_verified`: by the authenticator, with PIN or finger.
    """
    try:
        _refuse_frames(credential)
        verified = verify_authentication_response(
            credential=msgspec.to_builtins(credential),
            expected_challenge=expected.challenge,
            expected_rp_id=expected.rp_id,
            expected_origin=expected.origins,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=user_verified,
        )
    except Exception as error:
        log.info("a passkey was refused", why=str(error))
        return None
    return verified.new_sign_count


def _refuse_frames(credential: NewCredential | Credential) -> None:
    """What py_webauthn leaves to its caller (WebAuthn Level 3, 7.1.10 and 7.2.13)."""
    if json.loads(from_base64url(credential.response.client_data_json)).get("crossOrigin"):
        raise ValueError("the page was in a frame of another origin")
