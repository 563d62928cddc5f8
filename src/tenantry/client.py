"""A client of the event stream, for programs in Python.

    async for message in listen("https://api.example.com", access_token):
        match message:
            case Event(type="USER_JOINED", payload=user): ...
            case Resync(): ...  # too much was missed: read the state anew

Promises: every event once, in its order, over lost connections and restarted servers; it comes
back by itself, after the last event that it gave out, until it may not.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.frames import Close

FIRST_DELAY = 0.5  # seconds; doubles with each failure, and is drawn from 0 to that
LONGEST_DELAY = 30.0
CLOSE_TIMEOUT = 1.0  # seconds; what is unread when one stops listening is in the answer's way
FINAL = {4001, 4003}  # the session has ended; removed from the organisation


class Event(msgspec.Struct, frozen=True):
    """An activity of the organisation. `seq` is its place in the feed."""

    type: str
    payload: dict[str, Any]
    seq: int
    at: datetime


class Resync(msgspec.Struct, frozen=True):
    """More was missed than the server sends again. The stream goes on after `seq`."""

    seq: int


class StreamEnded(Exception):
    """The server says not to come back: `code` is 4001 (sign in again) or 4003 (removed)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def listen(
    url: str, token: str | Callable[[], Awaitable[str]], *, after: int | None = None
) -> AsyncGenerator[Event | Resync]:
    """The organisation's events from now on, or from `after` on.

    `token` is an access token, or what gives one whenever the stream connects.

    Raises:
        StreamEnded: the session has ended, the token is refused, or the user was removed.
    """
    failures = 0
    async with httpx.AsyncClient(base_url=url) as http:
        while True:
            delay = 0.0
            try:
                ticket = await _ticket(http, token if isinstance(token, str) else await token())
                address = _address(url, ticket, after)
                async with connect(address, proxy=None, close_timeout=CLOSE_TIMEOUT) as socket:
                    hello = msgspec.json.decode(await socket.recv())
                    after = hello["seq"] if after is None else after
                    async for text in socket:
                        message = _message(text)
                        if isinstance(message, Event) and message.seq <= after:
                            continue
                        after = message.seq
                        failures = 0
                        yield message
            except ConnectionClosed as closed:
                if closed.rcvd:
                    delay = _wait_of(closed.rcvd)
            except (httpx.HTTPError, InvalidHandshake, OSError):
                pass  # away, or too busy: later
            longest = min(LONGEST_DELAY, FIRST_DELAY * 2**failures)
            failures += 1
            await asyncio.sleep(delay or random.uniform(0, longest))  # noqa: S311


async def _ticket(http: httpx.AsyncClient, token: str) -> str:
    answer = await http.post("/api/realtime/ticket", headers={"authorization": f"Bearer {token}"})
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise StreamEnded(4001, answer.json()["message"])
    answer.raise_for_status()
    ticket: str = answer.json()["data"]["ticket"]
    return ticket


def _address(url: str, ticket: str, after: int | None) -> str:
    resume = "" if after is None else f"&after={after}"
    return f"{url.replace('http', 'ws', 1).rstrip('/')}/ws?ticket={ticket}{resume}"


def _message(text: str | bytes) -> Event | Resync:
    message = msgspec.json.decode(text)
    if message["type"] == "RESYNC":
        return msgspec.convert(message, Resync)
    return msgspec.convert(message, Event)


def _wait_of(close: Close) -> float:
    """How many seconds to wait, where the server says so. Raises `StreamEnded`."""
    if close.code in FINAL:
        raise StreamEnded(close.code, close.reason)
    asked = re.search(r"in (\d+) ms", close.reason)
    return int(asked[1]) / 1000 if asked else 0.0
