"""What a page of another origin may do."""

import httpx
import pytest
from limits import parse

from tenantry.testing import Account, Api, Serve, ok, refused

APP = "https://app.example.com"
PATHS = ["/api/organisations", "/api/users", "/health", "/docs", "/nowhere"]


async def preflight(api: Api, origin: str = APP, headers: str = "authorization") -> httpx.Response:
    return await api.http.options(
        "/api/organisations",
        headers={
            "origin": origin,
            "access-control-request-method": "GET",
            "access-control-request-headers": headers,
        },
    )


async def test_nothing_unless_told_otherwise(api: Api) -> None:
    assert "access-control-allow-origin" not in (await preflight(api)).headers
    answer = await api.http.get("/health", headers={"origin": APP})
    assert "access-control-allow-origin" not in answer.headers
    assert "vary" not in answer.headers


class TestAPageOfAnAllowedOrigin:
    @pytest.fixture
    async def api(self, serve: Serve) -> Api:
        return await serve(cors_origins=(APP,), cors_allowed_headers=("x-api-version",))

    @pytest.fixture
    async def account(self, api: Api) -> Account:
        return await api.register()

    @pytest.mark.parametrize("path", PATHS)
    async def test_reads_every_response_errors_included(self, account: Account, path: str) -> None:
        for headers in ({}, {"authorization": "Bearer nonsense"}):
            answer = await account.call("GET", path, headers={"origin": APP, **headers})
            assert answer.headers.get_list("access-control-allow-origin") == [APP]
            assert answer.headers.get_list("vary") == ["Origin"]
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers

    async def test_is_answered_without_the_framework(
        self, account: Account, left: list[str]
    ) -> None:
        ok(await account.call("GET", "/api/organisations", headers={"origin": APP}))
        message = {"message": "Hello"}
        path = "/api/organisations/broadcast"
        ok(await account.call("POST", path, json=message, headers={"origin": APP}), 201)
        assert left == []

    async def test_may_send_what_clients_of_the_api_send(self, api: Api) -> None:
        names = "Authorization, content-type,last-event-id, traceparent, idempotency-key"
        answer = await preflight(api, headers=names + ", X-Api-Version")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["access-control-max-age"] == "7200"
        allowed = answer.headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "last-event-id", "x-api-version"} <= {*allowed}
        methods = answer.headers["access-control-allow-methods"].split(", ")
        assert methods == ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]

    async def test_is_told_which_header_it_may_not_send(self, api: Api) -> None:
        answer = await preflight(api, headers="authorization, x-other")
        message = (
            "Pages of another origin may not send x-other. "
            "Add what your front end sends to CORS_ALLOWED_HEADERS."
        )
        refused(answer, 403, message, "HEADER_NOT_ALLOWED")
        assert "access-control-allow-origin" not in answer.headers

    async def test_reads_why_it_is_limited(self, serve: Serve) -> None:
        api = await serve(cors_origins=(APP,), rate_limit_global=parse("1/minute"))
        await api.get("/health")
        answer = await api.http.get("/health", headers={"origin": APP})
        assert answer.status_code == 429
        assert answer.headers["access-control-allow-origin"] == APP
        assert "retry-after" in answer.headers["access-control-expose-headers"]

    async def test_of_another_one_reads_nothing(self, api: Api) -> None:
        for origin in ("https://evil.example", "null", f"{APP}.evil.example", APP.upper()):
            refused(await preflight(api, origin), 403, code="ORIGIN_NOT_ALLOWED")
            answer = await api.http.get("/health", headers={"origin": origin})
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"


async def test_answers_are_not_kept_framed_or_guessed_at(serve: Serve) -> None:
    api = await serve(public_url="https://api.example.com")
    headers = (await api.get("/api/organisations")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["strict-transport-security"].startswith("max-age=")
