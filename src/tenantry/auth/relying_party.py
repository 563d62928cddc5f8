"""The relying party of passkeys: this server, by the name in its PUBLIC_URL.

A passkey is bound to that name. A page may use it from the server's own origin, and from those of
CORS_ORIGINS that have the same name or one below it.
"""

import asyncio
import importlib
import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from asyncpg import Record

from tenantry.auth.challenges import LIFETIME, Challenge
from tenantry.auth.credentials import (
    KIND,
    Credential,
    Expected,
    NewCredential,
    PasskeyAlgorithm,
    PasskeyCreationOptions,
    PasskeyDescriptor,
    PasskeyOwner,
    PasskeyParty,
    PasskeyRequestOptions,
    PasskeySelection,
    Preference,
    Registered,
    from_base64url,
    to_base64url,
)
from tenantry.errors import PasskeysNotSetUp
from tenantry.settings import Settings

# EdDSA, ES256, RS256 (COSE): every authenticator has one of them.
ALGORITHMS = [PasskeyAlgorithm(number, KIND) for number in (-8, -7, -257)]
TIMEOUT = int(LIFETIME.total_seconds() * 1000)

# Verifying brings py_webauthn and pyOpenSSL, which cost every start 45 ms and 5 MB although most
# never see a passkey. So they are imported with the first one, in the thread that verifies it.
CEREMONIES = "tenantry.auth.ceremonies"


class RelyingParty:
    def __init__(self, settings: Settings) -> None:
        url = settings.public_url
        if url is None and not settings.production:
            url = f"http://localhost:{settings.port}"
        parts = urlsplit(url or "")
        self.name = parts.hostname if settings.public_url and parts.hostname else "Tenantry"
        self.id = parts.hostname or ""
        self.works = _secure(parts.scheme, self.id)
        self.origins = [
            f"{origin.scheme}://{origin.netloc}".lower()
            for origin in (parts, *map(urlsplit, settings.cors_origins))
            if _secure(origin.scheme, origin.hostname or "")
            and (origin.hostname == self.id or (origin.hostname or "").endswith(f".{self.id}"))
        ]

    def require(self) -> None:
        """Raises `PasskeysNotSetUp`."""
        if not self.works:
            raise PasskeysNotSetUp

    def creation_options(
        self, challenge: Challenge, user: UUID, name: str, email: str, present: Sequence[Record]
    ) -> PasskeyCreationOptions:
        """`present` are the passkeys that the user has, none of which is to be added again."""
        return PasskeyCreationOptions(
            rp=PasskeyParty(self.id, self.name),
            user=PasskeyOwner(to_base64url(user.bytes), email, name),
            challenge=challenge.token,
            pub_key_cred_params=ALGORITHMS,
            timeout=TIMEOUT,
            exclude_credentials=_descriptors(present),
            authenticator_selection=PasskeySelection(Preference.PREFERRED, Preference.PREFERRED),
            attestation="none",
        )

    def request_options(
        self, challenge: Challenge, passkeys: Sequence[Record] | None
    ) -> PasskeyRequestOptions:
        """`passkeys` are those that will do; None for any, by which its owner is found, too."""
        return PasskeyRequestOptions(
            challenge=challenge.token,
            timeout=TIMEOUT,
            rp_id=self.id,
            allow_credentials=_descriptors(passkeys or ()),
            user_verification=Preference.REQUIRED if passkeys is None else Preference.PREFERRED,
        )

    async def registered(self, credential: NewCredential, challenge: str) -> Registered | None:
        """See `ceremonies.verify_registration`."""
        expected = self._expected(challenge)
        return await asyncio.to_thread(
            lambda: _ceremonies().verify_registration(credential, expected)
        )

    async def asserted(
        self, credential: Credential, challenge: str, public_key: bytes, *, user_verified: bool
    ) -> int | None:
        """See `ceremonies.verify_assertion`."""
        expected = self._expected(challenge)
        return await asyncio.to_thread(
            lambda: _ceremonies().verify_assertion(credential, expected, public_key, user_verified)
        )

    def _expected(self, challenge: str) -> Expected:
        return Expected(from_base64url(challenge), self.id, self.origins)


def _ceremonies() -> Any:
    return importlib.import_module(CEREMONIES)


def _secure(scheme: str, host: str) -> bool:
    """Whether browsers let a page there use passkeys: https and a name, or localhost."""
    if host == "localhost" or host.endswith(".localhost"):
        return scheme in ("http", "https")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return scheme == "https" and bool(host)
    return False


def _descriptors(passkeys: Sequence[Record]) -> list[PasskeyDescriptor]:
    return [
        PasskeyDescriptor(to_base64url(one["credential_id"]), one["transports"], KIND)
        for one in passkeys
    ]
