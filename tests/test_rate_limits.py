"""Limits: a client's requests over all, and under /api/auth."""

import asyncio
import secrets
from dataclasses import replace

import httpx
import pytest
from limits import parse
from websockets.exceptions import InvalidStatus

from tenantry.ratelimit import RateLimiter, client_key
from tenantry.server import listening
from tenantry.settings import Settings
from tenantry.testing import Api, Serve, connect_socket, ok, refused, unique_email
from tests.conftest import RedisServer, needs


class TestGlobal:
    async def test_counts_down_in_every_answer(self, serve: Serve) -> None:
        api = await serve(rate_limit_global=parse("5/minute"))
        paths = ["/health", "/nowhere", "/docs", "/api/users"]
        answers = [await api.get(path) for path in paths]
        remaining = [answer.headers["ratelimit-remaining"] for answer in answers]
        assert remaining == ["4", "3", "2", "1"]
        for answer in answers:
            assert answer.headers["ratelimit-limit"] == "5"
            assert 0 < int(answer.headers["ratelimit-reset"]) <= 60

    async def test_refuses_past_the_limit(self, serve: Serve) -> None:
        api = await serve(rate_limit_global=parse("2/minute"))
        for _ in range(2):
            ok_or_health = await api.get("/health")
            assert ok_or_health.status_code == 200
        answer = await api.get("/health")
        refused(answer, 429, "Too many requests, please slow down", "TOO_MANY_REQUESTS")
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["ratelimit-remaining"] == "0"

    async def test_does_not_count_what_the_console_is_made_of(self, serve: Serve) -> None:
        """Or a page of fifty modules could be loaded twice a minute."""
        api = await serve(rate_limit_global=parse("1/minute"))
        files = ("/console/files/main.js", "/api/realtime/client.js")
        for path in ("/console", "/console/members", *files) * 2:
            assert (await api.get(path)).status_code == 200
        assert (await api.get("/consoles")).headers["ratelimit-remaining"] == "0"

    async def test_counts_the_socket_handshake(self, serve: Serve) -> None:
        api = await serve(rate_limit_global=parse("3/minute"))
        account = await api.register()
        async with account.socket():
            pass
        with pytest.raises(InvalidStatus) as refusal:
            async with connect_socket(api.url, "/ws"):
                pass
        assert refusal.value.response.status_code == 401
        with pytest.raises(InvalidStatus) as refusal:
            async with connect_socket(api.url, "/ws"):
                pass
        assert refusal.value.response.status_code == 429
        assert refusal.value.response.headers["retry-after"]

    async def test_counts_exactly_under_concurrency(self, serve: Serve) -> None:
        api = await serve(rate_limit_global=parse("30/minute"))
        answers = await asyncio.gather(*[api.get("/health") for _ in range(80)])
        assert sorted(answer.status_code for answer in answers) == [200] * 30 + [429] * 50


class TestAuth:
    async def test_has_a_limit_of_its_own(self, serve: Serve) -> None:
        api = await serve(rate_limit_global=parse("100/minute"), rate_limit_auth=parse("3/minute"))
        body = {"email": unique_email(), "password": "wrong one"}
        for remaining in ("2", "1", "0"):
            answer = await api.post("/api/auth/login", **body)
            refused(answer, 401)
            assert answer.headers["ratelimit-limit"] == "3"
            assert answer.headers["ratelimit-remaining"] == remaining
        answer = await api.post("/api/auth/login", **body)
        message = "Too many auth attempts, please try again later"
        refused(answer, 429, message, "TOO_MANY_AUTH_ATTEMPTS")
        assert (await api.get("/health")).headers["ratelimit-remaining"] == "96"

    @pytest.mark.parametrize("path", ["//api/auth/login", "/api//auth/login", "/api/auth/login/"])
    async def test_cannot_be_got_round_by_another_spelling(self, serve: Serve, path: str) -> None:
        api = await serve(rate_limit_auth=parse("1/minute"))
        body = {"email": unique_email(), "password": "wrong one"}
        refused(await api.post("/api/auth/login", **body), 401)
        url = httpx.URL(api.url).copy_with(raw_path=path.encode())
        refused(await api.http.post(url, json=body), 429, code="TOO_MANY_AUTH_ATTEMPTS")

    async def test_does_not_count_what_only_reads(self, serve: Serve) -> None:
        """A page asks who is signed in each time it is loaded, and that is no attempt."""
        api = await serve(rate_limit_auth=parse("1/minute"))
        account = await api.register()
        for _ in range(3):
            ok(await account.get("/api/auth/me"))

    async def test_does_not_count_what_asks_beforehand(self, serve: Serve) -> None:
        """A browser does, before each attempt of a front end that is elsewhere."""
        origin = "https://app.example.com"
        api = await serve(rate_limit_auth=parse("1/minute"), cors_origins=(origin,))
        asked = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        for _ in range(3):
            answer = await api.http.request("OPTIONS", "/api/auth/login", headers=asked)
            assert answer.status_code == 204

    async def test_is_ten_a_minute_and_a_hundred_over_all_unless_set(self) -> None:
        settings = Settings()
        assert settings.rate_limit_auth == parse("10/minute")
        assert settings.rate_limit_global == parse("100/minute")


