"""GET and POST /api/users/invites, DELETE …/{id}, POST …/{id}/resend: invites not accepted yet."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from asyncpg import Record
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from tenantry.errors import (
    BeyondOwnPermissions,
    InviteNotOpen,
    InviteSentLately,
    RoleUnknown,
    SeatLimitReached,
    TenantryError,
    TooManyInvites,
)
from tenantry.events import InviteRevoked, InviteSent
from tenantry.inputs import Email, Input, PathId
from tenantry.mail import Mail
from tenantry.reply import Reply
from tenantry.tenancy.authority import check_grant, lock_as
from tenantry.tenancy.guards import allowed
from tenantry.tenancy.permissions import CustomRole, Grade, NamedRole, Permission, Role
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import Tokens, token_hash
from tenantry.users.inviting import (
    LIFETIME,
    Invite,
    Inviting,
    lock_to_invite,
)

COOLDOWN = timedelta(minutes=1)  # until the same invite can be sent again
MOST_AT_ONCE = 50
PAGE = 100
LAST = UUID(int=2**128 - 1)

OPEN_INVITES = """
SELECT invites.id, invites.email, invites.role, invites.created_at, invites.expires_at,
       invites.expires_at <= now() AS expired, roles.id AS role_id, roles.name AS role_name,
       users.id AS inviter_id, users.name AS inviter
  FROM invites
  JOIN users ON users.id = invites.invited_by
  LEFT JOIN roles ON roles.organisation_id = invites.organisation_id
                 AND roles.id = invites.custom_role_id
 WHERE invites.organisation_id = $1 AND invites.id < $2
   AND invites.accepted_at IS NULL AND invites.revoked_at IS NULL
 ORDER BY invites.id DESC
 LIMIT $3
"""
OPEN_INVITE = """
SELECT invites.id, invites.email, invites.role, invites.expires_at <= now() AS expired,
       invites.sent_at + $3 - now() AS wait,
       roles.id AS role_id, roles.name AS role_name, roles.permissions
  FROM invites
  LEFT JOIN roles ON roles.organisation_id = invites.organisation_id
                 AND roles.id = invites.custom_role_id
 WHERE invites.organisation_id = $1 AND invites.id = $2
   AND invites.accepted_at IS NULL AND invites.revoked_at IS NULL
"""
REVOKE = "UPDATE invites SET revoked_at = now() WHERE organisation_id = $1 AND id = $2"
RENEW = """
UPDATE invites SET token_hash = $3, expires_at = now() + $4, sent_at = now(), sends = sends + 1
 WHERE organisation_id = $1 AND id = $2
RETURNING expires_at
"""


class InvitesInput(Input):
    """As `role`, unless there is a `custom_role_id`."""

    emails: Annotated[list[Email], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)]
    role: Role | None = None
    custom_role_id: UUID | None = None


class Refusal(msgspec.Struct, frozen=True):
    code: str
    message: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of an address: an invite, or an error."""

    email: str
    invite: Invite | None
    error: Refusal | None


class Inviter(msgspec.Struct, frozen=True):
    id: UUID
    name: str


class OpenInvite(msgspec.Struct, frozen=True, rename="camel"):
    """An invite that was neither accepted nor revoked. An expired one can be sent again."""

    id: UUID
    email: str
    role: Role
    custom_role: NamedRole | None
    invited_by: Inviter
    created_at: datetime
    expires_at: datetime
    expired: bool


class OpenInvites(msgspec.Struct, frozen=True, rename="camel"):
    """A page of them. `next_cursor` is null on the last one."""

    message: str
    data: list[OpenInvite]
    next_cursor: UUID | None
    success: Literal[True] = True


class Revoked(msgspec.Struct, frozen=True):
    revoked: bool


@get(
    "/invites",
    guards=[allowed(Permission.MEMBERS_INVITE)],
    summary="The open invites",
    operation_id="listInvites",
)
async def list_invites(
    tenant: NamedDependency[Tenant],
    before: Annotated[
        UUID, QueryParameter(description="The `nextCursor` of the page before.")
    ] = LAST,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE, description="How many at most.")] = 50,
) -> OpenInvites:
    """One page, newest first: those that can still be accepted, and expired ones."""
    found = await tenant.fetch(_made, OPEN_INVITES, tenant.organisation_id, before, limit + 1)
    more = len(found) > limit
    return OpenInvites("Invites fetched", found[:limit], found[limit - 1].id if more else None)


