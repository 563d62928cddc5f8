"""Tickets: a pass for one WebSocket."""

import asyncio
import json

from asyncpg import Connection, Record
from websockets.exceptions import InvalidStatus

from tenantry.testing import Api, Serve, connect_socket, handshake_refused, ok


async def test_opens_one_socket(api: Api) -> None:
    account = await api.register()
    issued = ok(await account.post("/api/realtime/ticket"), 201, "Ticket issued")
    path = f"/ws?ticket={issued['ticket']}"
    async with connect_socket(api.url, path) as connection:
        assert json.loads(await connection.recv())["type"] == "CONNECTED"
        ok(await account.broadcast("hello"), 201)
        assert json.loads(await connection.recv())["payload"]["message"] == "hello"
    assert await handshake_refused(api, path) == (401, "Invalid or expired ticket")


async def test_opens_one_of_many_simultaneous_sockets(api: Api) -> None:
    account = await api.register()
    ticket = ok(await account.post("/api/realtime/ticket"), 201)["ticket"]

    async def opened() -> bool:
        try:
            async with connect_socket(api.url, f"/ws?ticket={ticket}"):
                return True
        except InvalidStatus:
            return False

    assert sum(await asyncio.gather(*[opened() for _ in range(10)])) == 1


async def test_holds_on_another_server_and_for_thirty_seconds(
    serve: Serve, owner: "Connection[Record]"
) -> None:
    one, other = await serve(), await serve()
    account = await one.register()
    first, second = [
        ok(await account.post("/api/realtime/ticket"), 201)["ticket"] for _ in range(2)
    ]
    async with connect_socket(other.url, f"/ws?ticket={first}"):
        pass
    left = await owner.fetchval("SELECT expires_at - now() FROM tickets")
    assert 0 < left.total_seconds() <= 30
    await owner.execute("UPDATE tickets SET expires_at = now()")
    assert (await handshake_refused(other, f"/ws?ticket={second}"))[0] == 401
    ok(await account.post("/api/realtime/ticket"), 201)
    assert await owner.fetchval("SELECT count(*) FROM tickets") == 1


async def test_is_void_once_its_session_has_ended(api: Api) -> None:
    account = await api.register()
    ticket = ok(await account.post("/api/realtime/ticket"), 201)["ticket"]
    await account.post("/api/auth/logout", refreshToken=account.refresh_token)
    assert (await handshake_refused(api, f"/ws?ticket={ticket}"))[0] == 401
    assert (await handshake_refused(api, "/ws?ticket=nonsense"))[0] == 401
