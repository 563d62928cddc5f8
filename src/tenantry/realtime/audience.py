"""An audience: everybody live on one kind of wire, and the loop that sends to them.

What an event costs is a system call for each socket, and next to it what a transport does around
that. So whoever has nothing unsent is written to by descriptor, past the transport; whoever has,
by the transport, which keeps the order. A member says itself when that changes.
"""

from os import write
from typing import Protocol

NO_DESCRIPTOR = -1


class Member(Protocol):
    descriptor: int  # of its socket, which outlives its membership; or NO_DESCRIPTOR

    def write(self, data: bytes) -> None:
        """Send this after whatever is unsent."""


class Audience:
    __slots__ = ("_clear", "_others")

    def __init__(self) -> None:
        self._clear: dict[int, Member] = {}  # by descriptor: they have nothing unsent
        self._others: set[Member] = set()

    def add(self, member: Member) -> None:
        if member.descriptor == NO_DESCRIPTOR:
            self._others.add(member)
        else:
            self._clear[member.descriptor] = member

    def hold(self, member: Member) -> None:
        """It has something unsent."""
        if self._clear.get(member.descriptor) is member:
            del self._clear[member.descriptor]
            self._others.add(member)

    def release(self, member: Member) -> None:
        """It has nothing unsent any more."""
        if member in self._others:
            self._others.remove(member)
            self.add(member)

    def remove(self, member: Member) -> None:
        self.hold(member)
        self._others.discard(member)

    def send(self, data: bytes) -> None:
        for member in list(self._others):  # first: who is held below has this already
            member.write(data)
        size = len(data)
        for descriptor in list(self._clear):
            try:
                sent = write(descriptor, data)
            except OSError:  # there is no room, or no peer: its transport deals with either
                sent = 0
            if sent != size:
                self._clear[descriptor].write(data[sent:])
