"""What comes before there is a request: bounded in size and time."""

import asyncio

import httpx
import pytest

from tenantry import edge, protocols
from tenantry.testing import Api, refused


async def raw(api: Api, *parts: bytes) -> bytes:
    """Send these bytes; gives everything that is answered until the server closes."""
    url = httpx.URL(api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    async with asyncio.timeout(10):
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await reader.read()
    writer.close()
    return answer


async def test_with_an_endless_head_are_refused(api: Api) -> None:
    for start in (b"GET /health HTTP/1.1\r\nx-big: ", b"GET /"):
        answer = await raw(api, start, b"a" * 66_000)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b'"code":"HEAD_TOO_LARGE"' in answer


async def test_with_a_large_body_are_no_large_heads(api: Api) -> None:
    body = b'{"email":"' + b"a" * 300_000 + b'"}'
    refused(await api.http.post("/api/auth/login", content=body), 422)


@pytest.mark.parametrize("line", [b"NONSENSE\r\n\r\n", b"FOO / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"])
async def test_that_are_no_http_are_refused_in_the_envelope(api: Api, line: bytes) -> None:
    answer = await raw(api, line)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"success":false' in answer


async def test_that_say_nothing_are_closed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "HEAD_TIMEOUT", 0.05)
    assert await raw(api) == b""
    assert await raw(api, b"GET /health HTTP/1.1\r\n") == b""


async def test_with_a_body_that_does_not_come_are_told_so(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "BODY_TIMEOUT", 0.05)
    head = b"POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
    answer = await raw(api, head, b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"BODY_TOO_SLOW"' in answer
