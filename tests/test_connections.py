"""Connections: what comes before there is a request is bounded, and so is what nobody reads."""

import asyncio
import gc
import re
from itertools import count

import httpx
import pytest
import uvloop
from litestar import get
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tenantry import Feature, edge, protocols, server
from tenantry.app import create_app
from tenantry.reply import Reply
from tenantry.routing import Router
from tenantry.testing import Api, Serve, make_settings, refused, serving


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


def statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+) ", answers)


GET = b"GET /health HTTP/1.1\r\nhost: x\r\n"


async def test_with_an_endless_head_are_refused(api: Api) -> None:
    for start in (b"GET /health HTTP/1.1\r\nx-big: ", b"GET /"):
        answer = await raw(api, start, b"a" * 66_000)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b'"code":"HEAD_TOO_LARGE"' in answer


async def test_with_a_large_body_are_no_large_heads(api: Api) -> None:
    body = b'{"email":"' + b"a" * 300_000 + b'"}'
    refused(await api.http.post("/api/auth/login", content=body), 422)


async def test_with_a_head_behind_others_count_only_that(api: Api) -> None:
    body = b'{"email":"' + b"a" * 70_000 + b'"}'
    post = b"POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    cut = GET + b"connection: close\r\nx-cut: "
    answer = await raw(api, post + body + cut, b"here\r\n\r\n")
    assert statuses(answer) == [b"422", b"200"]
    many = (GET + b"x-padding: " + b"a" * 400 + b"\r\n\r\n") * 158
    assert statuses(await raw(api, many + cut, b"here\r\n\r\n")) == [b"200"] * 159


CHUNKED = b"POST /api/users/invite HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"


@pytest.mark.parametrize(
    "endless",
    [b"0\r\n" + b"a:b\r\n" * 140_000, b"0\r\na: " + b"a" * 700_000, b"1;" + b"a" * 700_000],
)
async def test_with_more_around_a_body_than_a_head_may_be_are_refused(
    api: Api, endless: bytes
) -> None:
    answer = await raw(api, CHUNKED + b"\r\n", endless)
    assert statuses(answer) == [b"431"]


async def test_take_no_trailer_for_a_header(api: Api) -> None:
    account = await api.register()
    trailers = b"authorization: Bearer %b\r\nx-request-id: trailer\r\n" % account.token.encode()
    answer = await raw(
        api, CHUNKED + b"connection: close\r\n\r\n2\r\n{}\r\n0\r\n" + trailers, b"\r\n"
    )
    assert statuses(answer) == [b"401"]
    assert b"trailer" not in answer


async def test_take_a_body_in_many_chunks(api: Api) -> None:
    head = CHUNKED + b"connection: close\r\n\r\n"
    assert statuses(await raw(api, head, b"1\r\n \r\n" * 20_000, b"0\r\n\r\n")) == [b"401"]


@pytest.mark.parametrize("line", [b"NONSENSE\r\n\r\n", b"FOO / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"])
async def test_that_are_no_http_are_refused_in_the_envelope(api: Api, line: bytes) -> None:
    answer = await raw(api, line)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"success":false' in answer


async def test_that_say_nothing_are_closed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "HEAD_TIMEOUT", 0.05)
    assert await raw(api) == b""
    assert await raw(api, b"GET /health HTTP/1.1\r\n") == b""


