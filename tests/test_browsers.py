"""What a browser on another origin is let do."""

from limits import parse

from tenantry.testing import Api, Serve, ok

APP = "https://app.example.com"


async def preflight(api: Api, origin: str) -> dict[str, str]:
    answer = await api.http.options(
        "/api/organisations",
        headers={
            "origin": origin,
            "access-control-request-method": "GET",
            "access-control-request-headers": "authorization",
        },
    )
    return dict(answer.headers)


async def test_nothing_unless_told_otherwise(api: Api) -> None:
    assert "access-control-allow-origin" not in await preflight(api, APP)
    answer = await api.http.get("/health", headers={"origin": APP})
    assert "access-control-allow-origin" not in answer.headers


async def test_the_api_from_the_origins_that_are_set(serve: Serve) -> None:
    api = await serve(cors_origins=(APP,))
    allowed = await preflight(api, APP)
    assert allowed["access-control-allow-origin"] == APP
    assert "authorization" in allowed["access-control-allow-headers"].lower()
    assert "access-control-allow-origin" not in await preflight(api, "https://evil.example")
    account = await api.register()
    answer = await account.call("GET", "/api/organisations", headers={"origin": APP})
    ok(answer)
    assert answer.headers["access-control-allow-origin"] == APP
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
    refusal = await api.http.get("/api/users", headers={"origin": APP})
    assert refusal.headers["access-control-allow-origin"] == APP


async def test_also_read_why_it_is_refused(serve: Serve) -> None:
    api = await serve(cors_origins=(APP,), rate_limit_global=parse("1/minute"))
    await api.get("/health")
    answer = await api.http.get("/health", headers={"origin": APP})
    assert answer.status_code == 429
    assert answer.headers["access-control-allow-origin"] == APP
    assert "retry-after" in answer.headers["access-control-expose-headers"]


async def test_answers_are_not_kept_framed_or_guessed_at(serve: Serve) -> None:
    api = await serve(public_url="https://api.example.com")
    headers = (await api.get("/api/organisations")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["strict-transport-security"].startswith("max-age=")
