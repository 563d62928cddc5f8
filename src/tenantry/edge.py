"""The edge: what happens to every request, before and after the application has it.

Each request gets an id, is counted against the limits, has its body bounded and read (so that no
database connection ever waits for a slow client), gives its connection back when the answer
begins, and leaves one line in the log, without its query string, where tokens can be.
"""

import asyncio
import re
import time
from collections.abc import Iterable

import msgspec
from uuid_utils import uuid7

from tenantry import logs
from tenantry.asgi import ANSWER, JSON, App, Headers, Message, Receive, Scope, Send
from tenantry.cors import Cors
from tenantry.db.database import Database
from tenantry.errors import TenantryError, TooLarge, TooMany, TooManyAuthAttempts, TooSlow
from tenantry.ratelimit import RateLimiter, Verdict
from tenantry.reply import error_reply
from tenantry.settings import Settings

MAX_BODY = 1024 * 1024
BODY_TIMEOUT = 20.0  # seconds that a body may take
CLOSE = {"connection": "close"}  # what is left of the body is not read
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
# The API's answers are for programs: nothing of them runs, is framed, or is kept.
API_HEADERS: Headers = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
JSON_TYPE = (b"content-type", b"application/json")
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Edge:
    def __init__(
        self, app: App, *, settings: Settings, database: Database, limiter: RateLimiter
    ) -> None:
        self.app = app
        self.database = database
        self.limiter = limiter
        self.log = logs.request_line()
        self.cors = Cors(settings)
        self.common = list(SECURITY_HEADERS)
        if settings.public_url and settings.public_url.startswith("https://"):
            self.common.append(HSTS)
        self.of_json = _lines([JSON_TYPE, *self.common, *API_HEADERS])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(self, scope, receive, send)
        try:
            await exchange.run()
        except BaseException:
            exchange.state["broken"] = True
            raise
        finally:
            exchange.leave_tenant()
            exchange.state.pop("at_end", _nothing)()
            exchange.log()


