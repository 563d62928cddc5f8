"""The stream: what goes over the wire, as WebSocket frames and as server-sent events.

An event is a row of the feed: {"type", "payload", "seq", "at"}. Before the first stand CONNECTED,
whose seq is the organisation's last, and, where a replay is not possible, RESYNC.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from asyncpg import Record
from websockets.frames import Frame, Opcode


class Event(NamedTuple):
    """An event, or another message with a place in the stream, as JSON."""

    seq: int
    json: bytes


class _Event(msgspec.Struct, frozen=True):
    type: str
    payload: msgspec.Raw
    seq: int
    at: datetime


_encode = msgspec.json.Encoder().encode


def event_of(row: Record) -> Event:
    """The event of a row of `events_after`."""
    seq = row["seq"]
    return Event(seq, _encode(_Event(row["type"], msgspec.Raw(row["payload"]), seq, row["at"])))


def opening(last_seq: int, after: int | None, most: int) -> list[Event]:
    """What a connection is greeted with; the stream goes on after the last one's place.

    `after` is the last event that the client has. What it missed is sent unless it is more than
    `most`, or `after` lies in the future, as it does where an older database was restored.
    """
    resumes = after is not None and 0 <= last_seq - after <= most
    start = after if resumes and after is not None else last_seq
    hello = {"message": "Connected to real-time channel"}
    messages = [
        Event(start, _encode({"type": "CONNECTED", "payload": hello, "seq": last_seq})),
    ]
    if after is not None and not resumes:
        missed = {"after": after, "seq": last_seq}
        messages.append(
            Event(start, _encode({"type": "RESYNC", "payload": missed, "seq": last_seq}))
        )
    return messages


def text_frame(text: bytes) -> bytes:
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def websocket_frames(events: Sequence[Event]) -> bytes:
    """A text frame an event (RFC 6455)."""
    return b"".join([text_frame(event.json) for event in events])


def server_sent_events(events: Sequence[Event]) -> bytes:
    """A `message` event each, its id the place in the stream (WHATWG HTML, 9.2)."""
    return b"".join([b"id: %d\ndata: %s\n\n" % event for event in events])
