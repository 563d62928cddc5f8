"""A subscriber: one open connection, as the hub sees it; and the ways in which it is closed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

from tenantry.realtime.audience import NO_DESCRIPTOR, Audience
from tenantry.realtime.stream import Event
from tenantry.tenancy.tenant import Tenant

Encode: TypeAlias = Callable[[Sequence[Event]], bytes]

BUFFER = 1024 * 1024  # bytes that a client may leave unread before it is cut off
CLOSE_TIMEOUT = 5.0  # seconds that a client has for its part of a close
WINDOW = 64 * 1024  # bytes left unread at which a replay waits


class Closing(NamedTuple):
    """A close code and its reason (RFC 6455, 7.4; 4000 to 4999 are the application's)."""

    code: int
    reason: str


TOO_MANY_MESSAGES = Closing(1008, "Too many messages. Connect again, and send fewer.")
SILENT = Closing(1011, "No answer to a ping. Connect again.")
TOO_SLOW = Closing(1013, "Reading too slowly. Connect again from your last seq.")
SESSION_ENDED = Closing(4001, "The session has ended. Sign in again.")
REMOVED = Closing(4003, "You were removed from the organisation.")
ORGANISATION_DELETED = Closing(4004, "The organisation was deleted.")


def restarting(milliseconds: int) -> Closing:
    return Closing(1012, f"The server restarts. Connect again in {milliseconds} ms.")


class Subscriber(ABC):
    """What the hub delivers to. No method may wait."""

    __slots__ = (
        "admitted",
        "audience",
        "descriptor",
        "organisation_id",
        "seq",
        "session_id",
        "since",
        "user_id",
    )

    organisation_id: UUID
    user_id: UUID
    session_id: UUID
    since: int  # the organisation's last seq when the subscriber entered
    seq: int  # the last that it has; kept by the hub until it is live, when the channel's counts

    admitted: bool  # kept by the hub
    audience: Audience | None  # since it is live

    def __init__(self) -> None:
        self.admitted = False
        self.audience = None
        self.descriptor = NO_DESCRIPTOR

    def enter_as(self, tenant: Tenant) -> None:
        self.organisation_id = tenant.organisation_id
        self.user_id = tenant.user_id
        self.session_id = tenant.session_id
        self.since = self.seq = tenant.last_seq

    @staticmethod
    @abstractmethod
    def encode(events: Sequence[Event]) -> bytes:
        """Events as they go over this kind of wire."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether more of a replay may be written: less than WINDOW is unread."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send encoded events. One that is live and leaves BUFFER unread closes as TOO_SLOW."""

    def go_live(self, audience: Audience) -> None:
        """The replay is over: from now on BUFFER counts, and WINDOW no more."""
        self.audience = audience
        audience.add(self)

    @abstractmethod
    def close(self, closing: Closing) -> None:
        """Close, once what was written has been sent."""
