"""Limits, presence, and the end of connections, sessions, servers and databases."""

import asyncio
import signal
from pathlib import Path

import pytest
from asyncpg import Connection, Record
from redis.asyncio import Redis
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tenantry.testing import Api, Serve, connect_socket, eventually, handshake_refused, ok, refused
from tests.conftest import UNLIMITED, RedisServer, needs
from tests.processes import serving
from tests.test_websocket_protocol import CLOSE, FIN, TEXT, raw

PING = '{"type":"PING"}'


class TestLimits:
    async def test_hold_for_a_user_and_free_what_is_closed(self, serve: Serve) -> None:
        api = await serve(connections_per_user=2)
        admin = await api.register()
        member = await admin.add()
        async with admin.socket():
            async with admin.socket(), member.socket():
                status, text = await handshake_refused(api, f"/ws?token={admin.token}")
                assert (status, "TOO_MANY_CONNECTIONS" in text) == (429, True)
                refused(await admin.get("/api/events"), 429, code="TOO_MANY_CONNECTIONS")
            await eventually(admin.present, {"Ada Lovelace": 1})
            async with admin.socket():
                pass

    async def test_hold_for_an_organisation_and_no_other(self, serve: Serve) -> None:
        api = await serve(connections_per_organisation=2)
        admin, stranger = await api.register(), await api.register()
        member = await admin.add()
        async with admin.socket(), member.socket(), stranger.socket():
            assert (await handshake_refused(api, f"/ws?token={member.token}"))[0] == 429

    async def test_hold_under_simultaneous_handshakes(self, serve: Serve) -> None:
        api = await serve(connections_per_user=3)
        admin = await api.register()
        everybody_tried = asyncio.Barrier(12)

        async def opened() -> bool:
            try:
                async with connect_socket(api.url, f"/ws?token={admin.token}"):
                    await everybody_tried.wait()
                    return True
            except InvalidStatus:
                await everybody_tried.wait()
                return False

        assert sum(await asyncio.gather(*[opened() for _ in range(12)])) == 3

    async def test_close_a_socket_that_sends_too_much(self, serve: Serve) -> None:
        api = await serve(messages_per_second=5)
        admin = await api.register()
        async with admin.socket() as socket:
            for _ in range(5):
                await socket.connection.send(PING)
                assert await socket.next() == {"type": "PONG"}
            for _ in range(20):
                await socket.connection.send(PING)
            assert (await socket.closed())[0] == 1008

    async def test_of_messages_leave_nothing_after_the_close(self, serve: Serve) -> None:
        """RFC 6455, 5.5.1: no frame follows a close frame."""
        api = await serve(messages_per_second=2)
        admin = await api.register()
        async with raw(admin) as client:
            for _ in range(5):
                client.send(FIN | TEXT, PING.encode())
            assert [(await client.frame())[0] for _ in range(3)] == [TEXT, TEXT, CLOSE]
            assert await client.reader.read() == b""


