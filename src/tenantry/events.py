"""Events: what an activity tells, each kind a struct; its fields are the payload, as sent.

class ProjectCreated(Event):
    type: ClassVar[str] = "PROJECT_CREATED"

    project_id: UUID
    name: str
"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec


class Event(msgspec.Struct, rename="camel"):
    """`type` is what clients tell events apart by."""

    type: ClassVar[str]


class UserJoined(Event):
    type: ClassVar[str] = "USER_JOINED"

    user_id: UUID
    name: str
    email: str
    role: str


class UserRemoved(Event):
    """`removed_by` is the user themselves where they left."""

    type: ClassVar[str] = "USER_REMOVED"

    user_id: UUID
    removed_by: UUID


class UserRoleChanged(Event):
    """`from` and `to` are OWNER, ADMIN, MEMBER, or the name of a custom role."""

    type: ClassVar[str] = "USER_ROLE_CHANGED"

    user_id: UUID
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    changed_by: UUID


class PlanUpgraded(Event):
    type: ClassVar[str] = "PLAN_UPGRADED"

    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    upgraded_at: datetime


class PlanDowngraded(Event):
    type: ClassVar[str] = "PLAN_DOWNGRADED"

    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    downgraded_at: datetime


class InviteEvent(Event, omit_defaults=True):
    """`custom_role` is there where the invite is for one."""

    invite_id: UUID
    email: str
    role: str
    custom_role: str | None = None


class InviteSent(InviteEvent):
    type: ClassVar[str] = "INVITE_SENT"


class InviteAccepted(InviteEvent):
    type: ClassVar[str] = "INVITE_ACCEPTED"


class InviteRevoked(InviteEvent):
    type: ClassVar[str] = "INVITE_REVOKED"


class BroadcastMessage(Event):
    type: ClassVar[str] = "BROADCAST_MESSAGE"

    message: str
    sent_by: UUID
    sent_at: datetime


class RoleEvent(Event):
    role_id: UUID
    name: str
    permissions: list[str]
    changed_by: UUID


class RoleCreated(RoleEvent):
    type: ClassVar[str] = "ROLE_CREATED"


class RoleChanged(RoleEvent):
    type: ClassVar[str] = "ROLE_CHANGED"


class RoleDeleted(RoleEvent):
    type: ClassVar[str] = "ROLE_DELETED"


class OrganisationChanged(Event):
    type: ClassVar[str] = "ORGANISATION_CHANGED"

    name: str
    slug: str
    requires_second_factor: bool
    changed_by: UUID


class OrganisationDeleted(Event):
    """Sockets close before it; it is read in the feed, once the organisation is restored."""

    type: ClassVar[str] = "ORGANISATION_DELETED"

    deleted_by: UUID
    restorable_until: datetime


class OrganisationRestored(Event):
    type: ClassVar[str] = "ORGANISATION_RESTORED"

    restored_by: UUID


EVENTS: tuple[type[Event], ...] = (
    UserJoined,
    UserRemoved,
    UserRoleChanged,
    PlanUpgraded,
    PlanDowngraded,
    InviteSent,
    InviteAccepted,
    InviteRevoked,
    BroadcastMessage,
    RoleCreated,
    RoleChanged,
    RoleDeleted,
    OrganisationChanged,
    OrganisationDeleted,
    OrganisationRestored,
)
