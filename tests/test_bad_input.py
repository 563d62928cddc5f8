"""Anything a client can send gets an answer in the envelope, and changes nothing."""

import asyncio
import base64
import json
import re
import time
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey
from uuid_utils.compat import uuid4

from tenantry.inputs import Email, field_errors
from tenantry.tenancy.founding import MAX_LENGTH, slug_of
from tenantry.testing import Api, connect_socket, ok, refused, registration, unique_email
from tenantry.testing.servers import SECRET

fuzzing = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"{",
            b"nonsense",
            b'{"email": "a"',
            b'{"email": "\\ud800"}',
            b'{"email": "\xed\xa0\x80"}',
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"NaN",
            b"1e999",
            b"--boundary",
        ],
        ids=lambda body: repr(body[:16]),
    )
    async def test_that_are_no_json(self, api: Api, body: bytes) -> None:
        for path in ("/api/auth/register", "/api/auth/login", "/api/users/accept-invite"):
            answer = await api.http.post(
                path, content=body, headers={"content-type": "application/json"}
            )
            assert answer.status_code in (400, 422), answer.text
            refused(answer, answer.status_code)

    @pytest.mark.parametrize("value", [None, [], "text", 7, True, {}, {"$gt": ""}])
    async def test_of_the_wrong_shape(self, api: Api, value: object) -> None:
        for path in ("/api/auth/register", "/api/auth/login", "/api/auth/refresh"):
            refused(await api.http.post(path, json=value), 422)

    async def test_with_a_line_end_behind_a_name_or_an_address(self, api: Api) -> None:
        for field, value in (("name", "Ada\n"), ("email", unique_email() + "\n")):
            body = registration(**{field: value})
            refused(await api.post("/api/auth/register", **body), 422)

    async def test_with_thousands_of_unknown_fields_get_a_short_answer(self, api: Api) -> None:
        body = {str(number): number for number in range(50_000)}
        answer = refused(await api.post("/api/auth/login", **body), 422)
        assert len(answer["fields"]) == 20

    async def test_in_another_media_type(self, api: Api) -> None:
        form = await api.http.post("/api/auth/login", data={"email": "a@b.co", "password": "x"})
        assert form.status_code in (400, 422)
        refused(form, form.status_code)

    async def test_larger_than_a_mebibyte(self, api: Api) -> None:
        body = b'{"email": "' + b"a" * 1024 * 1024 + b'"}'

        async def chunks() -> Any:
            for start in range(0, len(body), 65536):
                yield body[start : start + 65536]

        for content in (body, chunks()):
            answer = await api.http.post("/api/auth/login", content=content)
            refused(answer, 413, code="BODY_TOO_LARGE")

    async def test_that_end_before_they_should_do_nothing(self, api: Api) -> None:
        admin = await api.register()
        body = b'{"message": "cut"}'
        url = httpx.URL(api.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            b"POST /api/organisations/broadcast HTTP/1.1\r\nhost: x\r\n"
            b"authorization: Bearer " + admin.token.encode() + b"\r\n"
            b"content-length: %d\r\n\r\n" % (len(body) + 1) + body
        )
        writer.write_eof()
        await reader.read()
        writer.close()
        assert len(await admin.feed()) == 1

    @pytest.mark.parametrize("field", ["name", "email", "password", "organisationName"])
    @pytest.mark.parametrize("value", ["nul\x00nul@x.co", "\x00" * 12, 12, None, [], {}])
    async def test_with_unfit_fields(self, api: Api, field: str, value: object) -> None:
        body = registration(**{field: value})
        answer = await api.post("/api/auth/register", **body)
        if field == "password" and isinstance(value, str):
            ok(answer, 201)  # a password is bytes to be hashed, whatever they are
        else:
            assert [item["field"] for item in refused(answer, 422)["fields"]] == [field]


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        ["/nowhere", "/api", "/api/users/a/b", "/docs/nowhere", "/docs/files/..%2fx", "/%00"],
    )
    async def test_that_lead_nowhere(self, api: Api, path: str) -> None:
        refused(await api.get(path), 404, code="NOT_FOUND")

    async def test_with_a_method_they_do_not_take(self, api: Api) -> None:
        answer = await api.http.put("/api/auth/login")
        refused(answer, 405, code="METHOD_NOT_ALLOWED")
        assert "POST" in answer.headers["allow"]

    async def test_answer_head_as_get_without_the_body(self, api: Api) -> None:
        get, head = await api.get("/health"), await api.http.head("/health")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