class TestPresence:
    async def test_is_who_has_a_stream_open_on_any_server(self, serve: Serve) -> None:
        one, other = await serve(), await serve()
        admin = await one.register()
        member = await admin.add()
        stranger = await one.register("Mallory")
        async with admin.socket(), admin.at(other).socket():
            async with member.at(other).events(), stranger.socket():
                for server in (one, other):
                    seen = await member.at(server).present()
                    assert seen == {"Ada Lovelace": 2, "Grace Hopper": 1}
            await eventually(admin.present, {"Ada Lovelace": 2})
        await eventually(admin.present, {})

    async def test_says_who_they_are(self, api: Api) -> None:
        admin = await api.register()
        async with admin.socket():
            (me,) = ok(await admin.get("/api/realtime/presence"))
        assert (me["id"], me["role"], me["connections"]) == (admin.id, "ADMIN", 1)
        assert (me["owner"], me["customRole"]) == (True, None)
        assert me["since"].endswith("Z")

    async def test_survives_the_listeners_connection(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        """A node that lost its connection is dead; then it is another, and says it all again."""
        admin = await fresh.register()
        async with admin.socket() as socket:
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            await eventually(admin.present, {"Ada Lovelace": 1})
            ok(await admin.broadcast("after"), 201)
            assert (await socket.next())["payload"]["message"] == "after"


class TestEnds:
    async def test_reach_a_socket_whose_handshake_is_under_way(self, fresh: Api) -> None:
        """Whatever the order: no socket stays open that a logout should have closed."""

        async def attempt() -> None:
            account = await fresh.login(email)
            logout = account.post("/api/auth/logout", refreshToken=account.refresh_token)
            ending = asyncio.ensure_future(logout)
            try:
                async with connect_socket(fresh.url, f"/ws?token={account.token}") as socket:
                    with pytest.raises(ConnectionClosed) as closed:
                        async with asyncio.timeout(1):
                            while True:
                                await socket.recv()
                    assert closed.value.rcvd
                    assert closed.value.rcvd.code == 4001
            except InvalidStatus as refusal:
                assert refusal.response.status_code == 401
            await ending

        email = (await fresh.register()).user["email"]
        await asyncio.gather(*[attempt() for _ in range(8)])

    async def test_of_a_session_reach_its_sockets_on_another_server(self, serve: Serve) -> None:
        one, other = await serve(), await serve()
        account = await one.register()
        async with account.at(other).socket() as socket:
            await account.post("/api/auth/logout", refreshToken=account.refresh_token)
            assert (await socket.closed())[0] == 4001

    async def test_of_a_membership_reach_its_sockets_on_another_server(self, serve: Serve) -> None:
        one, other = await serve(), await serve()
        admin = await one.register()
        member = await admin.add()
        async with (
            member.at(other).socket() as socket,
            member.at(other).events() as source,
        ):
            await source.next()
            ok(await admin.remove(member.id))
            assert (await socket.closed())[0] == 4003
            assert (await source.next())["data"].startswith("4003 ")


class TestServers:
    async def test_that_stop_send_everybody_away_to_come_back(
        self, runtime_url: str, tmp_path: Path
    ) -> None:
        with serving(
            environment={"DATABASE_URL": runtime_url, **UNLIMITED}, cwd=tmp_path
        ) as server:
            async with Api(server.url) as api:
                admin = await api.register()
                async with admin.socket() as socket, admin.events() as source:
                    await source.next()
                    stopping = asyncio.ensure_future(asyncio.to_thread(server.stop, signal.SIGTERM))
                    code, reason = await socket.closed()
                    assert code == 1012
                    assert reason
                    assert "Connect again in" in reason
                    assert (await source.next())["data"].startswith("1012 ")
                    output = await stopping
            assert "Stopped." in output
            assert "Traceback" not in output
            assert server.process.returncode == 0


@needs("redis-server")
class TestRedis:
    """Wake-ups through Redis: nothing else may depend on it."""

    async def test_wakes_every_server(
        self, serve: Serve, redis: RedisServer, owner: "Connection[Record]"
    ) -> None:
        one, other = await serve(redis_url=redis.url), await serve(redis_url=redis.url)
        notified: list[object] = []
        await owner.add_listener("tenantry_activity", lambda *told: notified.append(told))
        admin = await one.register()
        async with admin.socket() as here, admin.at(other).socket() as there:
            for number in range(10):
                ok(await admin.broadcast(str(number)), 201)
                for socket in (here, there):
                    assert (await socket.next())["payload"]["message"] == str(number)
        await owner.execute("SELECT")
        assert notified == []

    async def test_may_carry_anything_else(self, serve: Serve, redis: RedisServer) -> None:
        """Whatever is published on the channel, the server goes on listening to it."""
        api = await serve(redis_url=redis.url)
        admin = await api.register()
        async with admin.socket() as socket, Redis(unix_socket_path=str(redis.socket)) as client:
            for _ in range(2):
                assert await client.publish("tenantry_activity", b"\xff no uuid") == 1
                ok(await admin.broadcast("after"), 201)
                assert (await socket.next())["payload"]["message"] == "after"

    async def test_that_goes_away_and_comes_back_loses_nothing(
        self, serve: Serve, redis: RedisServer
    ) -> None:
        one, other = await serve(redis_url=redis.url), await serve(redis_url=redis.url)
        admin = await one.register()
        async with admin.at(other).socket() as socket:
            for number in range(3):
                await (redis.stop if number == 1 else redis.start)()
                for part in range(3):
                    ok(await admin.broadcast(f"{number} {part}"), 201)
                    assert (await socket.next())["payload"]["message"] == f"{number} {part}"
