"""Access and refresh tokens: JSON Web Tokens (RFC 7519), HS256, a secret each.

A token says who, which session and which organisation; never what one may do there.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from tenantry.settings import Settings

HEADER = {"alg": "HS256", "typ": "JWT"}
ALGORITHMS = ["HS256"]


class Claims(NamedTuple):
    user: UUID
    session: UUID
    organisation: UUID
    id: str


class TokenError(Exception):
    """Not a token of ours, of another kind, or expired."""


class Tokens:
    def __init__(self, settings: Settings) -> None:
        self._access_key = OctKey.import_key(settings.jwt_access_secret)
        self._refresh_key = OctKey.import_key(settings.jwt_refresh_secret)
        self._refresh_secret = settings.jwt_refresh_secret.encode()
        self._access_lifetime = settings.jwt_access_expires_in
        self.refresh_lifetime = settings.jwt_refresh_expires_in
        self._registry = jwt.JWTClaimsRegistry(exp={"essential": True})

    def access(self, user: UUID, session: UUID, organisation: UUID, now: datetime) -> str:
        return _sign(
            self._access_key,
            "access",
            Claims(user, session, organisation, secrets.token_urlsafe(12)),
            now,
            self._access_lifetime,
        )

    def refresh(self, claims: Claims, issued: datetime) -> str:
        """The refresh token of these claims: the same claims and time give the same string."""
        return _sign(self._refresh_key, "refresh", claims, issued, self.refresh_lifetime)

    def read_access(self, token: str) -> Claims:
        """Raises `TokenError`."""
        return self._read(self._access_key, "access", token)

    def read_refresh(self, token: str) -> Claims:
        """Raises `TokenError`."""
        return self._read(self._refresh_key, "refresh", token)

    def successor(self, claims: Claims) -> Claims:
        """The claims of the next refresh token of this session.

        Derived, so that a repeated refresh can be given the same token again, although the
        database knows only hashes.
        """
        digest = hmac.digest(self._refresh_secret, claims.id.encode(), "sha256")
        return claims._replace(id=digest.hex())

    def _read(self, key: OctKey, kind: str, token: str) -> Claims:
        try:
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
            self._registry.validate(claims)
            if claims["kind"] != kind:
                raise TokenError
            return Claims(
                UUID(claims["sub"]), UUID(claims["sid"]), UUID(claims["org"]), claims["jti"]
            )
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenError from error


def first_refresh_id() -> str:
    return secrets.token_hex(32)


def token_hash(token_id: str) -> bytes:
    """What the database keeps of a token. Plain SHA-256, as tokens are random, unlike passwords."""
    return hashlib.sha256(token_id.encode()).digest()


def _sign(key: OctKey, kind: str, claims: Claims, issued: datetime, lifetime: timedelta) -> str:
    seconds = int(issued.timestamp())
    return jwt.encode(
        HEADER,
        {
            "kind": kind,
            "sub": str(claims.user),
            "sid": str(claims.session),
            "org": str(claims.organisation),
            "jti": claims.id,
            "iat": seconds,
            "exp": seconds + int(lifetime.total_seconds()),
        },
        key,
    )
