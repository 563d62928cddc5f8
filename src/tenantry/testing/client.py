"""Clients of the app: somebody who is not signed in, and somebody who is."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
from websockets.exceptions import InvalidStatus

from tenantry.testing.answers import PASSWORD, ok, registration, unique_email
from tenantry.testing.sockets import Socket, Source, connect_socket


class Api:
    """Somebody who is not signed in."""

    def __init__(self, url: str) -> None:
        self.url = url
        limits = httpx.Limits(max_connections=200)
        # There is no TLS on the way, so no certificates need loading.
        self.http = httpx.AsyncClient(
            base_url=url,
            timeout=30,
            limits=limits,
            verify=False,  # noqa: S501
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(path, params=params)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def register(self, name: str = "Ada Lovelace", **changes: Any) -> "Account":
        """The owner of a new organisation, which is on the first plan."""
        body = registration(name=name, **changes)
        return Account(self, ok(await self.post("/api/auth/register", **body), 201))

    async def login(self, email: str, password: str = PASSWORD) -> "Account":
        """Another session of somebody."""
        return Account(self, ok(await self.post("/api/auth/login", email=email, password=password)))

    async def accept(self, token: str, name: str = "Grace Hopper") -> httpx.Response:
        """Accept an invite, as somebody who has no account yet."""
        return await self.post(
            "/api/users/accept-invite", token=token, name=name, password=PASSWORD
        )


class Account:
    """Somebody who is signed in: `user` and `organisation` are as the sign-in answered them."""

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
        """Any request; `options` are httpx's."""
        headers = {"authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return await self.api.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.call("GET", path, params=params)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.call("POST", path, json=body)

    async def patch(self, path: str, **body: Any) -> httpx.Response:
        return await self.call("PATCH", path, json=body)

    async def put(self, path: str, **body: Any) -> httpx.Response:
        return await self.call("PUT", path, json=body)

    async def delete(self, path: str, **body: Any) -> httpx.Response:
        return await self.call("DELETE", path, json=body)

    async def invite(self, email: str | None = None, role: str = "MEMBER") -> httpx.Response:
        return await self.post("/api/users/invite", email=email or unique_email(), role=role)

    async def change_plan(self, plan: str) -> httpx.Response:
        return await self.patch("/api/organisations/subscription", plan=plan)

    async def broadcast(self, message: str) -> httpx.Response:
        return await self.post("/api/organisations/broadcast", message=message)

    async def change_role(self, user_id: str, **role: Any) -> httpx.Response:
        return await self.patch(f"/api/users/{user_id}", **role)

    async def remove(self, user_id: str) -> httpx.Response:
        return await self.call("DELETE", f"/api/users/{user_id}")

    async def define(self, name: str, *permissions: str) -> str:
        """A custom role of the organisation, whose plan needs to have them; its id."""
        answer = await self.post(
            "/api/organisations/roles", name=name, permissions=list(permissions)
        )
        return str(ok(answer, 201, "Role created")["id"])

    async def add(
        self, name: str = "Grace Hopper", role: str = "MEMBER", permissions: Sequence[str] = ()
    ) -> "Account":
        """A new member, invited, accepted, signed in; with a custom role if `permissions` are
        named, which the organisation's plan needs to have.
        """
        as_what: dict[str, Any] = {"role": role}
        if permissions:
            as_what = {"customRoleId": await self.define(f"{name}'s role"[-50:], *permissions)}
        email = unique_email("member")
        invite = ok(await self.post("/api/users/invite", email=email, **as_what), 201)
        ok(await self.api.accept(invite["token"], name), 201)
        return await self.api.login(email)

    async def feed(self, **params: Any) -> list[dict[str, Any]]:
        """The activities, the newest first."""
        data: list[dict[str, Any]] = ok(await self.get("/api/activities", **params))
        return data

    async def present(self) -> dict[str, int]:
        """How many connections each name has."""
        answer = ok(await self.get("/api/realtime/presence"), message="Presence fetched")
        return {one["name"]: one["connections"] for one in answer}

    @asynccontextmanager
    async def socket(self, after: int | None = None) -> AsyncIterator[Socket]:
        """An open socket, past its CONNECTED."""
        query = "" if after is None else f"&after={after}"
        async with connect_socket(self.api.url, f"/ws?token={self.token}{query}") as connection:
            socket = Socket(connection)
            socket.connected = await socket.next()
            if socket.connected["type"] != "CONNECTED":
                raise AssertionError(f"The socket began with {socket.connected}")
            yield socket

    @asynccontextmanager
    async def events(self, **headers: str) -> AsyncIterator[Source]:
        """The stream as server-sent events, from its first message on."""
        headers = {"authorization": f"Bearer {self.token}", **headers}
        async with self.api.http.stream("GET", "/api/events", headers=headers) as answer:
            if answer.status_code != 200:
                raise AssertionError(f"GET /api/events answered {answer.status_code}")
            yield Source(answer)


async def handshake_refused(api: Api, path: str) -> tuple[int, str]:
    """The status and text with which a WebSocket's handshake is refused.

    Raises:
        AssertionError: it is not refused.
    """
    try:
        async with connect_socket(api.url, path):
            pass
    except InvalidStatus as refusal:
        return refusal.response.status_code, (refusal.response.body or b"").decode()
    raise AssertionError(f"The handshake of {path} was not refused")
