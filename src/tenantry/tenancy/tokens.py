"""Access and refresh tokens: JSON Web Tokens (RFC 7519), HS256, a secret each; links' tokens.

A token says who, which session and which organisation; never what one may do there.

Signing is a few lines of our own: a library took 23 µs for each token where these take 7, and a
refresh has three. What is left out is what such libraries have been broken by: a token's header is
compared and never read, so it chooses neither algorithm nor key; nothing is decoded before the
signature is right; and no part has two spellings. The tests hold it against a library (joserfc).
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

import msgspec
from msgspec import UNSET, UnsetType

from tenantry.db.database import Who
from tenantry.settings import Settings

# {"typ":"JWT","alg":"HS256"}, which we write, and the same as others write it: base64url of each.
HEADERS = (b"eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9", b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")
REMEMBERED = 4096  # access tokens whose signature need not be verified again


class Claims(NamedTuple):
    """What a token says. The `family` is a refresh token's: the login's has the session's id."""

    user: UUID
    session: UUID
    organisation: UUID
    id: str
    family: UUID


class TokenError(Exception):
    """Not a token of ours, of another kind, or expired."""


class _Payload(msgspec.Struct, kw_only=True):
    """The claims as they go over the wire; `fam` is left out where it is the session's id."""

    fam: UUID | UnsetType = UNSET
    kind: str
    sub: UUID
    sid: UUID
    org: UUID
    jti: str
    iat: int
    exp: int


_encoded = msgspec.json.Encoder().encode
_decoded = msgspec.json.Decoder(_Payload).decode


class Tokens:
    def __init__(self, settings: Settings) -> None:
        self._access_secret = settings.jwt_access_secret.encode()
        self._refresh_secret = settings.jwt_refresh_secret.encode()
        self._access_lifetime = settings.jwt_access_expires_in
        self.refresh_lifetime = settings.jwt_refresh_expires_in
        self.session_lifetime = settings.session_expires_in
        # A signature that was right stays right.
        self._who = lru_cache(REMEMBERED)(partial(_who, self._access_secret))

    def access(self, user: UUID, session: UUID, organisation: UUID, now: datetime) -> str:
        return _sign(
            self._access_secret,
            "access",
            Claims(user, session, organisation, secrets.token_urlsafe(12), session),
            now,
            self._access_lifetime,
        )

    def refresh(self, claims: Claims, issued: datetime) -> str:
        """The refresh token of these claims: the same claims and time give the same string."""
        return _sign(self._refresh_secret, "refresh", claims, issued, self.refresh_lifetime)

    def read_access(self, token: str) -> Who:
        """Raises `TokenError`."""
        who, expires = self._who(token)
        _require_unexpired(expires)
        return who

    def read_refresh(self, token: str) -> Claims:
        """Raises `TokenError`."""
        claims, expires = _verified(self._refresh_secret, "refresh", token)
        _require_unexpired(expires)
        return claims

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


def _verified(secret: bytes, kind: str, token: str) -> tuple[Claims, int]:
    """The claims of a token with the right signature, and when it expires."""
    signed, _, signature = token.encode(errors="replace").rpartition(b".")
    if not hmac.compare_digest(signature, _signature(secret, signed)):
        raise TokenError
    header, _, payload = signed.partition(b".")
    try:
        found = _decoded(_from_base64url(payload))
    except (ValueError, msgspec.MsgspecError) as error:
        raise TokenError from error
    if header not in HEADERS or found.kind != kind:
        raise TokenError
    family = found.sid if found.fam is UNSET else found.fam
    return Claims(found.sub, found.sid, found.org, found.jti, family), found.exp


def _who(access_secret: bytes, token: str) -> tuple[Who, int]:
    claims, expires = _verified(access_secret, "access", token)
    return Who(claims.user, claims.session, claims.organisation), expires


def _require_unexpired(expires: int) -> None:
    if expires <= time.time():
        raise TokenError


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
    return _base64url(digest).decode()


def token_hash(token_id: str) -> bytes:
    """What the database keeps of a token. Plain SHA-256, as tokens are random, unlike passwords."""
    return hashlib.sha256(token_id.encode()).digest()


def _sign(secret: bytes, kind: str, claims: Claims, issued: datetime, lifetime: timedelta) -> str:
    seconds = int(issued.timestamp())
    payload = _Payload(
        fam=UNSET if claims.family == claims.session else claims.family,
        kind=kind,
        sub=claims.user,
        sid=claims.session,
        org=claims.organisation,
        jti=claims.id,
        iat=seconds,
        exp=seconds + int(lifetime.total_seconds()),
    )
    signed = HEADERS[0] + b"." + _base64url(_encoded(payload))
    return (signed + b"." + _signature(secret, signed)).decode()


def _signature(secret: bytes, signed: bytes) -> bytes:
    """HS256 (RFC 7518, 3.2) of what is signed, as it stands in a token (RFC 7515, 7.1)."""
    return _base64url(hmac.digest(secret, signed, "sha256"))


def _base64url(data: bytes) -> bytes:
    """Without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _from_base64url(text: bytes) -> bytes:
    """Raises `ValueError` for what `_base64url` would write in another way."""
    data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if _base64url(data) != text:
        raise ValueError("not canonical")
    return data