@post(
    "/invites",
    status_code=200,
    guards=[allowed(Permission.MEMBERS_INVITE)],
    answers=(BeyondOwnPermissions, RoleUnknown),
    summary="Invite several people",
    operation_id="inviteMembers",
)
async def invite_several(
    data: JSONBody[InvitesInput],
    tenant: NamedDependency[Tenant],
    tokens: NamedDependency[Tokens],
    mail: NamedDependency[Mail],
) -> Reply[list[Outcome]]:
    """Invites up to 50 addresses; says of each, in their order, whether it was invited or why not.

    Seats go to the first ones. Sends INVITE_SENT for each invite.
    """
    outcomes = []
    async with tenant.pipelined():
        inviting, grade = await lock_to_invite(
            tenant, tokens, mail, data.emails, data.role, data.custom_role_id
        )
        for email in data.emails:
            try:
                outcomes.append(Outcome(email, await inviting.invite(email, grade), None))
            except TenantryError as error:
                outcomes.append(Outcome(email, None, Refusal(error.code, error.message)))
    sent = sum(outcome.invite is not None for outcome in outcomes)
    return Reply(f"{sent} of {len(outcomes)} invites sent", outcomes)


@delete(
    "/invites/{invite_id:str}",
    status_code=200,
    guards=[allowed(Permission.MEMBERS_INVITE)],
    answers=(BeyondOwnPermissions, InviteNotOpen),
    summary="Revoke an invite",
    operation_id="revokeInvite",
)
async def revoke_invite(invite_id: PathId, tenant: NamedDependency[Tenant]) -> Reply[Revoked]:
    """Makes the invite's token worthless, and its seat free. Sends INVITE_REVOKED."""
    async with tenant.transaction():
        _, actor = await lock_as(tenant, Permission.MEMBERS_INVITE)
        found, grade = await _open(tenant, invite_id)
        check_grant(actor, grade)
        await tenant.execute(REVOKE, tenant.organisation_id, found["id"])
        await tenant.record(
            InviteRevoked(found["id"], found["email"], grade.role, grade.custom_name),
            f"The invite of {found['email']} was revoked",
        )
    return Reply("Invite revoked", Revoked(revoked=True))


@post(
    "/invites/{invite_id:str}/resend",
    status_code=200,
    guards=[allowed(Permission.MEMBERS_INVITE)],
    answers=(
        BeyondOwnPermissions,
        InviteNotOpen,
        InviteSentLately,
        TooManyInvites,
        SeatLimitReached,
    ),
    summary="Send an invite again",
    operation_id="resendInvite",
)
async def resend_invite(
    invite_id: PathId,
    tenant: NamedDependency[Tenant],
    tokens: NamedDependency[Tokens],
    mail: NamedDependency[Mail],
) -> Reply[Invite]:
    """Mails a new token, which works for 24 hours; the old one is worthless.

    An expired invite takes a seat again. Sends INVITE_SENT.
    """
    organisation = tenant.organisation_id
    async with tenant.transaction():
        seats, actor = await lock_as(tenant, Permission.MEMBERS_INVITE)
        found, grade = await _open(tenant, invite_id)
        check_grant(actor, grade)
        if found["wait"] > timedelta(0):
            seconds = int(found["wait"].total_seconds()) + 1
            raise InviteSentLately(headers={"retry-after": str(seconds)})
        inviting = Inviting(tenant, tokens, mail, seats)
        await inviting.look([found["email"]])
        inviting.check_mail(found["email"])
        if found["expired"]:
            inviting.take_seat()
        token, nonce = inviting.new_token()
        expires_at = await tenant.connection.fetchval(
            RENEW, organisation, found["id"], token_hash(token), LIFETIME
        )
        await tenant.record(
            InviteSent(found["id"], found["email"], grade.role, grade.custom_name),
            f"{found['email']} was invited as {grade.name} again",
        )
        await inviting.send(found["email"], grade, nonce, expires_at)
    return Reply(
        "Invite sent again",
        Invite(
            found["id"],
            found["email"],
            grade.role,
            grade.named_role,
            inviting.shown(token),
            expires_at,
        ),
    )


async def _open(tenant: Tenant, invite_id: str) -> tuple[Record, Grade]:
    """The open invite, and what it makes of whoever accepts. Raises `InviteNotOpen`."""
    try:
        invite = UUID(invite_id)
    except ValueError:
        raise InviteNotOpen from None
    found = await tenant.connection.fetchrow(OPEN_INVITE, tenant.organisation_id, invite, COOLDOWN)
    if found is None:
        raise InviteNotOpen
    custom = None
    if found["role_id"]:
        custom = CustomRole(found["role_id"], found["role_name"], found["permissions"])
    return found, tenant.product.permissions.grade(Role(found["role"]), custom=custom)


def _made(row: Record) -> OpenInvite:
    return OpenInvite(
        row["id"],
        row["email"],
        row["role"],
        NamedRole(row["role_id"], row["role_name"]) if row["role_id"] else None,
        Inviter(row["inviter_id"], row["inviter"]),
        row["created_at"],
        row["expires_at"],
        row["expired"],
    )