class TestClient:
    @pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded"])
    async def test_cannot_choose_its_address(self, serve: Serve, header: str) -> None:
        api = await serve(rate_limit_global=parse("1/minute"))
        for number, status in enumerate((200, 429, 429)):
            answer = await api.http.get("/health", headers={header: f"10.0.0.{number}"})
            assert answer.status_code == status

    async def test_is_who_a_trusted_proxy_says(self, serve: Serve) -> None:
        api = await serve(rate_limit_global=parse("1/minute"), trusted_proxies=("127.0.0.0/8",))
        for address, status in (("10.0.0.1", 200), ("10.0.0.2", 200), ("10.0.0.1", 429)):
            # What the client itself claims comes first; the proxy adds the truth behind it.
            forwarded = {"x-forwarded-for": f"{secrets.randbelow(200)}.9.9.9, {address}"}
            answer = await api.http.get("/health", headers=forwarded)
            assert answer.status_code == status

    @pytest.mark.parametrize(
        ("address", "key"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::9", "2001:db8:1:2::"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("unix", "unknown"),
            ("", "unknown"),
            ("999.1.1.1", "unknown"),
        ],
    )
    def test_of_ipv6_counts_by_its_network(self, address: str, key: str) -> None:
        assert client_key(address) == key


@needs("redis-server")
class TestRedis:
    async def test_shares_the_count_between_servers(self, serve: Serve, redis: RedisServer) -> None:
        options = {"rate_limit_global": parse("3/minute"), "redis_url": redis.url}
        one, other = await serve(**options), await serve(**options)
        statuses = [(await api.get("/health")).status_code for api in (one, other) * 2]
        assert statuses == [200, 200, 200, 429]

    async def test_that_goes_away_leaves_each_server_counting(
        self, serve: Serve, redis: RedisServer
    ) -> None:
        api = await serve(rate_limit_global=parse("2/minute"), redis_url=redis.url)
        assert (await api.get("/health")).status_code == 200
        await redis.stop()
        assert [(await api.get("/health")).status_code for _ in range(3)] == [200, 200, 429]
        await redis.start()
        async with asyncio.timeout(10):
            while (await api.get("/health")).status_code != 200:
                pass  # until it is asked again

    async def test_that_swallows_everything_holds_nobody_up(self, serve: Serve) -> None:
        with listening("127.0.0.1", 0) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
            api = await serve(rate_limit_global=parse("9/minute"), redis_url=url)
            async with asyncio.timeout(5):
                assert [(await api.get("/health")).status_code for _ in range(3)] == [200] * 3


async def test_a_limit_that_is_off_sends_no_headers(api: Api) -> None:
    answer = await api.get("/health")
    assert answer.json() == {"status": "ok"}
    assert "ratelimit-limit" not in answer.headers
    limiter = RateLimiter(replace(Settings(), rate_limit_global=None, rate_limit_auth=None))
    assert await limiter.check("POST", "/api/auth/login", "192.0.2.1") is None
