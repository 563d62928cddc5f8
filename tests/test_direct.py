"""Calls that are answered without the framework: as it would answer them, and refused likewise."""

import secrets
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Annotated, Any, TypeAlias

import httpx
import msgspec
import pytest
from litestar import Litestar, Request, Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from tenantry import Feature
from tenantry.errors import Conflict, Forbidden, Unavailable
from tenantry.inputs import Input
from tenantry.reply import Reply
from tenantry.routing import Router
from tenantry.tenancy.guards import Allowed, any_member, signed_in
from tenantry.tenancy.reading import Reading
from tenantry.tenancy.tenant import Tenant
from tenantry.testing import (
    PASSWORD,
    Account,
    Api,
    Serve,
    ok,
    refused,
    registration,
    unique_email,
)
from tenantry.testing.servers import Db
from tests.authenticators import with_app

WHOLE = datetime(2026, 11, 25, 2, 16, 11, tzinfo=UTC)
PATHS = ["/api/organisations", "/api/users", "/api/activities"]
OF_EACH = {"x-request-id", "date"}
ASKED = {"x-session-cookie": "1"}
BY_THE_FRAMEWORK = {"origin": "https://elsewhere.example"}  # which knows of CORS


async def nobody(_: ASGIConnection[Any, Any, Any, Any], __: BaseRouteHandler) -> None:
    """A guard of a product's own."""
    raise Forbidden


@get("/forgetful", guards=[any_member], summary="Forgetful", operation_id="forgetful")
async def forgetful(reading: NamedDependency[Reading]) -> Reply[str]:
    """Answers without having read, and so without having asked who is there."""
    return Reply("Forgotten", str(reading.organisation_id))


@get("/closed", guards=[any_member, nobody], summary="Closed", operation_id="closed")
async def closed(reading: NamedDependency[Reading]) -> Reply[int]:
    """Guarded by more than the direct way knows."""
    return Reply("Read", await reading.json("SELECT 1"))


class Odd(Input):
    what: str
    number: int = 0


FAULTS = {
    "conflict": Conflict(),
    "away": Unavailable(),
    "bug": ValueError("a bug"),
    "theirs": NotFoundException(),
    "teapot": HTTPException(status_code=418),
}
CONTENTS: dict[str, Any] = {"object": {"a": 1}, "list": [1], "text": "x", "nothing": None}
DONE: list[str] = []


async def done(what: str) -> None:
    DONE.append(what)


@post("/faulty", guards=[any_member], summary="Faulty", operation_id="faulty")
async def faulty(data: JSONBody[Odd], tenant: NamedDependency[Tenant]) -> Reply[int]:
    """Fails as it is told, or says on which connection it is."""
    if data.what in FAULTS:
        raise FAULTS[data.what]
    return Reply("Worked", await tenant.value("SELECT pg_backend_pid() + $1 * 0", data.number))


@post("/unusual", guards=[any_member], summary="Unusual", operation_id="unusual")
async def unusual(data: JSONBody[Odd], request: Request[Any, Any, Any]) -> Response[Reply[str]]:
    """Answers with more than its content."""
    return Response(
        Reply("Answered", str(await request.json())),
        status_code=203,
        headers={"X-Odd": data.what},
        background=BackgroundTask(done, data.what),
    )


@get("/bare", guards=[any_member], summary="Bare", operation_id="bare")
async def bare(content: Annotated[str, QueryParameter()]) -> Response[Any]:
    """Answers with a response that has nothing but its content, which is no struct."""
    return Response(CONTENTS[content])


@get("/asked", guards=[any_member], summary="Asked", operation_id="asked")
async def asked(
    tenant: NamedDependency[Tenant],
    name: Annotated[str, QueryParameter()],
    number: Annotated[int, QueryParameter(ge=1)] = 7,
) -> Reply[tuple[str, int, str]]:
    """Has to be asked by name."""
    return Reply("Asked", (name, number, tenant.role))


@get("/mistaken", guards=[signed_in], summary="Mistaken", operation_id="mistaken")
async def mistaken(tenant: NamedDependency[Tenant]) -> Reply[int]:
    """Asks for a tenant where nobody has entered."""
    return Reply("Worked", await tenant.value("SELECT 1"))


@get(
    "/own",
    guards=[any_member],
    dependencies={"person": Provide(lambda: 7, sync_to_thread=False)},
    summary="Own",
    operation_id="own",
)
async def own(person: NamedDependency[int]) -> Reply[int]:
    """Has a dependency of its own, by the name of one of ours."""
    return Reply("Worked", person)


async def closed_before(_: Request[Any, Any, Any]) -> None:
    raise Forbidden


class Stricter(Allowed):
    """A guard of a product's own, made of one of ours."""

    async def __call__(self, *asked: Any) -> None:
        await super().__call__(*asked)
        raise Forbidden


@get("/strict", guards=[Stricter("members:read")], summary="Strict", operation_id="strict")
async def strict(reading: NamedDependency[Reading]) -> Reply[int]:
    """Guarded by more than the direct way knows."""
    return Reply("Read", await reading.json("SELECT 1"))


