"""How long one request takes, asked again and again at a pace while something else goes on."""

import re
import socket
import time

import httpx

PACE = 0.01  # seconds from one request to the next, unless its answer takes longer


class WatchError(Exception):
    """An answer that counts for nothing."""


class Watch:
    def __init__(self, url: str, header: str = "Accept: */*") -> None:
        parts = httpx.URL(url)
        self._where = (parts.host, parts.port or 80)
        self._request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.host}\r\n{header}\r\n\r\n".encode()
        )

    def during(self, seconds: float) -> list[float]:
        """Milliseconds of each answer, over one connection that is kept."""
        found: list[float] = []
        end = time.monotonic() + seconds
        with socket.create_connection(self._where, timeout=30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < end:
                start = time.perf_counter()
                connection.sendall(self._request)
                answer = _whole(connection)
                taken = time.perf_counter() - start
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise WatchError(answer.decode())
                found.append(taken * 1000)
                time.sleep(max(0, PACE - taken))
        return found


def _whole(connection: socket.socket) -> bytes:
    """One answer, which says its length."""
    answer = b""
    while True:
        read = connection.recv(65536)
        if not read:
            raise WatchError("the connection was closed")
        answer += read
        head, found, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if found and length and len(body) >= int(length[1]):
            return answer
