"""The device of a session: what its list shows, so that one recognises it."""

from typing import NamedTuple

from litestar.types import Scope

LONGEST = 200  # characters that are kept of a User-Agent


class Device(NamedTuple):
    """`name` is the User-Agent as the client says it, and proves nothing."""

    name: str
    address: str


def device_of(scope: Scope) -> Device:
    agent = dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1")
    client = scope["client"]
    shown = "".join(letter for letter in agent if letter.isprintable())
    return Device(shown[:LONGEST], client[0] if client else "")
