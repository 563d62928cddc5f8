"""The WebSocket protocol itself (RFC 6455), with frames made by hand."""

import asyncio
import base64
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tenantry.realtime import heartbeat
from tenantry.testing import PATIENCE, Account, Api, Serve, eventually

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
FIN = 0x80
PING_MESSAGE = b'{"type":"PING"}'


@dataclass
class Raw:
    """A client that can send anything."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, first_byte: int, payload: bytes = b"", *, masked: bool = True) -> None:
        mask = os.urandom(4) if masked else b""
        flag = 0x80 if masked else 0
        if len(payload) < 126:
            length = bytes([flag | len(payload)])
        elif len(payload) < 65536:
            length = bytes([flag | 126]) + struct.pack("!H", len(payload))
        else:
            length = bytes([flag | 127]) + struct.pack("!Q", len(payload))
        body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if masked else payload
        self.writer.write(bytes([first_byte]) + length + mask + body)

    async def frame(self) -> tuple[int, bytes]:
        """The opcode and payload of the next frame, which is whole and unmasked."""
        async with asyncio.timeout(PATIENCE):
            first, length = await self.reader.readexactly(2)
            assert first & 0xF0 == FIN, "final, no extension"
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            return first & 0x0F, await self.reader.readexactly(length)

    async def closed(self) -> int:
        """The code of the close frame, after which the server ends the connection."""
        opcode, payload = await self.frame()
        while opcode != CLOSE:
            opcode, payload = await self.frame()
        self.send(FIN | CLOSE, payload)
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.read() == b""
        return int(struct.unpack("!H", payload[:2])[0])


@asynccontextmanager
async def raw(account: Account, headers: str = "", path: str = "") -> AsyncIterator[Raw]:
    """A connection past its CONNECTED."""
    async with connection(account.api.url) as client:
        path = path or f"/ws?token={account.token}"
        assert (await handshake(client, path, headers)).startswith("HTTP/1.1 101 ")
        assert (await client.frame())[0] == TEXT
        yield client


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[Raw]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


async def handshake(client: Raw, path: str, headers: str = "", version: int = 13) -> str:
    key = base64.b64encode(os.urandom(16)).decode()
    client.writer.write(
        f"GET {path} HTTP/1.1\r\nHost: tenantry.test\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Version: {version}\r\n{headers}\r\n".encode()
    )
    async with asyncio.timeout(PATIENCE):
        return (await client.reader.readuntil(b"\r\n\r\n")).decode()


async def is_open(client: Raw) -> None:
    client.send(FIN | TEXT, PING_MESSAGE)
    assert await client.frame() == (TEXT, b'{"type":"PONG"}')


@pytest.fixture
async def account(api: Api) -> Account:
    return await api.register()


class TestFrames:
    async def test_may_be_fragments_of_a_message(self, account: Account) -> None:
        async with raw(account) as client:
            client.send(TEXT, PING_MESSAGE[:3])
            client.send(CONTINUATION, PING_MESSAGE[3:9])
            client.send(CONTINUATION)
            client.send(FIN | CONTINUATION, PING_MESSAGE[9:])
            assert await client.frame() == (TEXT, b'{"type":"PONG"}')

    async def test_of_control_may_come_between_fragments(self, account: Account) -> None:
        async with raw(account) as client:
            client.send(TEXT, PING_MESSAGE[:3])
            client.send(FIN | PING, b"between")
            assert await client.frame() == (PONG, b"between")
            client.send(FIN | CONTINUATION, PING_MESSAGE[3:])
            assert await client.frame() == (TEXT, b'{"type":"PONG"}')

    async def test_may_come_byte_by_byte_and_all_at_once(self, account: Account) -> None:
        async with raw(account) as client:
            client.send(FIN | PING, b"whole")
            client.send(FIN | TEXT, PING_MESSAGE)
            assert await client.frame() == (PONG, b"whole")
            assert await client.frame() == (TEXT, b'{"type":"PONG"}')
            for byte in b"\x89\x80\x00\x00\x00\x00":
                client.writer.write(bytes([byte]))
                await client.writer.drain()
            assert await client.frame() == (PONG, b"")

    async def test_of_pong_need_not_have_been_asked_for(self, account: Account) -> None:
        async with raw(account) as client:
            client.send(FIN | PONG, b"unasked")
            await is_open(client)

    @pytest.mark.parametrize("message", [b"\xce\xba\xe1", b"\xed\xa0\x80", b"\xff"])
    async def test_of_text_must_be_utf8(self, account: Account, message: bytes) -> None:
        async with raw(account) as client:
            client.send(FIN | TEXT, message)
            assert await client.closed() == 1007

    async def test_of_text_may_part_within_a_character(self, account: Account) -> None:
        async with raw(account) as client:
            client.send(TEXT, "κ".encode()[:1])
            client.send(FIN | CONTINUATION, "κ".encode()[1:])
            await is_open(client)

    async def test_of_more_than_64_kib_are_refused_in_fragments_too(self, account: Account) -> None:
        async with raw(account) as client:
            for first in (TEXT, CONTINUATION, CONTINUATION):
                client.send(first, b"x" * 30_000)
            assert await client.closed() == 1009

    @pytest.mark.parametrize(
        ("first_byte", "payload"),
        [
            (FIN | CONTINUATION, b"of nothing"),
            (FIN | 3, b"reserved opcode"),
            (FIN | 11, b"reserved control opcode"),
            (FIN | 0x40 | TEXT, b"reserved bit"),
            (PING, b"fragmented control frame"),
            (FIN | PING, b"x" * 126),
            (FIN | CLOSE, b"\x03"),
            (FIN | CLOSE, struct.pack("!H", 1005)),
        ],
    )
    async def test_that_break_the_protocol_are_refused(
        self, account: Account, first_byte: int, payload: bytes
    ) -> None:
        async with raw(account) as client:
            client.send(first_byte, payload)
            assert await client.closed() == 1002

    async def test_must_be_masked(self, account: Account) -> None:
        async with raw(account) as client:
            client.send(FIN | TEXT, PING_MESSAGE, masked=False)
            assert await client.closed() == 1002

    async def test_of_a_second_message_may_not_come_within_the_first(
        self, account: Account
    ) -> None:
        async with raw(account) as client:
            client.send(TEXT, b"first")
            client.send(FIN | TEXT, b"second")
            assert await client.closed() == 1002


class TestClose:
    @pytest.mark.parametrize("payload", [b"", struct.pack("!H", 1000) + b"bye"])
    async def test_is_answered_likewise_and_ends_the_connection(
        self, account: Account, payload: bytes
    ) -> None:
        async with raw(account) as client:
            client.send(FIN | CLOSE, payload)
            assert await client.frame() == (CLOSE, payload)
            async with asyncio.timeout(PATIENCE):
                assert await client.reader.read() == b""
                await eventually(account.present, {})

    async def test_needs_no_handshake_to_be_noticed(self, account: Account) -> None:
        async with raw(account) as client:
            client.writer.transport.abort()
            async with asyncio.timeout(PATIENCE):
                await eventually(account.present, {})


class TestHandshake:
    async def test_must_be_a_valid_one(self, account: Account) -> None:
        path = f"/ws?token={account.token}"
        async with connection(account.api.url) as client:
            answer = await handshake(client, path, version=8)
            assert answer.startswith("HTTP/1.1 426 ")
            assert "Sec-WebSocket-Version: 13" in answer

    async def test_carries_the_headers_of_every_answer(self, account: Account) -> None:
        async with connection(account.api.url) as client:
            answer = await handshake(client, f"/ws?token={account.token}")
            for header in ("x-request-id: ", "x-content-type-options: nosniff"):
                assert header in answer

    async def test_takes_a_bearer_token_as_a_subprotocol(self, account: Account) -> None:
        offer = f"Sec-WebSocket-Protocol: bearer, {account.token}\r\n"
        async with connection(account.api.url) as client:
            answer = await handshake(client, "/ws", offer)
            assert answer.startswith("HTTP/1.1 101 ")
            assert "Sec-WebSocket-Protocol: bearer\r\n" in answer
            assert account.token not in answer
        async with connection(account.api.url) as client:
            refusal = await handshake(client, "/ws", "Sec-WebSocket-Protocol: bearer, nonsense\r\n")
            assert refusal.startswith("HTTP/1.1 401 ")

    @pytest.mark.parametrize(
        ("origin", "status"),
        [
            ("http://tenantry.test", 101),
            ("https://app.example.com", 101),
            ("https://APP.example.com", 101),
            ("https://api.example.com", 101),
            ("https://evil.example.com", 403),
            ("http://app.example.com", 403),
            ("https://app.example.com.evil.net", 403),
            ("null", 403),
            ("://", 403),
            ("http://[", 403),
        ],
    )
    async def test_of_a_page_is_open_to_our_own_and_to_cors_origins(
        self, serve: Serve, origin: str, status: int
    ) -> None:
        api = await serve(
            cors_origins=("https://App.example.com",), public_url="https://API.example.com"
        )
        account = await api.register()
        async with connection(api.url) as client:
            path = f"/ws?token={account.token}"
            answer = await handshake(client, path, f"Origin: {origin}\r\n")
            assert answer.startswith(f"HTTP/1.1 {status} ")


class TestHeartbeat:
    async def test_pings_and_closes_who_does_not_answer(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heartbeat, "STEP", 0.01)
        account = await (await serve()).register()
        async with account.socket() as answering, raw(account) as silent:
            assert await silent.frame() == (PING, b"")
            assert await silent.closed() == 1011
            await answering.connection.send(PING_MESSAGE.decode())
            assert await answering.next() == {"type": "PONG"}
            assert await account.present() == {account.user["name"]: 1}
