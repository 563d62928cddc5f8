"""Access and refresh tokens: JSON Web Tokens as a library of them understands them (joserfc)."""

import base64
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from uuid_utils.compat import uuid4

from tenantry.db.database import Who
from tenantry.settings import Settings
from tenantry.tenancy.tokens import Claims, TokenError, Tokens, first_refresh_id
from tenantry.testing.servers import REFRESH_SECRET, SECRET

NOW = datetime.now(UTC)
TOKENS = Tokens(replace(Settings(), jwt_access_secret=SECRET, jwt_refresh_secret=REFRESH_SECRET))
USER, SESSION, ORGANISATION, FAMILY = uuid4(), uuid4(), uuid4(), uuid4()
CLAIMS = Claims(USER, SESSION, ORGANISATION, first_refresh_id(), SESSION)
WHO = Who(USER, SESSION, ORGANISATION)
TYPED = '{"typ":"JWT","alg":"HS256"}'


def text(data: bytes | str) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: str, payload: str, digest: str = "sha256") -> str:
    """A token of these parts as they stand in it, with the right signature."""
    whole = f"{header}.{payload}"
    return f"{whole}.{text(hmac.digest(SECRET.encode(), whole.encode(), digest))}"


def payload(**changes: Any) -> dict[str, Any]:
    """An access token's claims; those that are None are left out."""
    seconds = int(NOW.timestamp())
    ours = {
        "kind": "access",
        "sub": str(USER),
        "sid": str(SESSION),
        "org": str(ORGANISATION),
        "jti": "a",
        "iat": seconds,
        "exp": seconds + 3600,
        **changes,
    }
    return {name: value for name, value in ours.items() if value is not None}


class TestOurs:
    def test_access_tokens_are_what_a_library_verifies(self) -> None:
        token = TOKENS.access(USER, SESSION, ORGANISATION, NOW)
        found = jwt.decode(token, OctKey.import_key(SECRET), algorithms=["HS256"])
        seconds = int(NOW.timestamp())
        assert found.header == {"typ": "JWT", "alg": "HS256"}
        assert found.claims == payload(jti=found.claims["jti"], exp=seconds + 15 * 60)
        assert TOKENS.read_access(token) == WHO

    @pytest.mark.parametrize("family", [SESSION, FAMILY])
    def test_refresh_tokens_are_letter_for_letter_a_librarys(self, family: UUID) -> None:
        claims = CLAIMS._replace(family=family)
        token = TOKENS.refresh(claims, NOW)
        found = jwt.decode(token, OctKey.import_key(REFRESH_SECRET), algorithms=["HS256"])
        assert found.claims.get("fam") == (str(FAMILY) if family == FAMILY else None)
        again = jwt.encode({"alg": "HS256"}, found.claims, OctKey.import_key(REFRESH_SECRET))
        assert again == token == TOKENS.refresh(claims, NOW)
        assert TOKENS.read_refresh(token) == claims

    def test_are_each_of_one_kind(self) -> None:
        with pytest.raises(TokenError):
            TOKENS.read_refresh(TOKENS.access(USER, SESSION, ORGANISATION, NOW))
        with pytest.raises(TokenError):
            TOKENS.read_access(TOKENS.refresh(CLAIMS, NOW))

    def test_expire(self) -> None:
        token = TOKENS.access(USER, SESSION, ORGANISATION, NOW - timedelta(minutes=16))
        for _ in range(2):  # also one whose signature is remembered
            with pytest.raises(TokenError):
                TOKENS.read_access(token)


