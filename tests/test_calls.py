"""Calls that are answered without the framework: as it would answer them, and refused likewise."""

import secrets
from http.cookies import SimpleCookie
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tenantry.testing import PASSWORD, Api, ok, refused, registration, unique_email
from tenantry.testing.servers import Db
from tests.authenticators import with_app
from tests.twice import assert_same, both, by_framework, posted

ASKED = {"x-session-cookie": "1"}
REFRESH, INVITE = "/api/auth/refresh", "/api/users/invite"
BODIES = [
    b"",
    b" ",
    b"{",
    b"null",
    b"[]",
    b"7",
    b"{}",
    b'{"refreshToken": 7}',
    b'{"refreshToken": null}',
    b'{"refreshToken": ""}',
    b'{"refreshToken": "a.b.c"}',
    b'{"refreshToken": "a", "more": 1}',
    b'{"refreshToken": "a", "refreshToken": "b"}',
    b'{"refreshToken": 7, "refreshToken": "b"}',
    b'{"refreshToken": "a", "refreshToken": 7}',
    b'{"refreshToken": "\\ud800"}',
    b'{"refreshToken": "\xff"}',
    b'{"refreshToken": NaN}',
    b'{"refreshToken": "a"} {}',
    b'{"refreshToken": ' + b"[" * 100_000,
    b'{"refreshToken": "' + b"a" * 5000 + b'"}',
    b'{"refreshToken": "' + b"a" * 1024 * 1024 + b'"}',
]


def newcomer() -> dict[str, Any]:
    """A registration whose answer is as long as another's."""
    return registration(organisationName=f"Odd {secrets.token_hex(6)}")


class TestPublicCalls:
    async def test_succeed_as_by_the_framework(self, api: Api, left: list[str]) -> None:
        bodies = [newcomer(), newcomer()]
        assert_same(await posted(api, "/api/auth/register", *bodies))
        login = [{"email": one["email"], "password": PASSWORD} for one in bodies]
        answers = await posted(api, "/api/auth/login", *login)
        assert_same(answers)
        tokens = [{"refreshToken": ok(answer)["refreshToken"]} for answer in answers]
        assert_same(await posted(api, REFRESH, *tokens))
        assert_same(await posted(api, "/api/auth/forgot-password", {"email": unique_email()}))
        asked = ["register", "login", "refresh", "forgot-password"]
        assert left == [f"/api/auth/{call}" for call in asked]  # each once, for the comparison

    async def test_ask_for_a_second_factor(self, api: Api) -> None:
        admin = await api.register()
        await with_app(admin)
        who = {"email": admin.user["email"], "password": PASSWORD}
        assert_same(await posted(api, "/api/auth/login", who))

    @pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:50]))
    async def test_take_a_body_as_the_framework_does(self, api: Api, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        ours = await api.http.post(REFRESH, content=body, headers=headers)
        theirs = await api.http.post(by_framework(REFRESH), content=body, headers=headers)
        assert ours.status_code in {400, 401, 413, 422}
        assert_same((ours, theirs))

    async def test_take_a_body_in_pieces(self, api: Api) -> None:
        async def pieces() -> Any:
            yield b'{"refresh'
            yield b'Token": "a.b.c"}'

        ours = await api.http.post(REFRESH, content=pieces())
        theirs = await api.http.post(by_framework(REFRESH), content=pieces())
        refused(assert_same((ours, theirs)), 401, code="REFRESH_TOKEN_INVALID")

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense"]
    )
    @pytest.mark.parametrize("body", [b'{"refreshToken": "a.b.c"}', b"refreshToken=a.b.c"])
    async def test_take_media_types_as_the_framework_does(
        self, api: Api, kind: str, body: bytes
    ) -> None:
        headers = {"content-type": kind}
        ours = await api.http.post(REFRESH, content=body, headers=headers)
        theirs = await api.http.post(by_framework(REFRESH), content=body, headers=headers)
        assert_same((ours, theirs))

    @pytest.mark.parametrize(
        ("path", "body", "code"),
        [
            ("/api/auth/login", {"email": "a@b.example", "password": "x"}, "CREDENTIALS_INVALID"),
            ("/api/auth/register", registration(password="password1"), "VALIDATION_FAILED"),
            ("/api/auth/reset-password", {"token": "x", "password": PASSWORD}, None),
            ("/api/users/invites/open", {"token": "x"}, None),
            ("/api/auth/nonsense", {}, "NOT_FOUND"),
            ("/api/auth/me", {}, "METHOD_NOT_ALLOWED"),
            ("/api/auth/refresh/", {"refreshToken": "a.b.c"}, "REFRESH_TOKEN_INVALID"),
        ],
    )
    async def test_refuse_as_the_framework_does(
        self, api: Api, path: str, body: dict[str, Any], code: str | None
    ) -> None:
        answer = assert_same(await posted(api, path, body))
        refused(answer, answer.status_code, code=code)

    async def test_leave_a_strange_host_to_the_framework(self, api: Api, left: list[str]) -> None:
        refused(await api.http.post(REFRESH, json={}, headers={"host": "a b"}), 400)
        assert left == [REFRESH]