HOOKED = Router("/hooked", route_handlers=[faulty], before_request=closed_before)
ROUTES: list[ControllerRouterHandler] = [
    forgetful,
    closed,
    strict,
    faulty,
    unusual,
    asked,
    bare,
    mistaken,
    own,
    HOOKED,
]
ODD = Feature(name="odd", routes=[Router("/api/odd", route_handlers=ROUTES)])


async def both(account: Account, path: str, **params: Any) -> tuple[httpx.Response, httpx.Response]:
    """Answered directly, and by the framework."""
    direct = await account.call("GET", path, params=params)
    return direct, await account.call("GET", path, params=params, headers=BY_THE_FRAMEWORK)


@pytest.mark.parametrize("path", PATHS)
async def test_are_answered_as_by_the_framework(api: Api, path: str) -> None:
    admin = await api.register('Zoë \u2028 "Quote" \\ Müller')
    await admin.add("Grace Hopper")
    ours, theirs = await both(admin, path)
    assert ok(ours) == ok(theirs)
    assert ours.json() == theirs.json()
    assert headers_of(ours) == headers_of(theirs)


@pytest.mark.parametrize("microseconds", [0, 1, 10, 490, 985_490, 985_000, 900_000])
async def test_write_times_as_the_framework_does(owner: Db, microseconds: int) -> None:
    at = WHOLE + timedelta(microseconds=microseconds)
    written = await owner.fetchval("SELECT to_json(tenantry.wire_time($1))", at)
    assert written.encode() == msgspec.json.encode(at)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 1},
        {"limit": 2, "before": 3},
        {"after": 1},
        {"after": 0, "limit": 1},
        {"type": "INVITE_SENT"},
        {"type": ["INVITE_SENT", "USER_JOINED"], "limit": 2},
        {"unknown": "1"},
        {"reading": "1"},
        {"limit": ["1", "2"]},
        {"limit": ""},
        {"limit": "0"},
        {"before": "x"},
    ],
)
async def test_take_a_query_as_the_framework_does(api: Api, params: dict[str, Any]) -> None:
    admin = await api.register()
    await admin.add("Grace Hopper")
    ours, theirs = await both(admin, "/api/activities", **params)
    assert ours.status_code == theirs.status_code
    assert without_id(ours) == without_id(theirs)


@pytest.mark.parametrize("path", PATHS)
async def test_refuse_as_the_framework_does(api: Api, path: str) -> None:
    admin = await api.register()
    left = await admin.add("Grace Hopper")
    await admin.remove(left.id)
    out = await api.login(admin.user["email"])
    ok(await out.post("/api/auth/logout", refreshToken=out.refresh_token))
    for token in (left.token, out.token, "nonsense"):
        stranger = Account(api, {**admin.signed_in, "accessToken": token})
        ours, theirs = await both(stranger, path)
        assert ours.status_code == 401
        assert without_id(ours) == without_id(theirs)
        assert ours.headers["content-type"] == theirs.headers["content-type"]


@pytest.mark.parametrize("path", PATHS)
async def test_ask_for_the_second_factor_that_is_required(fresh: Api, owner: Db, path: str) -> None:
    admin = await fresh.register()
    await owner.execute("UPDATE organisations SET requires_second_factor = true")
    ours, theirs = await both(admin, path)
    refused(ours, 403, code="SECOND_FACTOR_REQUIRED")
    assert without_id(ours) == without_id(theirs)


async def test_ask_for_the_routes_permission(api: Api) -> None:
    member = await (await api.register()).add("Grace Hopper")
    ours, theirs = await both(member, "/api/users")
    refused(ours, 403, code="FORBIDDEN")
    assert without_id(ours) == without_id(theirs)


async def test_answer_HEAD_with_the_head(api: Api) -> None:  # noqa: N802
    admin = await api.register()
    whole = await admin.get("/api/users")
    head = await admin.call("HEAD", "/api/users")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


Answers: TypeAlias = tuple[httpx.Response, httpx.Response]

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


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of which the framework is asked, in the servers of this process."""
    paths: list[str] = []
    ask = Litestar.__call__

    async def asked(self: Litestar, scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope.get("path", scope["type"]))
        await ask(self, scope, receive, send)

    monkeypatch.setattr(Litestar, "__call__", asked)
    return paths


async def posted(api: Api, path: str, *bodies: dict[str, Any], **headers: str) -> Answers:
    """Answered directly and by the framework; each has a body of its own, where there are two."""
    ours, theirs = (bodies[0], bodies[-1]) if bodies else (None, None)
    of_its_own = {"origin": api.url}  # so that the cookie form is not refused
    return (
        await api.http.post(path, json=ours, headers=headers),
        await api.http.post(path, json=theirs, headers={**headers, **of_its_own}),
    )


def newcomer() -> dict[str, Any]:
    """A registration whose answer is as long as another's."""
    return registration(organisationName=f"Odd {secrets.token_hex(6)}")


