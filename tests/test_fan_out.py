"""Events to many sockets at once: what a slow or a lost one gets, and what the others notice."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from asyncpg import Connection, Record

from tenantry.realtime import audience
from tenantry.realtime.subscriber import BUFFER
from tenantry.testing import Account, Api, eventually, ok
from tests.conftest import UNLIMITED
from tests.events import write_events
from tests.processes import serving
from tests.test_websocket_protocol import CLOSE, FIN, PING_MESSAGE, TEXT, Raw, handshake, raw

PONG_MESSAGE = b'{"type":"PONG"}'
SIZE = 20_000  # of an event
LITTLE = 4096  # bytes that a slow reader's side holds


@pytest.fixture
async def served(runtime_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """A client of a process of its own, with the event loop that people run."""
    environment = {"DATABASE_URL": runtime_url, **UNLIMITED}
    with serving(environment=environment, cwd=tmp_path) as server:
        async with Api(server.url) as api:
            yield api


@asynccontextmanager
async def slow(account: Account) -> AsyncIterator[Raw]:
    """A socket past its CONNECTED that takes next to nothing before it is read."""
    address = urlsplit(account.api.url)
    assert address.hostname
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)
    connection.connect((address.hostname, address.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=LITTLE)
    client = Raw(reader, writer)
    try:
        await handshake(client, f"/ws?token={account.token}")
        assert (await client.frame())[0] == TEXT
        yield client
    finally:
        writer.transport.abort()


async def seqs_until(client: Raw, end: int | bytes) -> tuple[list[int], bytes]:
    """The events up to a frame with this opcode or payload, and its payload."""
    seqs: list[int] = []
    while True:
        opcode, payload = await client.frame()
        if end in (opcode, payload):
            return seqs, payload
        seqs.append(json.loads(payload)["seq"])


class TestSlowReader:
    async def test_gets_all_in_order_unless_it_is_cut(
        self, served: Api, owner: "Connection[Record]"
    ) -> None:
        admin = await served.register()
        async with admin.socket() as quick:
            written = 0

            async def write() -> None:
                nonlocal written
                await write_events(owner, admin, size=SIZE)
                assert (await quick.next())["seq"] == 2 + written
                written += 1

            async with slow(admin) as client:
                while (await admin.present())["Ada Lovelace"] == 2:
                    await write()
                seqs, closing = await seqs_until(client, CLOSE)
                assert seqs == list(range(2, 2 + len(seqs)))
                assert closing[:2] == struct.pack("!H", 1013)
            first, enough = 2 + written, len(seqs) - BUFFER // 2 // SIZE
            async with slow(admin) as client:
                for _ in range(enough):  # half of its buffer is full, and all of the kernel's
                    await write()
                client.send(FIN | TEXT, PING_MESSAGE)
                seqs, _ = await seqs_until(client, PONG_MESSAGE)
                assert seqs == list(range(first, first + enough))
                await write()
                assert json.loads((await client.frame())[1])["seq"] == first + enough


def a_part(descriptor: int, data: bytes) -> int:
    return os.write(descriptor, data[:7])


def nothing(_descriptor: int, _data: bytes) -> int:
    raise BlockingIOError


class TestKernel:
    @pytest.mark.parametrize("takes", [a_part, nothing])
    async def test_may_take_less_than_all(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, takes: Callable[[int, bytes], int]
    ) -> None:
        admin = await api.register()
        async with raw(admin) as one, raw(admin) as other:
            monkeypatch.setattr(audience, "write", takes)
            for number in range(5):
                ok(await admin.broadcast(str(number)), 201)
                for client in (one, other):
                    client.send(FIN | TEXT, PING_MESSAGE)
            for client in (one, other):
                frames = [(await client.frame())[1] for _ in range(10)]
                events = [json.loads(frame) for frame in frames if frame != PONG_MESSAGE]
                assert [event["seq"] for event in events] == list(range(2, 7))

    async def test_may_find_somebody_gone_as_it_is_written_to(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin = await api.register()
        failed: list[OSError] = []

        def write(descriptor: int, data: bytes) -> int:
            lost.close()
            try:
                return os.write(descriptor, data)
            except OSError as error:
                failed.append(error)
                raise

        async with raw(admin) as one:
            lost = await asyncio.to_thread(opened_to_be_reset, admin)
            async with raw(admin) as other:
                monkeypatch.setattr(audience, "write", write)
                for number in range(5):
                    ok(await admin.broadcast(str(number)), 201)
                for client in (one, other):
                    seqs = [json.loads((await client.frame())[1])["seq"] for _ in range(5)]
                    assert seqs == list(range(2, 7))
                await eventually(admin.present, {"Ada Lovelace": 2})
        assert failed


def opened_to_be_reset(account: Account) -> socket.socket:
    """A socket past its handshake, whose close resets the connection."""
    address = urlsplit(account.api.url)
    client = socket.create_connection((address.hostname, address.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sendall(
        f"GET /ws?token={account.token} HTTP/1.1\r\nHost: tenantry.test\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    received = b""
    while b"CONNECTED" not in received:
        received += client.recv(4096)
    return client


class TestDescriptor:
    async def test_that_is_used_again_carries_only_its_new_owners_events(
        self, served: Api, owner: "Connection[Record]"
    ) -> None:
        """Two organisations' sockets come and go, and get each other's numbers."""
        accounts = [await served.register() for _ in range(2)]
        done = False

        async def write(account: Account) -> None:
            while not done:
                ok(await account.broadcast(account.id), 201)

        async def visit(account: Account, leave: Callable[[Raw], None]) -> None:
            for _ in range(15):
                async with raw(account) as client:
                    for _ in range(3):
                        event = json.loads((await client.frame())[1])
                        assert event["payload"]["message"] == account.id
                    leave(client)

        writing = [asyncio.ensure_future(write(account)) for account in accounts]
        ways = (
            lambda client: client.writer.transport.abort(),
            lambda client: client.writer.close(),
            lambda client: client.send(FIN | CLOSE),
        )
        await asyncio.gather(*[visit(account, way) for account in accounts for way in ways * 2])
        done = True
        await asyncio.gather(*writing)