class TestTheCookieForm:
    """Which a page of the server's own asks for."""

    async def test_is_as_by_the_framework(self, api: Api) -> None:
        bodies = [newcomer(), newcomer()]
        made = await posted(api, "/api/auth/register", *bodies, **ASKED)
        assert "set-cookie" in assert_same(made).headers
        api.http.cookies.clear()
        tokens = [SimpleCookie(answer.headers["set-cookie"]) for answer in made]
        answers = []
        for token, path in zip(tokens, (REFRESH, by_framework(REFRESH)), strict=True):
            cookie = token.output(attrs=[], header="").strip()
            headers = {**ASKED, "cookie": cookie}
            answers.append(await api.http.post(path, json={}, headers=headers))
            api.http.cookies.clear()
        ours, theirs = answers
        assert "set-cookie" in assert_same((ours, theirs)).headers

    async def test_is_refused_as_by_the_framework(self, api: Api) -> None:
        nobody = {**ASKED, "cookie": "tenantry_refresh=a.b.c"}
        cleared = assert_same(await posted(api, REFRESH, {}, **nobody))
        assert "Max-Age=0" in cleared.headers["set-cookie"]
        refused(cleared, 401)
        for headers in ({"x-session-cookie": "2"}, {**ASKED, "sec-fetch-site": "same-site"}):
            answer = assert_same(await posted(api, REFRESH, {}, **headers))
            assert answer.status_code in {403, 422}


class TestGuardedCalls:
    async def test_succeed_as_by_the_framework(self, api: Api, left: list[str]) -> None:
        admin = await api.register()
        await admin.change_plan("ENTERPRISE")
        left.clear()
        bearer = {"authorization": f"Bearer {admin.token}"}
        invites = [{"email": unique_email("invited")} for _ in range(3)]
        answers = await posted(api, INVITE, *invites[:2], **bearer)
        assert_same(answers)
        new = {"name": "Grace Hopper", "password": PASSWORD}
        accepted = [{"token": ok(answer, 201)["token"], **new} for answer in answers]
        assert_same(await posted(api, "/api/users/accept-invite", *accepted))
        assert_same(await both(admin, "/api/auth/me"))
        here = {"organisationId": admin.organisation["id"]}
        assert_same(await posted(api, "/api/auth/switch", here, **bearer))
        assert left == [INVITE, "/api/users/accept-invite", "/api/auth/me", "/api/auth/switch"]

    async def test_accept_as_somebody(self, api: Api, left: list[str]) -> None:
        admin, other = await api.register(), await api.register()
        token = ok(await admin.invite(other.user["email"]), 201)["token"]
        left.clear()
        ok(await other.post("/api/users/accept-invite", token=token), 201)
        assert not left
        again = {"authorization": f"Bearer {other.token}"}
        assert_same(await posted(api, "/api/users/accept-invite", {"token": token}, **again))
        nobody = {"authorization": "Bearer nonsense"}
        refused(
            assert_same(await posted(api, "/api/users/accept-invite", {"token": token}, **nobody)),
            401,
        )

    async def test_refuse_as_the_framework_does(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add("Grace Hopper")
        left = await admin.add("Gone Away")
        await admin.remove(left.id)
        somebody = {"email": unique_email()}
        for sent, body, status in (
            ("", somebody, 401),
            ("Basic YQ==", somebody, 401),
            ("Bearer nonsense", somebody, 401),
            (f"Bearer {left.token}", somebody, 401),
            (f"Bearer {member.token}", somebody, 403),
            (f"Bearer {member.token}", {"email": 7}, 403),  # the guard is asked before the body
            ("Bearer nonsense", {"email": 7}, 401),
            (f"Bearer {admin.token}", {"email": 7}, 422),
            (f"Bearer {admin.token}", {"email": "a@b.co", "customRoleId": "7"}, 422),
            (f"Bearer {admin.token}", {"email": member.user["email"]}, 409),
        ):
            refused(assert_same(await posted(api, INVITE, body, authorization=sent)), status)

    async def test_ask_for_the_second_factor_that_is_required(self, fresh: Api, owner: Db) -> None:
        admin = await fresh.register()
        await owner.execute("UPDATE organisations SET requires_second_factor = true")
        bearer = {"authorization": f"Bearer {admin.token}"}
        answer = assert_same(await posted(fresh, INVITE, {"email": unique_email()}, **bearer))
        refused(answer, 403, code="SECOND_FACTOR_REQUIRED")
        assert_same(await both(admin, "/api/auth/me"))


class TestPathsWithParameters:
    async def test_are_answered_as_by_the_framework(self, api: Api, left: list[str]) -> None:
        admin = await api.register()
        ok(await admin.change_plan("ENTERPRISE"))
        for path in ("/api/users/nobody", f"/api/users/{uuid4()}", f"/api/users/invites/{uuid4()}"):
            ours = await admin.call("DELETE", path)
            refused(ours, 404)
            assert_same((ours, await admin.call("DELETE", by_framework(path))))
        invite = ok(await admin.invite(), 201)
        left.clear()
        resent = await admin.call("POST", f"/api/users/invites/{invite['id']}/resend")
        refused(resent, 429, code="INVITE_SENT_LATELY")
        ok(await admin.call("DELETE", f"/api/users/invites/{invite['id']}"))
        member = await admin.add("Grace Hopper")
        ok(await admin.change_role(member.id, role="ADMIN"))
        assert left == []

    async def test_are_not_taken_for_those_that_are_fixed(self, api: Api) -> None:
        """Or the list of invites would be a member called invites."""
        admin = await api.register()
        answer = await admin.call("DELETE", "/api/users/invites")
        refused(answer, 405)
        assert "GET" in answer.headers["allow"]

    @pytest.mark.parametrize("odd", ["%0A", "%00", "a%2Fb", "%C3%A9", "..", "%", "a b"])
    async def test_take_what_is_odd_as_the_framework_does(self, api: Api, odd: str) -> None:
        admin = await api.register()
        url = httpx.URL(api.url)
        answers = [
            await admin.call("DELETE", str(url.copy_with(raw_path=path.encode())))
            for path in (f"/api/users/{odd}", f"/api/users/{odd}/")
        ]
        assert_same((answers[0], answers[1]))
