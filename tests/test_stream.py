"""The stream: resumed from a seq, told when that is not possible, and as server-sent events."""

import asyncio
import json

import httpx
import pytest
from asyncpg import Connection, Record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry.realtime import events
from tenantry.testing import Account, Api, Serve, eventually, handshake_refused, ok, refused
from tests.events import write_events


class TestAfter:
    async def test_sends_what_was_missed_and_goes_on(self, api: Api) -> None:
        admin = await api.register()
        for number in range(3):
            ok(await admin.broadcast(str(number)), 201)
        async with admin.socket(after=2) as socket:
            assert socket.connected["seq"] == 4
            ok(await admin.broadcast("live"), 201)
            assert [(await socket.next())["seq"] for _ in range(3)] == [3, 4, 5]

    async def test_of_the_last_seq_sends_nothing_old(self, api: Api) -> None:
        admin = await api.register()
        async with admin.socket(after=1) as socket:
            ok(await admin.broadcast("live"), 201)
            assert (await socket.next())["seq"] == 2

    async def test_of_nought_sends_the_whole_feed(self, api: Api) -> None:
        admin = await api.register()
        async with admin.socket(after=0) as socket:
            assert (await socket.next())["type"] == "USER_JOINED"

    async def test_must_be_a_seq(self, api: Api) -> None:
        admin = await api.register()
        for wrong in ("-1", "x", "1.5", "9" * 17, "٣"):
            status, text = await handshake_refused(api, f"/ws?token={admin.token}&after={wrong}")
            assert (status, json.loads(text)["fields"][0]["field"]) == (422, "after")

    async def test_that_is_too_far_back_is_told_to_resync(self, serve: Serve) -> None:
        api = await serve(replay_limit=2)
        admin = await api.register()
        for number in range(3):
            ok(await admin.broadcast(str(number)), 201)
        async with admin.socket(after=1) as socket:
            assert await socket.next() == {
                "type": "RESYNC",
                "payload": {"after": 1, "seq": 4},
                "seq": 4,
            }
            ok(await admin.broadcast("live"), 201)
            assert (await socket.next())["seq"] == 5
        async with admin.socket(after=3) as socket:
            assert [(await socket.next())["seq"] for _ in range(2)] == [4, 5]

    async def test_from_the_future_is_told_to_resync(self, api: Api) -> None:
        """As after a restore of an older database."""
        admin = await api.register()
        async with admin.socket(after=99) as socket:
            assert (await socket.next())["payload"] == {"after": 99, "seq": 1}
            ok(await admin.broadcast("live"), 201)
            assert (await socket.next())["seq"] == 2

    async def test_of_long_ago_comes_as_fast_as_it_is_read(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        """More than any buffer holds, and more than one read brings; live events come after it."""
        admin = await fresh.register()
        await write_events(owner, admin, 2000, size=8000)
        async with admin.socket(after=1) as slow, admin.socket() as live:
            ok(await admin.broadcast("live"), 201)
            assert (await live.next())["seq"] == 2002
            for seq in range(2, 2003):
                assert (await slow.next())["seq"] == seq

    async def test_is_served_while_others_write_without_a_hole_or_a_double(self, api: Api) -> None:
        admin = await api.register()
        writers = [asyncio.ensure_future(admin.broadcast(str(number))) for number in range(60)]
        seen: list[int] = []
        while len(seen) < 60:
            async with admin.socket(after=1 + len(seen)) as socket:
                some = min(7, 60 - len(seen))
                seen += [(await socket.next())["seq"] for _ in range(some)]
        await asyncio.gather(*writers)
        assert seen == list(range(2, 62))


async def test_two_organisations_under_load_never_see_each_others_events(serve: Serve) -> None:
    """On two servers, by both kinds of stream, by those that stay and those that come and go."""
    servers = [await serve(), await serve()]
    count = 150

    async def staying(account: Account) -> list[str]:
        async with account.socket(after=1) as socket:
            return [(await socket.next())["payload"]["message"] for _ in range(count)]

    async def returning(account: Account) -> list[str]:
        seen: list[str] = []
        while len(seen) < count:
            async with account.socket(after=1 + len(seen)) as socket:
                some = min(10, count - len(seen))
                seen += [(await socket.next())["payload"]["message"] for _ in range(some)]
        return seen

    async def by_sse(account: Account) -> list[str]:
        async with account.events(**{"last-event-id": "1"}) as source:
            await source.next()
            events = [json.loads((await source.next())["data"]) for _ in range(count)]
        return [event["payload"]["message"] for event in events]

    async def write(accounts: list[Account], name: str) -> None:
        for number in range(count):
            ok(await accounts[number % 2].broadcast(f"{name} {number}"), 201)

    names = ("one", "other")
    founders = [await servers[0].register() for _ in names]
    accounts = [[founder.at(server) for server in servers] for founder in founders]
    writing = [write(mine, name) for mine, name in zip(accounts, names, strict=True)]
    reading = [
        read(account)
        for mine in accounts
        for account in mine
        for read in (staying, returning, by_sse)
    ]
    heard = (await asyncio.gather(*reading, *writing))[: len(reading)]
    for index, messages in enumerate(heard):
        name = names[index // 6]
        assert messages == [f"{name} {number}" for number in range(count)]


class TestServerSentEvents:
    async def test_are_the_stream(self, api: Api) -> None:
        admin = await api.register()
        async with admin.events() as source, admin.socket() as socket:
            assert source.answer.headers["content-type"].startswith("text/event-stream")
            greeting = await source.next()
            assert greeting["id"] == "1"
            assert json.loads(greeting["data"])["type"] == "CONNECTED"
            ok(await admin.broadcast("hello"), 201)
            event = await source.next()
            assert json.loads(event["data"]) == await socket.next()
            assert event["id"] == "2"

    async def test_resume_where_the_client_was(self, api: Api) -> None:
        admin = await api.register()
        for number in range(2):
            ok(await admin.broadcast(str(number)), 201)
        async with admin.events(**{"last-event-id": "1"}) as source:
            assert [(await source.next())["id"] for _ in range(3)] == ["1", "2", "3"]

    async def test_are_told_to_resync(self, serve: Serve) -> None:
        api = await serve(replay_limit=0)
        admin = await api.register()
        async with admin.events(**{"last-event-id": "0"}) as source:
            await source.next()
            resync = await source.next()
            assert (resync["id"], json.loads(resync["data"])["type"]) == ("1", "RESYNC")

    async def test_open_by_ticket_once(self, api: Api) -> None:
        admin = await api.register()
        ticket = ok(await admin.post("/api/realtime/ticket"), 201)["ticket"]
        async with api.http.stream("GET", "/api/events", params={"ticket": ticket}) as answer:
            assert answer.status_code == 200
        refused(await api.get("/api/events", ticket=ticket), 401, "Invalid or expired ticket")
        refused(await api.get("/api/events"), 401, "No token provided")

    async def test_say_why_they_end(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        async with other.events() as source:
            await source.next()
            await other.post("/api/auth/logout", refreshToken=other.refresh_token)
            assert await source.next() == {
                "event": "close",
                "data": "4001 The session has ended. Sign in again.",
            }
            assert await source.next() == {}

    async def test_carry_no_other_organisations_events(self, api: Api) -> None:
        admin, stranger = await api.register(), await api.register()
        async with admin.events() as source:
            await source.next()
            ok(await stranger.broadcast("theirs"), 201)
            ok(await admin.broadcast("ours"), 201)
            assert "ours" in (await source.next())["data"]

    async def test_of_a_head_request_have_no_body(self, api: Api) -> None:
        admin = await api.register()
        answer = await admin.call("HEAD", "/api/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert await admin.present() == {}

    async def test_of_a_client_that_does_not_read_are_cut(
        self, fresh: Api, owner: "Connection[Record]", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And the connection with them, which would wait for ever."""
        monkeypatch.setattr(events, "CLOSE_TIMEOUT", 0)
        admin = await fresh.register()
        async with admin.events() as source:
            await source.next()
            await write_events(owner, admin, 1600, size=20_000)
            await eventually(admin.present, {})
            with pytest.raises(httpx.TransportError):
                while await source.next():
                    pass


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.sampled_from(["write", "write both", "leave", "read"]), max_size=30),
)
async def test_state_built_from_events_is_the_feed(api: Api, steps: list[str]) -> None:
    """Whatever the order of writes, disconnects and resumes: every event once, in its order."""
    admin = await api.register()
    seen = ok(await admin.get("/api/activities"))
    written = 1
    stack = admin.socket(after=1)
    socket = await stack.__aenter__()
    for step in [*steps, "read"]:
        if step.startswith("write"):
            writes = 2 if "both" in step else 1
            await asyncio.gather(*[admin.broadcast("x") for _ in range(writes)])
            written += writes
        elif step == "leave":
            await stack.__aexit__(None, None, None)
            stack = admin.socket(after=seen[-1]["seq"])
            socket = await stack.__aenter__()
        else:
            while seen[-1]["seq"] < written:
                seen.append(await socket.next())
    await stack.__aexit__(None, None, None)
    feed = ok(await admin.get("/api/activities", limit=100))[::-1]
    assert [one["seq"] for one in seen] == [line["seq"] for line in feed]
    assert [one["payload"] for one in seen[1:]] == [line["metadata"] for line in feed[1:]]
