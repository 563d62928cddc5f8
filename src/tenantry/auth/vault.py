"""The vault: authenticator secrets, sealed before the database has them.

Unlike a password, such a secret is needed itself to compare a code with, so a hash will not do.
AES-256-GCM, under a key derived from JWT_REFRESH_SECRET; sealed for one person, so that a
secret copied into somebody else's row does not open.
"""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class VaultError(Exception):
    """It was sealed for somebody else, or under another JWT_REFRESH_SECRET."""


class Vault:
    def __init__(self, secret: str) -> None:
        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"tenantry totp secrets")
        self._cipher = AESGCM(derive.derive(secret.encode()))

    def seal(self, user: UUID, plain: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain.encode(), user.bytes)

    def unseal(self, user: UUID, sealed: bytes) -> str:
        """Raises `VaultError`."""
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, user.bytes).decode()
        except InvalidTag as error:
            raise VaultError from error
