"""The WebSocket: the handshake, the events, the close."""

import asyncio
import json

from asyncpg import Connection, Record

from tenantry.testing import Api, Serve, connect_socket, eventually, handshake_refused, ok
from tests.events import write_events, write_quietly


class TestHandshake:
    async def test_greets(self, api: Api) -> None:
        account = await api.register()
        async with connect_socket(api.url, f"/ws?token={account.token}") as connection:
            assert json.loads(await connection.recv()) == {
                "type": "CONNECTED",
                "payload": {"message": "Connected to real-time channel"},
                "seq": 1,
            }

    async def test_refuses_in_plain_text(self, api: Api) -> None:
        account = await api.register()
        assert await handshake_refused(api, "/ws") == (401, "Missing token")
        assert await handshake_refused(api, "/ws?token=") == (401, "Missing token")
        for token in ("nonsense", account.refresh_token, account.token[:-2] + "xx"):
            refusal = await handshake_refused(api, f"/ws?token={token}")
            assert refusal == (401, "Invalid or expired token")
        status, text = await handshake_refused(api, "/nowhere")
        assert (status, json.loads(text)["code"]) == (404, "NOT_FOUND")

    async def test_refuses_whoever_has_logged_out_or_was_removed(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        await admin.remove(member.id)
        await admin.post("/api/auth/logout", refreshToken=admin.refresh_token)
        for account in (admin, member):
            assert (await handshake_refused(api, f"/ws?token={account.token}"))[0] == 401

    async def test_answers_a_plain_request_likewise(self, api: Api) -> None:
        account = await api.register()
        answers = [
            await api.get("/ws"),
            await api.get("/ws", token="nonsense"),
            await api.get("/ws", token=account.token),
        ]
        assert [(answer.status_code, answer.text) for answer in answers[:2]] == [
            (401, "Missing token"),
            (401, "Invalid or expired token"),
        ]
        assert answers[2].status_code == 426


class TestMessages:
    async def test_answers_a_ping(self, api: Api) -> None:
        account = await api.register()
        async with account.socket() as socket:
            await socket.connection.send('{"type":"PING"}')
            assert await socket.next() == {"type": "PONG"}

    async def test_ignores_everything_else(self, api: Api) -> None:
        account = await api.register()
        async with account.socket() as socket:
            for message in ("", "nonsense", "[]", "3", "null", '{"type":"X"}', "[" * 5000, b"\xff"):
                await socket.connection.send(message)
            await socket.connection.send('{"type":"PING"}')
            assert await socket.next() == {"type": "PONG"}

    async def test_closes_on_a_message_that_is_too_large(self, api: Api) -> None:
        account = await api.register()
        async with account.socket() as socket:
            await socket.connection.send("x" * 100_000)
            assert (await socket.closed())[0] == 1009


class TestEvents:
    async def test_carry_what_the_contract_says(self, api: Api) -> None:
        admin = await api.register()
        async with admin.socket() as socket:
            member = await admin.add("Grace Hopper")
            joined = (await socket.until("USER_JOINED"))[-1]
            await admin.change_plan("PRO")
            upgraded = (await socket.until("PLAN_UPGRADED"))[-1]
            await admin.broadcast("Lunch?")
            message = (await socket.until("BROADCAST_MESSAGE"))[-1]
            await admin.remove(member.id)
            removed = (await socket.until("USER_REMOVED"))[-1]
        assert joined["payload"] == {
            "userId": member.id,
            "name": "Grace Hopper",
            "email": member.user["email"],
            "role": "MEMBER",
        }
        assert set(upgraded["payload"]) == {"from", "to", "upgradedAt"}
        assert (upgraded["payload"]["from"], upgraded["payload"]["to"]) == ("FREE", "PRO")
        assert set(message["payload"]) == {"message", "sentBy", "sentAt"}
        assert message["payload"]["message"] == "Lunch?"
        assert removed["payload"] == {"userId": member.id, "removedBy": admin.id}

    async def test_are_the_feed_itself(self, api: Api) -> None:
        admin = await api.register()
        async with admin.socket() as socket:
            await admin.add()
            await admin.change_plan("ENTERPRISE")
            await admin.change_plan("FREE")
            await admin.broadcast("last")
            events = await socket.until("BROADCAST_MESSAGE")
        lines = (await admin.feed(after=1))[::-1]
        assert events == [
            {
                "type": line["type"],
                "payload": line["metadata"],
                "seq": line["seq"],
                "at": line["createdAt"],
            }
            for line in lines
        ]

    async def test_reach_every_socket_of_the_organisation_and_no_other(self, api: Api) -> None:
        admin, stranger = await api.register(), await api.register()
        member = await admin.add()
        async with (
            admin.socket() as first,
            admin.socket() as second,
            member.socket() as third,
            stranger.socket() as foreign,
        ):
            await admin.broadcast("ours")
            for socket in (first, second, third):
                assert (await socket.next())["payload"]["message"] == "ours"
            await stranger.broadcast("theirs")
            assert (await foreign.next())["payload"]["message"] == "theirs"

    async def test_come_once_each_and_in_order_while_many_write(self, api: Api) -> None:
        admin = await api.register()
        async with admin.socket() as socket:
            await asyncio.gather(*[admin.broadcast(str(number)) for number in range(40)])
            events = [await socket.next() for _ in range(40)]
        assert [one["seq"] for one in events] == list(range(2, 42))

    async def test_are_never_sent_for_what_was_rolled_back(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        admin = await fresh.register()
        # The activity is written before the plan's change fails at the commit.
        await owner.execute("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE 'refused'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON activities
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
                WHEN (NEW.type = 'PLAN_UPGRADED') EXECUTE FUNCTION refuse();
        """)
        async with admin.socket() as socket:
            assert (await admin.change_plan("PRO")).status_code == 500
            ok(await admin.broadcast("after"), 201)
            assert (await socket.next())["type"] == "BROADCAST_MESSAGE"
        assert ok(await admin.get("/api/organisations"))["subscriptionPlan"] == "FREE"
        assert [line["seq"] for line in await admin.feed()] == [2, 1]

    async def test_arrive_although_the_wake_up_was_lost(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        admin = await fresh.register()
        async with admin.socket() as socket:
            await write_quietly(owner, admin)
            assert (await socket.next())["seq"] == 2

    async def test_arrive_so_although_others_keep_the_server_awake(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        admin, busy = await fresh.register(), await fresh.register()
        async with admin.socket() as socket, busy.socket():
            await write_quietly(owner, admin)
            arrival = asyncio.ensure_future(socket.next())
            while not arrival.done():
                ok(await busy.broadcast("noise"), 201)
            assert (await arrival)["seq"] == 2

    async def test_miss_no_socket_that_comes_while_they_go_out(self, api: Api) -> None:
        """Each socket goes on from the seq of its own handshake, without a hole or a double."""
        admin = await api.register()
        await admin.change_plan("ENTERPRISE")

        async def watch() -> list[int]:
            async with admin.socket() as socket:
                return [event["seq"] for event in await socket.until("PLAN_DOWNGRADED")]

        watchers = []
        for number in range(15):
            watchers.append(asyncio.ensure_future(watch()))
            await asyncio.gather(*[admin.broadcast(f"{number} {part}") for part in range(3)])
        ok(await admin.change_plan("FREE"))
        for seen in await asyncio.gather(*watchers):
            assert seen == list(range(seen[0], 49))

    async def test_cross_from_one_server_to_another(self, serve: Serve) -> None:
        one, other = await serve(), await serve()
        admin = await one.register()
        async with admin.at(other).socket() as socket:
            await admin.broadcast("hello")
            assert (await socket.next())["payload"]["message"] == "hello"


class TestClose:
    async def test_follows_a_removal_and_says_why(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        async with admin.socket() as mine, member.socket() as theirs:
            await admin.remove(member.id)
            assert await theirs.closed() == (4003, "You were removed from the organisation.")
            assert (await mine.next())["type"] == "USER_REMOVED"

    async def test_follows_a_logout(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        async with account.socket() as socket, other.socket() as untouched:
            await account.post("/api/auth/logout", refreshToken=account.refresh_token)
            assert (await socket.closed())[0] == 4001
            await untouched.connection.send('{"type":"PING"}')
            assert await untouched.next() == {"type": "PONG"}

    async def test_follows_falling_too_far_behind(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        """More than the buffer and the kernel's hold, for a client that has stopped reading."""
        admin = await fresh.register()
        async with admin.socket() as socket:
            await write_events(owner, admin, 600, size=20_000)
            await eventually(admin.present, {})
            code, _ = await socket.closed()
        assert code in (1013, 1006)  # 1006 where even the close had no room
        ok(await admin.broadcast("the others go on"), 201)

    async def test_does_not_follow_a_burst_for_those_who_read(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        admin = await fresh.register()
        async with admin.socket() as socket:
            await write_events(owner, admin, 600, size=20_000)
            assert [(await socket.next())["seq"] for _ in range(600)] == list(range(2, 602))

    async def test_follows_an_end_that_nobody_told_of(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        """A session that expires, or whose end was not heard, is found by the poll."""
        account = await fresh.register()
        other = await fresh.login(account.user["email"])
        async with account.socket() as socket, other.socket() as untouched:
            await owner.execute(
                "UPDATE sessions SET expires_at = now() WHERE id IN "
                "(SELECT id FROM sessions ORDER BY created_at LIMIT 1)"
            )
            assert (await socket.closed())[0] == 4001
            await untouched.connection.send('{"type":"PING"}')
            assert await untouched.next() == {"type": "PONG"}
