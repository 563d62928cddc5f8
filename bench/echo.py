"""The least that a server can do: python -m bench.echo PORT FILE.

A bare asyncio.Protocol on uvloop that reads nothing of a request and answers each with the file.
"""

import asyncio
import sys
from pathlib import Path
from typing import cast

import uvloop


class Echo(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)


async def serve(port: int, answer: bytes) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Echo(answer), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    port, body = int(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    head = ["HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body)}"]
    uvloop.run(serve(port, "\r\n".join([*head, "", ""]).encode() + body))


if __name__ == "__main__":
    main()
