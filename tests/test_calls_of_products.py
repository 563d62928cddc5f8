"""The same of calls of a product's own routes, some of which are odd."""

from typing import Annotated, Any

import httpx
import pytest
from litestar import Request, Response, get, post
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
from tenantry.testing import Account, Serve, ok, refused
from tests.twice import assert_same, both, by_framework, headers_of, without_id


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


FAULTY = "/api/odd/faulty"


class TestOfAProduct:
    @pytest.fixture
    async def admin(self, serve: Serve) -> Account:
        return await (await serve(ODD)).register()

    async def faulty(self, admin: Account, what: str, path: str = FAULTY) -> httpx.Response:
        return await admin.call("POST", path, json={"what": what})

    @pytest.mark.parametrize("what", FAULTS)
    async def test_answer_what_is_raised_as_the_framework_does(
        self, admin: Account, what: str
    ) -> None:
        ours = await self.faulty(admin, what)
        assert_same((ours, await self.faulty(admin, what, by_framework(FAULTY))))

    @pytest.mark.parametrize("what", FAULTS)
    @pytest.mark.parametrize("path", [FAULTY, by_framework(FAULTY)])
    async def test_give_a_connection_up_after_a_fault_only(
        self, admin: Account, what: str, path: str
    ) -> None:
        before = ok(await self.faulty(admin, ""), 201)
        answer = await self.faulty(admin, what, path)
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
        DONE.clear()
        ours = await admin.call("POST", path, json=body)
        answer = assert_same((ours, await admin.call("POST", by_framework(path), json=body)))
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