def assert_same(answers: Answers) -> httpx.Response:
    """Successes alike but for what is random, or refusals alike but for the request's id."""
    ours, theirs = answers
    assert ours.status_code == theirs.status_code, (ours.text, theirs.text)
    if ours.is_success:
        assert shape(ours.json()) == shape(theirs.json())
    else:
        assert without_id(ours) == without_id(theirs)
    assert headers_of(ours) == headers_of(theirs)
    return ours


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value)


def headers_of(answer: httpx.Response) -> dict[str, Any]:
    """The headers, without what is random in them."""
    kept = {key: value for key, value in answer.headers.items() if key not in OF_EACH}
    cookie = SimpleCookie(kept.pop("set-cookie", ""))
    return {
        **kept,
        "cookies": [{**morsel, "value": len(morsel.value)} for morsel in cookie.values()],
    }


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
        theirs = await api.http.post(REFRESH, content=body, headers={**headers, "origin": api.url})
        assert ours.status_code in {400, 401, 413, 422}
        assert_same((ours, theirs))

    async def test_take_a_body_in_pieces(self, api: Api) -> None:
        async def pieces() -> Any:
            yield b'{"refresh'
            yield b'Token": "a.b.c"}'

        ours = await api.http.post(REFRESH, content=pieces())
        theirs = await api.http.post(REFRESH, content=pieces(), headers={"origin": api.url})
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
        theirs = await api.http.post(REFRESH, content=body, headers={**headers, "origin": api.url})
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
        for token, more in zip(tokens, ({}, {"origin": api.url}), strict=True):
            cookie = token.output(attrs=[], header="").strip()
            headers = {**ASKED, "cookie": cookie, **more}
            answers.append(await api.http.post(REFRESH, json={}, headers=headers))
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


class TestOfAProduct:
    @pytest.fixture
    async def admin(self, serve: Serve) -> Account:
        return await (await serve(ODD)).register()

    async def faulty(self, admin: Account, what: str, **headers: str) -> httpx.Response:
        body = {"what": what}
        return await admin.call("POST", "/api/odd/faulty", json=body, headers=headers)

    @pytest.mark.parametrize("what", FAULTS)
    async def test_answer_what_is_raised_as_the_framework_does(
        self, admin: Account, what: str
    ) -> None:
        ours = await self.faulty(admin, what)
        assert_same((ours, await self.faulty(admin, what, origin=admin.api.url)))

    @pytest.mark.parametrize("what", FAULTS)
    @pytest.mark.parametrize("headers", [{}, BY_THE_FRAMEWORK])
    async def test_give_a_connection_up_after_a_fault_only(
        self, admin: Account, what: str, headers: dict[str, str]
    ) -> None:
        before = ok(await self.faulty(admin, ""), 201)
        answer = await self.faulty(admin, what, **headers)
        after = ok(await self.faulty(admin, ""), 201)
        assert (before == after) == (answer.status_code < 500)

    @pytest.mark.parametrize("content", CONTENTS)
    async def test_answer_with_content_of_any_kind(self, admin: Account, content: str) -> None:
        ours, theirs = await both(admin, "/api/odd/bare", content=content)
        assert ours.status_code == theirs.status_code == 200
        assert ours.content == theirs.content
        assert headers_of(ours) == headers_of(theirs)

    async def test_answer_with_more_than_content(self, admin: Account, left: list[str]) -> None:
        path, body = "/api/odd/unusual", {"what": "bell", "number": "7"}
        theirs = {"headers": {"origin": admin.api.url}}
        DONE.clear()
        ours = await admin.call("POST", path, json=body)
        answer = assert_same((ours, await admin.call("POST", path, json=body, **theirs)))
        assert (answer.status_code, answer.headers["x-odd"]) == (203, "bell")
        assert DONE == ["bell", "bell"]
        assert left == [path]

    @pytest.mark.parametrize(
        "params",
        [
            {"name": "a"},
            {"name": "a", "number": "8"},
            {},
            {"number": "8"},
            {"name": "a", "number": "0"},
            {"name": ["a", "b"]},
        ],
    )
    async def test_take_a_query_as_the_framework_does(
        self, admin: Account, params: dict[str, Any]
    ) -> None:
        ours, theirs = await both(admin, "/api/odd/asked", **params)
        assert ours.status_code < 500
        assert_same((ours, theirs))
        assert without_id(ours) == without_id(theirs)

    async def test_that_has_not_read_has_no_answer(self, admin: Account) -> None:
        """Or it would answer somebody who was not let in."""
        refused(await admin.get("/api/odd/forgetful"), 500)

    async def test_with_more_of_its_own_is_left_to_the_framework(
        self, admin: Account, left: list[str]
    ) -> None:
        refused(await admin.get("/api/odd/closed"), 403, code="FORBIDDEN")
        refused(await admin.get("/api/odd/strict"), 403, code="FORBIDDEN")
        refused(await admin.get("/api/odd/mistaken"), 500)
        assert ok(await admin.get("/api/odd/own")) == 7
        refused(await admin.post("/api/odd/hooked/faulty", what=""), 403, code="FORBIDDEN")
        asked = ["closed", "strict", "mistaken", "own", "hooked/faulty"]
        assert left == [f"/api/odd/{path}" for path in asked]


def without_id(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    body.pop("requestId", None)
    return body
