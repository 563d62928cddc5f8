"""Authenticators in software: an app that shows codes, and one that makes passkeys."""

import base64
import hashlib
import json
import secrets
import time
from typing import Any

import cbor2
import pyotp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tenantry.testing import PASSWORD, Account, ok

ORIGIN = "http://localhost:3000"  # where the tests' servers are in development


class App:
    """An authenticator app. Each code is of another time step, as the server takes none twice."""

    def __init__(self, secret: str) -> None:
        self.totp = pyotp.TOTP(secret)
        self._shown = 0

    def code(self) -> str:
        """This step's code, or the next one's. Both are taken even where a step begins meanwhile,
        so that two at a time are all that there are.
        """
        present = int(time.time()) // 30
        self._shown = max(self._shown + 1, present)
        assert self._shown <= present + 1
        return self.totp.generate_otp(self._shown)

    def last(self) -> str:
        """The code that was shown last, once more."""
        return self.totp.generate_otp(self._shown)

    def earlier(self) -> str:
        """The code before that, which nobody has used."""
        return self.totp.generate_otp(self._shown - 1)

    def wrong(self) -> str:
        present = int(time.time()) // 30
        right = {self.totp.generate_otp(step) for step in range(present - 3, present + 4)}
        return next(code for code in map("{:06}".format, range(100)) if code not in right)


async def with_app(account: Account) -> tuple[App, list[str]]:
    """Adds an authenticator app; gives it, and the recovery codes."""
    started = ok(await account.post("/api/auth/totp", password=PASSWORD), 201)
    app = App(started["secret"])
    answer = await account.post("/api/auth/totp/confirm", code=app.code())
    codes: list[str] = ok(answer, message="Authenticator app added")["recoveryCodes"]
    return app, codes


class Authenticator:
    """A passkey of one account; what it says can be wrong in every way."""

    def __init__(self, *, counts: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.count = 0
        self.counts = counts
        self.user_handle = ""

    def create(self, options: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        """What `navigator.credentials.create` gives."""
        self.user_handle = options["user"]["id"]
        point = self.key.public_key().public_numbers()
        public_key = {1: 2, 3: -7, -1: 1, -2: _bytes(point.x), -3: _bytes(point.y)}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(public_key)
        data = self._data(wrong.get("rp_id", options["rp"]["id"]), 0x41, wrong) + attested
        attestation = {"fmt": "none", "attStmt": {}, "authData": data}
        return self._credential(
            clientDataJSON=_client_data("webauthn.create", options["challenge"], wrong),
            attestationObject=to_text(cbor2.dumps(attestation)),
            transports=["internal"],
        )

    def get(self, options: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        """What `navigator.credentials.get` gives."""
        if self.counts:
            self.count += 1
        data = self._data(wrong.get("rp_id", options["rpId"]), 0x01, wrong)
        client_data = _client_data("webauthn.get", options["challenge"], wrong)
        signed = data + hashlib.sha256(to_bytes(client_data)).digest()
        return self._credential(
            clientDataJSON=client_data,
            authenticatorData=to_text(data),
            signature=to_text(self.key.sign(signed, ec.ECDSA(SHA256()))),
            userHandle=wrong.get("user_handle", self.user_handle),
        )

    def _data(self, rp_id: str, flags: int, wrong: dict[str, Any]) -> bytes:
        flags |= 0x04 if wrong.get("user_verified", True) else 0
        count: int = wrong.get("count", self.count)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")

    def _credential(self, **response: Any) -> dict[str, Any]:
        name = to_text(self.id)
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }


async def with_passkey(
    account: Account, authenticator: Authenticator | None = None, **wrong: Any
) -> Authenticator:
    """Adds a passkey."""
    authenticator = authenticator or Authenticator()
    answer = await account.post("/api/auth/passkeys/options", password=PASSWORD)
    credential = authenticator.create(ok(answer)["passkeyOptions"], **wrong)
    answer = await account.post("/api/auth/passkeys", name="Phone", credential=credential)
    ok(answer, 201, "Passkey added")
    return authenticator


def _client_data(kind: str, challenge: str, wrong: dict[str, Any]) -> str:
    said = {
        "type": kind,
        "challenge": wrong.get("challenge", challenge),
        "origin": wrong.get("origin", ORIGIN),
        "crossOrigin": wrong.get("cross_origin", False),
    }
    return to_text(json.dumps(said).encode())


def _bytes(number: int) -> bytes:
    return number.to_bytes(32, "big")


def to_text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def to_bytes(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
