"""What has happened in one organisation, told in order: rows as the handlers would have left them,
but for their times, which lie in the past.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from tenantry.events import (
    BroadcastMessage,
    Event,
    InviteAccepted,
    InviteRevoked,
    InviteSent,
    OrganisationChanged,
    PlanUpgraded,
    RoleChanged,
    RoleCreated,
    UserJoined,
    UserRemoved,
    UserRoleChanged,
)
from tenantry.tenancy.permissions import CustomRole, Grade

NEXT = timedelta(milliseconds=1)  # between two lines of one transaction


class Somebody(NamedTuple):
    id: UUID
    name: str
    email: str


class Membership(msgspec.Struct):
    person: Somebody
    grade: Grade
    since: datetime
    until: datetime | None = None


class Invite(msgspec.Struct):
    id: UUID
    email: str
    grade: Grade
    by: Somebody
    sent: datetime
    accepted: datetime | None = None
    revoked: datetime | None = None


class Line(NamedTuple):
    """As the columns of `activities` are."""

    organisation: UUID
    seq: int
    id: UUID
    type: str
    actor: UUID
    target: UUID | None
    message: str
    metadata: str
    at: datetime


class Chronicle:
    """One organisation. What is told of it must be told in the order of time."""

    def __init__(self, id_: UUID, name: str, slug: str) -> None:
        self.id = id_
        self.name = name
        self.slug = slug
        self.plan = "FREE"
        self.roles: dict[UUID, CustomRole] = {}
        self.memberships: dict[UUID, Membership] = {}
        self.invites: list[Invite] = []
        self.lines: list[Line] = []

    @property
    def members(self) -> list[Membership]:
        return [one for one in self.memberships.values() if one.until is None]

    def founded(self, at: datetime, by: Somebody, grade: Grade) -> None:
        self._joined(at, by, grade)

    def invited(self, at: datetime, email: str, grade: Grade, by: Somebody) -> Invite:
        invite = Invite(_id(at), email, grade, by, at)
        self.invites.append(invite)
        sent = InviteSent(invite.id, email, grade.role, grade.custom_name)
        self._record(at, sent, f"{email} was invited as {grade.name}", by)
        return invite

    def accepted(self, at: datetime, invite: Invite, by: Somebody) -> None:
        invite.accepted = at
        self._joined(at, by, invite.grade)
        accepted = InviteAccepted(invite.id, invite.email, invite.grade.role)
        self._record(at + NEXT, accepted, f"{by.name} accepted the invite", by)

    def revoked(self, at: datetime, invite: Invite, by: Somebody) -> None:
        invite.revoked = at
        event = InviteRevoked(invite.id, invite.email, invite.grade.role, invite.grade.custom_name)
        self._record(at, event, f"The invite of {invite.email} was revoked", by)

    def promoted(self, at: datetime, person: Somebody, after: Grade, by: Somebody) -> None:
        membership = self.memberships[person.id]
        before, membership.grade = membership.grade.name, after
        event = UserRoleChanged(person.id, before, after.name, by.id)
        message = f"{person.name} is now {after.name}, and was {before}"
        self._record(at, event, message, by, person)

    def removed(self, at: datetime, person: Somebody, by: Somebody) -> None:
        self.memberships[person.id].until = at
        how = "left" if person is by else "was removed from"
        message = f"{person.name} {how} the organisation"
        self._record(at, UserRemoved(person.id, by.id), message, by, person)

    def upgraded(self, at: datetime, plan: str, by: Somebody) -> None:
        before, self.plan = self.plan, plan
        message = f"Plan upgraded from {before} to {plan}"
        self._record(at, PlanUpgraded(before, plan, at), message, by)

    def renamed(self, at: datetime, name: str, by: Somebody) -> None:
        self.name = name
        changed = OrganisationChanged(
            name, self.slug, requires_second_factor=False, changed_by=by.id
        )
        self._record(at, changed, "The organisation's settings were changed", by)

    def defined(self, at: datetime, role: CustomRole, by: Somebody) -> None:
        kind, what = (RoleChanged, "changed") if role.id in self.roles else (RoleCreated, "defined")
        self.roles[role.id] = role
        event = kind(role.id, role.name, role.permissions, by.id)
        self._record(at, event, f"The role {role.name} was {what}", by)

    def said(self, at: datetime, message: str, by: Somebody) -> None:
        self._record(at, BroadcastMessage(message, by.id, at), message, by)

    def _joined(self, at: datetime, person: Somebody, grade: Grade) -> None:
        self.memberships[person.id] = Membership(person, grade, at)
        event = UserJoined(person.id, person.name, person.email, grade.role)
        self._record(at, event, f"{person.name} joined the organisation", person, person)

    def _record(
        self,
        at: datetime,
        event: Event,
        message: str,
        actor: Somebody,
        target: Somebody | None = None,
    ) -> None:
        assert not self.lines or self.lines[-1].at < at, message
        metadata = msgspec.json.encode(event).decode()
        self.lines.append(
            Line(
                self.id,
                len(self.lines) + 1,
                _id(at),
                event.type,
                actor.id,
                target.id if target else None,
                message,
                metadata,
                at,
            )
        )


def _id(at: datetime) -> UUID:
    """A UUIDv7 of that time, which begins with it; the list of invites goes by that."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(bytes=milliseconds.to_bytes(6, "big") + uuid7().bytes[6:])
