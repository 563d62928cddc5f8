"""A client of the API, in the words of the specification."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PASSWORD = "correct horse battery"
PATIENCE = 10.0  # seconds until something that must happen counts as not happening


def ok(answer: httpx.Response, status: int = 200, message: str | None = None) -> Any:
    """The data of a success in the envelope."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["success"] is True
    assert isinstance(body["message"], str)
    if message is not None:
        assert body["message"] == message
    return body["data"]


def refused(
    answer: httpx.Response, status: int, message: str | None = None, code: str | None = None
) -> Any:
    """The body of an error in the envelope."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["success"] is False
    assert body["data"] is None
    assert body["code"]
    assert body["requestId"] == answer.headers["x-request-id"]
    if message is not None:
        assert body["message"] == message
    if code is not None:
        assert body["code"] == code
    return body


async def eventually(read: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Read until it is this."""
    async with asyncio.timeout(PATIENCE):
        while await read() != expected:
            pass


def unique_email(name: str = "somebody") -> str:
    return f"{name}.{secrets.token_hex(6)}@example.com"


def registration(**changes: Any) -> dict[str, Any]:
    """The body of a registration that succeeds, but for the changes."""
    return {
        "name": "Ada Lovelace",
        "email": unique_email(),
        "password": PASSWORD,
        "organisationName": "Analytical Engines",
        **changes,
    }


class Api:
    """Somebody who is not signed in."""

    def __init__(self, url: str) -> None:
        self.url = url
        limits = httpx.Limits(max_connections=200)
        # There is no TLS on the way, so no certificates need loading.
        self.http = httpx.AsyncClient(base_url=url, timeout=30, limits=limits, verify=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(path, params=params)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def register(self, name: str = "Ada Lovelace", **changes: Any) -> "Account":
        """A new organisation's admin."""
        body = registration(name=name, **changes)
        return Account(self, ok(await self.post("/api/auth/register", **body), 201))

    async def login(self, email: str, password: str = PASSWORD) -> "Account":
        return Account(self, ok(await self.post("/api/auth/login", email=email, password=password)))

    async def accept(self, token: str, name: str = "Grace Hopper") -> httpx.Response:
        return await self.post(
            "/api/users/accept-invite", token=token, name=name, password=PASSWORD
        )


class Account:
    """Somebody who is signed in."""

    def __init__(self, api: Api, signed_in: dict[str, Any]) -> None:
        self.api = api
        self.signed_in = signed_in
        self.token: str = signed_in["accessToken"]
        self.refresh_token: str = signed_in["refreshToken"]
        self.user: dict[str, Any] = signed_in["user"]
        self.organisation: dict[str, Any] = signed_in["organisation"]

    @property
    def id(self) -> str:
        return str(self.user["id"])

    def at(self, server: Api) -> "Account":
        """The same session at another server."""
        return Account(server, self.signed_in)

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return await self.api.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.call("GET", path, params=params)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.call("POST", path, json=body)

    async def patch(self, path: str, **body: Any) -> httpx.Response:
        return await self.call("PATCH", path, json=body)

    async def delete(self, path: str, **body: Any) -> httpx.Response:
        return await self.call("DELETE", path, json=body)

    async def invite(self, email: str | None = None, role: str = "MEMBER") -> httpx.Response:
        return await self.post("/api/users/invite", email=email or unique_email(), role=role)

    async def change_plan(self, plan: str) -> httpx.Response:
        return await self.call("PATCH", "/api/organisations/subscription", json={"plan": plan})

    async def broadcast(self, message: str) -> httpx.Response:
        return await self.post("/api/organisations/broadcast", message=message)

    async def change_role(self, user_id: str, **role: Any) -> httpx.Response:
        return await self.patch(f"/api/users/{user_id}", **role)

    async def define(self, name: str, *permissions: str) -> str:
        """A custom role of the organisation, which needs to be on ENTERPRISE; its id."""
        answer = await self.post(
            "/api/organisations/roles", name=name, permissions=list(permissions)
        )
        return str(ok(answer, 201, "Role created")["id"])

    async def remove(self, user_id: str) -> httpx.Response:
        return await self.call("DELETE", f"/api/users/{user_id}")

    async def add(self, name: str = "Grace Hopper", role: str = "MEMBER") -> "Account":
        """A new member: invited, accepted, signed in."""
        invite = ok(await self.invite(unique_email("member"), role), 201)
        ok(await self.api.accept(invite["token"], name), 201)
        return await self.api.login(invite["email"])

    async def feed(self, **params: Any) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = ok(await self.get("/api/activities", **params))
        return data

    @asynccontextmanager
    async def socket(self, after: int | None = None) -> AsyncIterator["Listener"]:
        """An open socket, past its CONNECTED."""
        query = "" if after is None else f"&after={after}"
        async with connect_socket(self.api.url, f"/ws?token={self.token}{query}") as connection:
            listener = Listener(connection)
            listener.connected = await listener.next()
            assert listener.connected["type"] == "CONNECTED"
            yield listener

    @asynccontextmanager
    async def events(self, **headers: str) -> AsyncIterator["Source"]:
        """The stream as server-sent events, from its first message on."""
        headers = {"authorization": f"Bearer {self.token}", **headers}
        async with self.api.http.stream("GET", "/api/events", headers=headers) as answer:
            assert answer.status_code == 200
            yield Source(answer)

    async def present(self) -> dict[str, int]:
        """How many connections each name has."""
        answer = ok(await self.get("/api/realtime/presence"), message="Presence fetched")
        return {one["name"]: one["connections"] for one in answer}


class Listener:
    connected: dict[str, Any]

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def next(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def until(self, type_: str) -> list[dict[str, Any]]:
        """All messages up to the first of this type."""
        messages: list[dict[str, Any]] = []
        while not messages or messages[-1]["type"] != type_:
            messages.append(await self.next())
        return messages

    async def closed(self) -> tuple[int | None, str | None]:
        """The code and reason of the close, whatever comes before it."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.connection.recv()
        return self.connection.close_code, self.connection.close_reason


class Source:
    """A stream of server-sent events."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The fields of the next event."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if line.startswith(":"):
                    continue
                if not line and fields:
                    return fields
                name, _, value = line.partition(": ")
                fields[name] = value
        return fields


def connect_socket(url: str, path: str) -> connect:
    # A client that leaves messages unread does not read the answer to its close either.
    return connect(url.replace("http", "ws", 1) + path, proxy=None, close_timeout=0.2)


async def handshake_refused(api: Api, path: str) -> tuple[int, str]:
    """The status and text with which a WebSocket's handshake is refused."""
    with pytest.raises(InvalidStatus) as refusal:
        async with connect_socket(api.url, path):
            pass
    response = refusal.value.response
    return response.status_code, (response.body or b"").decode()
