"""Reads that are answered without the framework: as it would answer them, and refused likewise."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tenantry.testing import Account, Api, ok, refused
from tenantry.testing.servers import Db
from tests.twice import both, headers_of, without_id

WHOLE = datetime(2026, 11, 25, 2, 16, 11, tzinfo=UTC)
PATHS = ["/api/organisations", "/api/users", "/api/activities"]


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