LOGIN = b"POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: "


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (GET + b"\r\n", b"200"),
        (LOGIN + b"9999999\r\n\r\n", b"413"),
        (LOGIN + b"9999999\r\nexpect: 100-continue\r\n\r\n", b"413"),
        (GET + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n", b"200"),
    ],
)
@pytest.mark.parametrize("more", [b"\r\n", b"G"])
async def test_that_say_nothing_whole_after_an_answer_are_closed(
    api: Api, monkeypatch: pytest.MonkeyPatch, asked: bytes, status: bytes, more: bytes
) -> None:
    monkeypatch.setattr(protocols, "HEAD_TIMEOUT", 0.05)
    url = httpx.URL(api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    async with asyncio.timeout(4):  # less than a connection is kept for another request
        writer.write(asked)
        answer = await reader.readuntil(b"}")
        writer.write(more)
        answer += await reader.read()
    assert statuses(answer) == [status]
    writer.close()


async def test_are_closed_after_a_body_that_is_too_large_with_the_answer_read(api: Api) -> None:
    for length in (b"content-length: 9999999", b"transfer-encoding: chunked"):
        head = LOGIN.replace(b"content-length: ", length + b"\r\n\r\n")
        answer = await raw(api, head, *[b"10000\r\n" + b" " * 0x10000 + b"\r\n"] * 100)
        assert statuses(answer) == [b"413"]
        assert b"connection: close" in answer


async def test_with_garbage_behind_a_request_answer_that_first(api: Api) -> None:
    post = LOGIN + b"2\r\n\r\n{}"
    for garbage in (b"garbage\r\n\r\n", b"GET /" + b"a" * 700_000):
        for asked in (post, GET + b"\r\n" + post):
            answer = await raw(api, asked + garbage)
            assert statuses(answer)[-1] == b"422"
            assert b"connection: close" in answer
    answer = await raw(api, GET + b"\r\n" + CHUNKED + b"\r\nno length\r\n")
    assert statuses(answer) == [b"200", b"400"]


UPGRADE = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\n"


async def test_that_could_be_upgraded_to_what_is_not_spoken_here_stay_as_they_are(
    api: Api,
) -> None:
    last = GET + b"connection: close\r\n\r\n"
    hidden = GET + b"x-request-id: hidden\r\n\r\n"
    post = LOGIN + b"%d\r\n" % len(hidden) + UPGRADE + b"\r\n"
    for parts in ((post + hidden + last,), (post, hidden, last)):
        answer = await raw(api, *parts)
        assert statuses(answer) == [b"400", b"200"]
        assert b"hidden" not in answer
    answer = await raw(api, CHUNKED + UPGRADE + b"\r\n2\r\n{}\r\n0\r\n\r\n" + last)
    assert statuses(answer) == [b"401", b"200"]
    assert statuses(await raw(api, (GET + UPGRADE + b"\r\n") * 2000 + last)) == [b"200"] * 2001


async def test_with_a_body_that_does_not_come_are_told_so(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "BODY_TIMEOUT", 0.05)
    head = b"POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
    answer = await raw(api, head, b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"BODY_TOO_SLOW"' in answer


@pytest.mark.parametrize(
    "request_", [GET + b"connection: close\r\n\r\n", b"GET /health HTTP/1.0\r\n\r\n"]
)
async def test_are_closed_where_the_client_wants_no_more_of_them(api: Api, request_: bytes) -> None:
    answer = await raw(api, request_)
    assert answer.startswith(b"HTTP/1.1 200 ")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert b"\r\ncontent-length: %d" % len(body) in head


async def test_answer_what_is_sent_at_once_in_its_order(api: Api) -> None:
    ids = [b"one", b"two", b"three"]
    asked = [GET + b"x-request-id: %b\r\n\r\n" % id_ for id_ in ids]
    answer = await raw(api, b"".join(asked), GET + b"connection: close\r\n\r\n")
    assert re.findall(rb"x-request-id: (\w+)\r", answer)[:3] == ids
    assert answer.count(b"HTTP/1.1 200 ") == 4


async def test_say_to_continue_before_they_answer(api: Api) -> None:
    expecting = GET + b"expect: 100-continue\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx"
    answer = await raw(api, expecting)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_keep_nothing_of_an_answered_request(api: Api) -> None:
    def alive() -> int:
        return sum(isinstance(thing, RequestResponseCycle) for thing in gc.get_objects())

    await api.http.get("/health")
    gc.collect()
    gc.disable()  # which would find what points at itself, some time later
    try:
        before = alive()
        for _ in range(20):
            await api.http.get("/health")
            await api.http.get("/nowhere")
        assert alive() - before < 10  # a connection's last one each
    finally:
        gc.enable()


async def test_answer_the_same_where_another_server_has_them(api: Api) -> None:
    def said(answer: httpx.Response) -> dict[str, str]:
        """Its head, without what another moment or another limit makes different."""
        others = ("date", "ratelimit-")
        return {
            name: value for name, value in answer.headers.items() if not name.startswith(others)
        }

    app = create_app(make_settings("postgresql://nobody@localhost:1/nowhere"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=api.url) as elsewhere:
        theirs = await elsewhere.get("/health", headers={"x-request-id": "same"})
    ours = await api.http.get("/health", headers={"x-request-id": "same"})
    assert said(theirs) == said(ours)
    assert (theirs.status_code, theirs.content) == (ours.status_code, ours.content)


ANSWERED: list[int] = []


@get("/", guards=[], summary="Large", operation_id="large")
async def large() -> Reply[str]:
    """A megabyte."""
    ANSWERED.append(1)
    return Reply("Large", "a" * 1024 * 1024)


async def test_that_are_read_late_are_not_answered_ahead_without_end(serve: Serve) -> None:
    ANSWERED.clear()
    feature = Feature(name="large", routes=[Router("/api/large", route_handlers=[large])])
    api = await serve(feature)
    url = httpx.URL(api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /api/large HTTP/1.1\r\nhost: x\r\n\r\n" * 30)
    async with asyncio.timeout(20):
        for _ in range(60):  # meanwhile it could answer all
            assert (await api.http.get("/health")).status_code == 200
        assert len(ANSWERED) < 30
        for _ in range(30):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.findall(rb"content-length: (\d+)", head)[0])
            assert len(await reader.readexactly(length)) > 1024 * 1024
    writer.close()


async def test_whose_answers_nobody_reads_are_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = asyncio.Event()

    class Protocol(protocols.BoundedHttpProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    monkeypatch.setattr(server, "BoundedHttpProtocol", Protocol)
    monkeypatch.setattr(protocols, "UNREAD_TIMEOUT", 0.05)
    api = await serve(Feature(name="large", routes=[Router("/api/large", route_handlers=[large])]))
    url = httpx.URL(api.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /api/large HTTP/1.1\r\nhost: x\r\n\r\n" * 30)
    async with asyncio.timeout(10):
        await lost.wait()
    writer.close()


async def test_with_a_broken_body_that_was_to_be_asked_for_leave_no_traceback(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    expecting = CHUNKED + b"expect: 100-continue\r\n\r\n"
    assert statuses(await raw(api, expecting + b"no length\r\n")) == [b"400"]
    assert (await api.get("/health")).status_code == 200
    assert "Traceback" not in caplog.text


async def test_become_no_websocket_before_their_answers_have_left(api: Api) -> None:
    account = await api.register()
    handshake = (
        b"GET /ws?token=%b HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    ) % account.token.encode()
    answer = await raw(api, GET + b"\r\n" + handshake + GET + b"connection: close\r\n\r\n")
    assert statuses(answer) == [b"200", b"426", b"200"]


def test_that_are_reset_while_requests_wait_are_forgotten(
    runtime_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On uvloop, as a server has it: it does not take what is written to a closed transport."""
    lost, answers = asyncio.Event(), count()

    class Protocol(protocols.BoundedHttpProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    @get("/", guards=[], summary="Late", operation_id="late")
    async def late() -> Reply[None]:
        """All but the first answer comes when the client has gone."""
        if next(answers):
            await lost.wait()
        return Reply("Late", None)

    async def reset() -> None:
        feature = Feature(name="late", routes=[Router("/api/late", route_handlers=[late])])
        async with serving(make_settings(runtime_url), [feature]) as url:
            address = httpx.URL(url)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(b"GET /api/late HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
            await reader.readuntil(b"}")
            writer.transport.abort()
            await lost.wait()

    monkeypatch.setattr(server, "BoundedHttpProtocol", Protocol)
    uvloop.run(reset())
    assert next(answers) == 2
    assert caplog.text == ""
