"""The clients of the study of real time: many WebSockets on one event loop, in their own process.

It is told what to do by lines of JSON on its input and answers each with one on its output:

    {"do": "open", "port": …, "paths": […], "greeted": …, "reads": …}
        Opens a socket on every path. With `greeted` the server sends a message first.
    {"do": "receive", "each": …}
        Waits until every socket has got so many messages more, and checks that none got others.
    {"do": "sample"}, {"do": "latencies"}
        The last message that was read; the milliseconds since the times in those that were.

Of most messages only the length is looked at. `reads` says which are read: "nothing", every
hundredth socket's "seq", which must rise by one, or all sockets' "times" of sending.
It ends with its input, and with it all its sockets.
"""

import asyncio
import sys
import time
from typing import Any, Literal, cast

import msgspec
import uvloop

AT_ONCE = 128  # handshakes under way
PATIENCE = 60.0  # seconds until a message counts as lost
SAMPLED = 100  # of so many sockets, one is read
LONGEST_LINE = 2**25

TEXT, CLOSE, PING = 0x81, 0x88, 0x89  # first bytes of whole frames (RFC 6455, 5.2)

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Reads = Literal["nothing", "seq", "times"]


class Failure(Exception):
    """The clients did not get what they should; the message says how."""


class Payload(msgspec.Struct):
    message: str


class Message(msgspec.Struct):
    """As much of an event as is read."""

    type: str
    payload: Payload
    seq: int | None = None


decode = msgspec.json.Decoder(Message).decode


class Client(asyncio.Protocol):
    """A socket past its handshake: counts the messages."""

    __slots__ = ("count", "crowd", "reads", "rest", "seq", "transport")

    def __init__(self, crowd: "Crowd", transport: asyncio.Transport, reads: Reads) -> None:
        self.crowd = crowd
        self.transport = transport
        self.reads = reads
        self.count = 0
        self.rest = b""
        self.seq: int | None = None

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        at, end, messages = 0, len(data), 0
        while end - at >= 2:
            body, length = at + 2, data[at + 1]
            if length == 126:
                body, length = at + 4, int.from_bytes(data[at + 2 : at + 4])
            if body + length > end:
                break
            if data[at] != TEXT:
                self._control(data[at], data[body : body + length])
            else:
                messages += 1
                if self.reads != "nothing":
                    self._read(data[body : body + length])
            at = body + length
        self.rest = data[at:]
        if messages:
            self.count += messages
            self.crowd.got(messages)

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.fail(f"a server closed a connection: {exc or 'without an error'}")

    def _control(self, kind: int, body: bytes) -> None:
        if kind == PING:
            self.transport.write(bytes((0x8A, 0x80 | len(body), 0, 0, 0, 0)) + body)
        elif kind == CLOSE:
            self.crowd.fail(f"a server closed a socket: {body[2:].decode()}")
        else:
            self.crowd.fail(f"a frame begins with {kind:#x}")

    def _read(self, text: bytes) -> None:
        now = time.monotonic_ns()
        message = decode(text)
        if message.type == "CONNECTED":
            return
        self.crowd.sample = text
        if self.reads == "times":
            self.crowd.latencies.append((now - int(message.payload.message)) / 1e6)
        if message.seq is None or (self.seq is not None and message.seq != self.seq + 1):
            self.crowd.fail(f"event {message.seq} came after event {self.seq}")
        self.seq = message.seq


class Handshake(asyncio.Protocol):
    """A connection until its handshake is answered, when it becomes a client."""

    def __init__(self, crowd: "Crowd", request: bytes, reads: Reads) -> None:
        self._crowd = crowd
        self._request = request
        self._reads = reads
        self._answer = b""
        self.done: asyncio.Future[Client] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, rest = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            self._fail(f"a handshake was refused: {self._answer.decode()}")
            return
        client = Client(self._crowd, self._transport, self._reads)
        self._transport.set_protocol(client)
        self.done.set_result(client)
        if rest:
            client.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"a handshake was not answered: {exc or 'the connection was closed'}")

    def _fail(self, how: str) -> None:
        if not self.done.done():
            self.done.set_exception(Failure(how))
        self._transport.abort()


class Crowd:
    """All the clients, and what they have got together."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.latencies: list[float] = []
        self.sample = b""
        self._each = 0  # messages that every client should have by now
        self._received = 0
        self._expected = 0
        self._complete = asyncio.Event()
        self._failure: str | None = None

    def got(self, messages: int) -> None:
        self._received += messages
        if self._received >= self._expected:
            self._complete.set()

    def fail(self, how: str) -> None:
        self._failure = self._failure or how
        self._complete.set()

    async def open(self, port: int, paths: list[str], *, greeted: bool, reads: Reads) -> int:
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(place: int, path: str) -> Client:
            request = HANDSHAKE.format(path=path, port=port).encode()
            read = "nothing" if reads == "seq" and place % SAMPLED else reads
            async with gate:
                _, handshake = await loop.create_connection(
                    lambda: Handshake(self, request, read), "127.0.0.1", port
                )
                return await handshake.done

        self._expected = self._received + greeted * len(paths)
        async with asyncio.timeout(PATIENCE):
            opened = await asyncio.gather(*(one(place, path) for place, path in enumerate(paths)))
        await self._until_complete()
        for client in opened:
            client.count += self._each - greeted
        self.clients += opened
        self._received = self._expected = self._each * len(self.clients)
        self._check_counts()
        return len(self.clients)

    async def receive(self, each: int) -> int:
        self._each += each
        self._expected = self._each * len(self.clients)
        await self._until_complete()
        self._check_counts()
        return self._expected

    async def _until_complete(self) -> None:
        self._complete.clear()
        if self._received < self._expected and not self._failure:
            try:
                await asyncio.wait_for(self._complete.wait(), PATIENCE)
            except TimeoutError:
                self.fail(f"{self._expected - self._received} messages of {self._expected} lack")
        if self._failure:
            raise Failure(self._failure)

    def _check_counts(self) -> None:
        wrong = [client.count for client in self.clients if client.count != self._each]
        if wrong:
            raise Failure(f"{len(wrong)} clients have not {self._each} messages but {wrong[:10]}")


async def obey(crowd: Crowd, order: dict[str, Any]) -> object:
    match order.pop("do"):
        case "open":
            return await crowd.open(**order)
        case "receive":
            return await crowd.receive(**order)
        case "sample":
            return crowd.sample.decode()
        case "latencies":
            latencies, crowd.latencies = crowd.latencies, []
            return latencies
        case unknown:
            raise Failure(f"{unknown!r} is no order")


async def main() -> None:
    crowd = Crowd()
    orders = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        try:
            answer = {"done": await obey(crowd, msgspec.json.decode(line))}
        except (Failure, OSError, msgspec.DecodeError) as error:
            answer = {"failed": str(error) or repr(error)}
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main())