class Exchange:
    """One request and its answer, or one WebSocket's handshake and life."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        self.edge = edge
        # Where GET answers, so does HEAD (RFC 9110, 9.3.2); the server leaves the body out.
        self.scope = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        self.receive = receive
        self.forward = send
        self.started = time.perf_counter()
        self.status = 0
        self.verdict: Verdict | None = None
        self.request_id, origin = _request_id_and_origin(scope["headers"])
        self.cors = edge.cors.response_headers(origin)
        self.method = scope.get("method", "WEBSOCKET")
        self.state = self.scope.setdefault("state", {})
        self.send_whole = self.state.pop(ANSWER, None)  # left there, it would be a circle
        self.state["request_id"] = self.request_id
        self.state["head"] = self.method == "HEAD"

    async def run(self) -> None:
        client = self.scope["client"]
        self.verdict = await self.edge.limiter.check(
            self.scope.get("method", ""), self.scope["path"], client[0] if client else ""
        )
        if self.verdict and self.verdict.exceeded:
            await self.refuse(
                (TooManyAuthAttempts if self.verdict.exceeded == "auth" else TooMany)(
                    headers={"retry-after": str(max(1, self.verdict.reset))}
                )
            )
            return
        if self.method == "OPTIONS" and await self.answer_preflight():
            return
        receive = self.receive
        if (
            self.scope["type"] == "http"
            and (length := _declared_length(self.scope["headers"])) != 0
        ):
            try:
                async with asyncio.timeout(BODY_TIMEOUT):
                    receive = await self.read_body(length)
            except TooLarge as error:
                await self.refuse(error)
                return
            except TimeoutError:
                await self.refuse(TooSlow(headers=CLOSE))
                return
            except ConnectionError:  # gone before the body was whole: nothing may come of it
                return
        try:
            await self.edge.app(self.scope, receive, self.send)
        except TenantryError as error:  # Litestar answers those of what is left to it
            await self.refuse(error)

    async def answer_preflight(self) -> bool:
        """Whether it is one, which has been answered."""
        try:
            headers = self.edge.cors.preflight(self.scope["headers"])
        except TenantryError as error:
            self.cors = []  # what is refused is not allowed in part
            await self.refuse(error)
            return True
        if headers is None:
            return False
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})
        return True

    async def read_body(self, declared: int | None) -> Receive:
        """Read the body, at most 1 MiB of it; gives a `receive` that has it whole."""
        if declared is not None and declared > MAX_BODY:
            raise TooLarge(headers=CLOSE)
        body = bytearray()
        more = True
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                raise ConnectionResetError
            body += message["body"]
            if len(body) > MAX_BODY:
                raise TooLarge(headers=CLOSE)
            more = message.get("more_body", False)
        whole = self.state["body"] = bytes(body)
        waiting: list[Message] = [{"type": "http.request", "body": whole, "more_body": False}]

        async def receive() -> Message:
            return waiting.pop() if waiting else await self.receive()

        return receive

    async def send(self, message: Message) -> None:
        if message["type"] == JSON:
            await self.answer(message["status"], message["body"])
            return
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.leave_tenant()
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self.headers(message["headers"])]
        elif message["type"] == "websocket.accept":
            self.leave_tenant()
            self.status = 101
            message["headers"] = [*message.get("headers", []), *self.headers(())]
        await self.forward(message)

    async def answer(self, status: int, body: bytes) -> None:
        """Send JSON, whole; another server than ours takes it in messages only."""
        length = b"%d" % len(body)
        if self.send_whole is None:
            headers = [JSON_TYPE, (b"content-length", length)]
            start = {"type": "http.response.start", "status": status, "headers": headers}
            await self.send(start)
            await self.send({"type": "http.response.body", "body": body})
            return
        self.leave_tenant()
        self.status = status
        own = b"content-length: %b\r\nx-request-id: %b\r\n" % (length, self.request_id.encode())
        varying = _lines(_limits(self.verdict) + self.cors if self.verdict else self.cors)
        await self.send_whole(status, self.edge.of_json + own + varying, body)

    async def refuse(self, error: TenantryError) -> None:
        """Answer in the envelope, without asking the application."""
        body = msgspec.json.encode(error_reply(error, self.request_id))
        headers = [
            JSON_TYPE,
            *((name.encode(), value.encode()) for name, value in error.headers.items()),
        ]
        prefix = "websocket." if self.scope["type"] == "websocket" else ""
        if not prefix:  # uvicorn says it itself there
            headers.append((b"content-length", b"%d" % len(body)))
        await self.send(
            {"type": f"{prefix}http.response.start", "status": error.status, "headers": headers}
        )
        await self.send({"type": f"{prefix}http.response.body", "body": body, "more_body": False})

    def headers(self, present: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The headers that every answer carries."""
        headers = [(b"x-request-id", self.request_id.encode()), *self.edge.common, *self.cors]
        if not any(name == b"content-security-policy" for name, _ in present):
            headers += API_HEADERS
        if self.verdict:
            headers += _limits(self.verdict)
        return headers

    def leave_tenant(self) -> None:
        tenant = self.state.pop("tenant", None)
        if tenant is not None:
            self.state["user_id"] = tenant.user_id
            self.state["organisation_id"] = tenant.organisation_id
            self.edge.database.release(tenant.connection, broken="broken" in self.state)

    def log(self) -> None:
        self.edge.log(
            request_id=self.request_id,
            method=self.method,
            path=self.scope["path"],
            status=self.status,
            milliseconds=round((time.perf_counter() - self.started) * 1000, 2),
            client=self.scope["client"][0] if self.scope["client"] else None,
            organisation=self.state.get("organisation_id"),
            user=self.state.get("user_id"),
        )


def _limits(verdict: Verdict) -> Headers:
    return [
        (b"ratelimit-limit", b"%d" % verdict.limit),
        (b"ratelimit-remaining", b"%d" % verdict.remaining),
        (b"ratelimit-reset", b"%d" % verdict.reset),
    ]


def _lines(headers: Headers) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _nothing() -> None:
    pass


def _declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The body's length as the client declares it; None where it does not know it yet."""
    declared = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            declared = int(value)  # the server has refused what is no number
    return declared


def _request_id_and_origin(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, bytes | None]:
    request_id, origin = None, None
    for name, value in headers:
        if name == b"origin":
            origin = value
        elif name == b"x-request-id" and request_id is None and REQUEST_ID.fullmatch(value):
            request_id = value.decode()
    return request_id or uuid7().hex, origin