class TestTokens:
    """Forged, altered, expired and misused ones."""

    @staticmethod
    def claims(**changes: Any) -> dict[str, Any]:
        now = int(time.time())
        ids = {name: str(uuid4()) for name in ("sub", "sid", "org")}
        times = {"iat": now, "exp": now + 900}
        return {"kind": "access", "jti": "x", **ids, **times, **changes}

    def forged(self, real: str) -> list[str]:
        payload = json.loads(base64.urlsafe_b64decode(real.split(".")[1] + "=="))
        key = OctKey.import_key(SECRET)
        other = OctKey.import_key("another secret that is long enough to be one")
        header = {"alg": "HS256"}

        def plain(value: object) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

        return [
            f"{plain({'alg': 'none'})}.{plain(payload)}.",
            f"{plain({'alg': 'none'})}.{plain(payload)}.{real.split('.')[2]}",
            jwt.encode(header, payload, other),
            jwt.encode(header, {**payload, "exp": int(time.time()) - 1}, key),
            jwt.encode(header, {k: v for k, v in payload.items() if k != "exp"}, key),
            jwt.encode(header, {**payload, "kind": "refresh"}, key),
            jwt.encode(header, {**payload, "sub": "nobody"}, key),
            jwt.encode(header, {**payload, "sub": 7}, key),
            jwt.encode(header, {**payload, "org": str(uuid4())}, key),
            jwt.encode(header, {**payload, "sid": str(uuid4())}, key),
            jwt.encode(header, self.claims(), key),
            real[:-1],
            real + "A",
            "." * 2,
            "a.b.c",
            "é",
            "x" * 5000,
        ]

    async def test_open_nothing(self, api: Api) -> None:
        account = await api.register()
        ok(await account.get("/api/organisations"))
        for token in self.forged(account.token):
            answer = await api.http.get(
                "/api/organisations", headers={b"authorization": f"Bearer {token}".encode()}
            )
            refused(answer, 401, "Invalid or expired access token", "TOKEN_INVALID")

    async def test_of_another_organisation_open_that_one_only(self, api: Api) -> None:
        one, other = await api.register(), await api.register()
        payload = json.loads(base64.urlsafe_b64decode(one.token.split(".")[1] + "=="))
        payload["org"] = other.organisation["id"]
        token = jwt.encode({"alg": "HS256"}, payload, OctKey.import_key(SECRET))
        answer = await api.http.get(
            "/api/organisations", headers={"authorization": f"Bearer {token}"}
        )
        refused(answer, 401)


class TestAnything:
    """What hypothesis can think of."""

    @fuzzing
    @given(
        body=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["name", "email", "password", "role", "x"]), inner
                )
            ),
            max_leaves=8,
        )
    )
    async def test_as_a_body_is_answered_in_the_envelope(self, api: Api, body: object) -> None:
        content = json.dumps(body).encode()
        for path in ("/api/auth/register", "/api/auth/login", "/api/users/accept-invite"):
            refused(await api.http.post(path, content=content), 422)

    @fuzzing
    @given(name=st.text(min_size=1, max_size=250))
    def test_as_a_name_makes_a_fit_slug(self, name: str) -> None:
        slug = slug_of(name)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
        assert len(slug) <= MAX_LENGTH

    @fuzzing
    @given(email=st.emails())
    def test_that_is_an_address_of_ordinary_letters_is_taken(self, email: str) -> None:
        class Holder(msgspec.Struct):
            email: Email

        local, _, domain = email.rpartition("@")
        plain = re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+", local)
        labels = re.fullmatch(r"([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63}", domain)
        if plain and labels and len(email) <= 254:
            assert field_errors(Holder, {"email": email}) == ()

    @fuzzing
    @given(
        before=st.integers() | st.text(max_size=8),
        after=st.integers() | st.text(max_size=8),
        limit=st.integers() | st.text(max_size=8),
    )
    async def test_as_a_cursor_is_a_page_or_a_clear_refusal(
        self, api: Api, before: object, after: object, limit: object
    ) -> None:
        account = await api.register()
        answer = await account.get("/api/activities", before=before, after=after, limit=limit)
        if answer.status_code != 200:
            refused(answer, 422)

    @fuzzing
    @given(user_id=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
    async def test_as_an_id_is_nobody(self, api: Api, user_id: str) -> None:
        account = await api.register()
        answer = await account.call("DELETE", f"/api/users/{quote(user_id, safe='')}")
        assert answer.status_code in (404, 405), (user_id, answer.text)


async def test_a_socket_survives_anything_but_a_broken_frame(api: Api) -> None:
    account = await api.register()
    async with connect_socket(api.url, f"/ws?token={account.token}") as socket:
        await socket.recv()
        for message in ("", "\x00", "{}", '{"type":["PING"]}', b"\x00\xff", "9" * 60_000):
            await socket.send(message)
        await socket.send('{"type":"PING"}')
        assert json.loads(await socket.recv()) == {"type": "PONG"}
