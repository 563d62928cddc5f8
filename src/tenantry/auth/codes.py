"""Codes: those of an authenticator app (TOTP, RFC 6238), and recovery codes."""

import base64
import hmac
import secrets
import time

import pyotp

from tenantry.tenancy.tokens import token_hash

STEP = 30  # seconds; with six digits and SHA-1 what every app takes for granted
RECOVERY_CODES = 10
RECOVERY_BYTES = 15  # 120 bits, so that a plain hash of it cannot be searched


def new_secret() -> str:
    return pyotp.random_base32()


def address_of(secret: str, issuer: str, email: str) -> str:
    """What an app reads from the picture: otpauth://…"""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def step_of(secret: str, code: str, at: float | None = None) -> int | None:
    """The time step that the code is of: the present one or one beside it, as clocks differ.

    All are compared, each in constant time.
    """
    totp = pyotp.TOTP(secret, interval=STEP)
    present = int(time.time() if at is None else at) // STEP
    steps = [
        step
        for step in (present - 1, present, present + 1)
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())
    ]
    return steps[-1] if steps else None


def new_recovery_codes() -> list[str]:
    """Such as q7ft-2xkd-ahv4-yzne-3wlu-5bgs."""
    codes = [
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
        for _ in range(RECOVERY_CODES)
    ]
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


def recovery_hash(code: str) -> bytes:
    """What the database keeps of a recovery code, however it is written."""
    return token_hash("".join(letter for letter in code.lower() if letter.isalnum()))
