"""A client of the event stream, for programs in Python.

    async with aclosing(listen("https://api.example.com", access_token)) as stream:
        async for message in stream:
            match message:
                case Event(type="USER_JOINED", payload=user): ...
                case Resync(): ...  # too much was missed: read the state anew

Promises: every event once, in its order, over lost connections and restarted servers; it comes
back by itself, after the last event that it gave out, until it may not.
"""

import asyncio
import random
import re
import time
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
DOUBLINGS = 6
STEADY = 10.0  # seconds after which a connection counts as having worked
CLOSE_TIMEOUT = 1.0  # seconds; what is unread when one stops listening is in the answer's way
FINAL = {4001, 4003, 4004}  # session ended; removed from the organisation, or it was deleted
LATER = {408, 429}  # the client errors that pass


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
    """The server says not to come back: `code` is 4001 (sign in again), 4003 (removed)
    or 4004 (the organisation was deleted).
    """

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
        httpx.HTTPStatusError: no ticket is given here; perhaps the URL is another server's.
    """
    failures = 0
    async with httpx.AsyncClient(base_url=url) as http:
        while True:
            started, delay = time.monotonic(), 0.0
            try:
                ticket = await _ticket(http, token if isinstance(token, str) else await token())
                address = _address(url, ticket, after)
                async with connect(address, close_timeout=CLOSE_TIMEOUT) as socket:
                    hello = msgspec.json.decode(await socket.recv())
                    after = hello["seq"] if after is None else after
                    async for text in socket:
                        message = _message(text)
                        if isinstance(message, Event):
                            if message.seq <= after:
                                continue
                            if message.seq > after + 1:
                                break  # one was lost on the way: ask again for what follows
                        after = message.seq
                        yield message
            except ConnectionClosed as closed:
                delay = _wait_asked(closed.rcvd)
            except httpx.HTTPStatusError as error:
                delay = _retry_after(error)
            except (httpx.TransportError, InvalidHandshake, OSError):
                pass  # away, or too busy: later
            if time.monotonic() - started > STEADY:
                failures = 0
            longest = min(LONGEST_DELAY, FIRST_DELAY * 2**failures)
            failures = min(failures + 1, DOUBLINGS)
            await asyncio.sleep(delay or random.uniform(0, longest))  # noqa: S311


async def _ticket(http: httpx.AsyncClient, token: str) -> str:
    answer = await http.post("/api/realtime/ticket", headers={"authorization": f"Bearer {token}"})
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


def _wait_asked(close: Close | None) -> float:
    """How many seconds to wait, where the server says so. Raises `StreamEnded`."""
    if close is None:
        return 0.0
    if close.code in FINAL:
        raise StreamEnded(close.code, close.reason)
    asked = re.search(r"in (\d+) ms", close.reason)
    return int(asked[1]) / 1000 if asked else 0.0


def _retry_after(error: httpx.HTTPStatusError) -> float:
    """How many seconds to wait, where the server says so. Raises what cannot pass."""
    answer = error.response
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise StreamEnded(4001, "The access token is not valid, or not any more.") from error
    if answer.is_client_error and answer.status_code not in LATER:
        raise error
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else 0.0
