"""Access and refresh tokens: JSON Web Tokens (RFC 7519), HS256, a secret each; links' tokens.

A token says who, which session and which organisation; never what one may do there.
"""

import base64
import hashlib
import hmac
import secrets
import time
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from tenantry.settings import Settings

HEADER = {"alg": "HS256", "typ": "JWT"}
ALGORITHMS = ["HS256"]
REMEMBERED = 4096  # access tokens whose signature need not be verified again


class Claims(NamedTuple):
    """`family` is a refresh token's: of the login itself, it has the session's id."""

    user: UUID
    session: UUID
    organisation: UUID
    id: str
    family: UUID


class TokenError(Exception):
    """Not a token of ours, of another kind, or expired."""


class Tokens:
    def __init__(self, settings: Settings) -> None:
        self._access_key = OctKey.import_key(settings.jwt_access_secret)
        self._refresh_key = OctKey.import_key(settings.jwt_refresh_secret)
        self._refresh_secret = settings.jwt_refresh_secret.encode()
        self._access_lifetime = settings.jwt_access_expires_in
        self.refresh_lifetime = settings.jwt_refresh_expires_in
        self.session_lifetime = settings.session_expires_in
        # A signature that was right stays right, and verifying it is a seventh of a request.
        self._verified_access = lru_cache(REMEMBERED)(
            partial(_verified, self._access_key, "access")
        )

    def access(self, user: UUID, session: UUID, organisation: UUID, now: datetime) -> str:
        return _sign(
            self._access_key,
            "access",
            Claims(user, session, organisation, secrets.token_urlsafe(12), session),
            now,
            self._access_lifetime,
        )

    def refresh(self, claims: Claims, issued: datetime) -> str:
        """The refresh token of these claims: the same claims and time give the same string."""
        return _sign(self._refresh_key, "refresh", claims, issued, self.refresh_lifetime)

    def read_access(self, token: str) -> Claims:
        """Raises `TokenError`."""
        return _unexpired(*self._verified_access(token))

    def read_refresh(self, token: str) -> Claims:
        """Raises `TokenError`."""
        return _unexpired(*_verified(self._refresh_key, "refresh", token))

    def successor(self, claims: Claims) -> Claims:
        """The claims of the next refresh token of this session.

        Derived, so that a repeated refresh can be given the same token again, although the
        database knows only hashes.
        """
        digest = hmac.digest(self._refresh_secret, claims.id.encode(), "sha256")
        return claims._replace(id=digest.hex())

    def derived(self, purpose: str, nonce: str) -> str:
        """The token of a link; see `derived_token`."""
        return derived_token(self._refresh_secret, purpose, nonce)


def _verified(key: OctKey, kind: str, token: str) -> tuple[Claims, int]:
    """The claims of a token with the right signature, and when it expires."""
    try:
        claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        if claims["kind"] != kind:
            raise TokenError
        session = UUID(claims["sid"])
        who = Claims(
            UUID(claims["sub"]),
            session,
            UUID(claims["org"]),
            claims["jti"],
            UUID(claims["fam"]) if "fam" in claims else session,
        )
        return who, int(claims["exp"])
    except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenError from error


def _unexpired(claims: Claims, expires: int) -> Claims:
    if expires <= time.time():
        raise TokenError
    return claims


def first_refresh_id() -> str:
    return secrets.token_hex(32)


def new_nonce() -> str:
    """What a link's token is derived from. Worth nothing without the secret."""
    return secrets.token_urlsafe(24)


def derived_token(refresh_secret: bytes, purpose: str, nonce: str) -> str:
    """The single-use token of a link in a mail.

    The database has its hash, the queue its nonce; only who has the secret can make it.
    """
    key = hmac.digest(refresh_secret, b"tenantry link token", "sha256")
    digest = hmac.digest(key, f"{purpose}\0{nonce}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def token_hash(token_id: str) -> bytes:
    """What the database keeps of a token. Plain SHA-256, as tokens are random, unlike passwords."""
    return hashlib.sha256(token_id.encode()).digest()


def _sign(key: OctKey, kind: str, claims: Claims, issued: datetime, lifetime: timedelta) -> str:
    seconds = int(issued.timestamp())
    family = {} if claims.family == claims.session else {"fam": str(claims.family)}
    return jwt.encode(
        HEADER,
        {
            **family,
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