class TestALibrarys:
    @pytest.mark.parametrize("claims", [payload(), payload(aud="more"), payload(fam=str(SESSION))])
    def test_with_the_right_claims_are_accepted(self, claims: dict[str, Any]) -> None:
        token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
        assert TOKENS.read_access(token) == WHO

    def test_with_the_header_the_other_way_round_are_accepted(self) -> None:
        token = signed(text('{"alg":"HS256","typ":"JWT"}'), text(json.dumps(payload())))
        assert TOKENS.read_access(token) == WHO

    @pytest.mark.parametrize(
        "changes",
        [
            *({name: None} for name in payload()),
            *({name: 7.5} for name in payload()),
            {"kind": "refresh"},
            {"sub": "nobody"},
            {"org": 7},
            {"fam": 7},
            {"exp": "9999999999"},
            {"exp": 0},
            {"exp": -1},
        ],
        ids=str,
    )
    def test_with_wrong_claims_are_refused(self, changes: dict[str, Any]) -> None:
        token = jwt.encode({"alg": "HS256"}, payload(**changes), OctKey.import_key(SECRET))
        with pytest.raises(TokenError):
            TOKENS.read_access(token)

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    def test_of_another_algorithm_are_refused(self, algorithm: str) -> None:
        key = OctKey.import_key(SECRET)
        token = jwt.encode({"alg": algorithm}, payload(), key, algorithms=[algorithm])
        with pytest.raises(TokenError):
            TOKENS.read_access(token)

    def test_of_another_key_are_refused(self) -> None:
        for secret in (REFRESH_SECRET, SECRET[:-1] + "X"):
            token = jwt.encode({"alg": "HS256"}, payload(), OctKey.import_key(secret))
            with pytest.raises(TokenError):
                TOKENS.read_access(token)


class TestForged:
    """Nothing opens but what we have signed, in the one form in which we write it."""

    HEADER, PAYLOAD = text(TYPED), text(json.dumps(payload()))

    def test_the_parts_are_right(self) -> None:
        assert TOKENS.read_access(signed(self.HEADER, self.PAYLOAD))

    def test_every_other_letter_is_refused(self) -> None:
        token = signed(self.HEADER, self.PAYLOAD)
        for place, letter in enumerate(token):
            for other in ("A", "B", "", f"{letter}=", "é", "\ud800", "\0"):
                if other != letter:
                    with pytest.raises(TokenError):
                        TOKENS.read_access(token[:place] + other + token[place + 1 :])

    @pytest.mark.parametrize(
        "header",
        [
            '{"alg":"none","typ":"JWT"}',
            '{"alg":"HS512","typ":"JWT"}',
            '{"alg":"HS256"}',
            '{"alg": "HS256", "typ": "JWT"}',
            '{"typ":"JWT","alg":"HS256","kid":"../../dev/null"}',
            '{"typ":"JWT","alg":"HS256","jwk":{}}',
            '{"typ":"JWT","alg":"HS256"} ',
            "nonsense",
            "",
        ],
    )
    def test_with_another_header(self, header: str) -> None:
        """Even signed rightly."""
        with pytest.raises(TokenError):
            TOKENS.read_access(signed(text(header), self.PAYLOAD))

    @pytest.mark.parametrize(
        "body",
        [
            PAYLOAD + "=",
            PAYLOAD + "==",
            PAYLOAD + "\n",
            PAYLOAD + ".",
            PAYLOAD + "." + PAYLOAD,
            " " + PAYLOAD,
            PAYLOAD[:8] + "!" + PAYLOAD[8:],
            text("nonsense"),
            text(b"\xff"),
            text("[]"),
            text("null"),
            text(json.dumps(payload())[:-1]),
            text(json.dumps(payload()) + "{}"),
            "A",
            "",
        ],
    )
    def test_with_a_payload_that_is_not_written_so(self, body: str) -> None:
        """Even signed rightly."""
        with pytest.raises(TokenError):
            TOKENS.read_access(signed(self.HEADER, body))

    def test_with_letters_that_say_the_same(self) -> None:
        """The last letter of base64 may have bits that count for nothing, and two alphabets."""
        spaces = next(n for n in range(3) if len(json.dumps(payload()) + " " * n) % 3 == 1)
        right = text(json.dumps(payload()) + " " * spaces)
        assert TOKENS.read_access(signed(self.HEADER, right))
        sloppy = right[:-1] + chr(ord(right[-1]) + 1)
        assert base64.urlsafe_b64decode(sloppy + "==") == base64.urlsafe_b64decode(right + "==")
        with pytest.raises(TokenError):
            TOKENS.read_access(signed(self.HEADER, sloppy))

    def test_without_a_signature(self) -> None:
        none = text('{"alg":"none"}')
        for whole in ("", ".", f"{self.HEADER}.{self.PAYLOAD}", f"{none}.{self.PAYLOAD}"):
            for token in (whole, f"{whole}."):
                with pytest.raises(TokenError):
                    TOKENS.read_access(token)

    def test_with_a_signature_of_another_hash(self) -> None:
        for digest in ("sha1", "sha384", "sha512"):
            with pytest.raises(TokenError):
                TOKENS.read_access(signed(self.HEADER, self.PAYLOAD, digest))
