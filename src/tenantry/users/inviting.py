"""Inviting: how invites are made and sent again, one or many, under the organisation's lock."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from asyncpg import Record
from uuid_utils.compat import uuid7

from tenantry.db.wire import Row, Statement
from tenantry.errors import (
    AlreadyInvited,
    AlreadyMember,
    FieldError,
    Invalid,
    InviteRepeated,
    SeatLimitReached,
    TenantryError,
    TooManyInvites,
)
from tenantry.events import InviteSent
from tenantry.mail import Action, Mail, Template
from tenantry.tenancy.authority import check_grant, custom_role, lock_and_see
from tenantry.tenancy.permissions import Grade, NamedRole, Permission, Role
from tenantry.tenancy.plans import Plan
from tenantry.tenancy.seats import Seats
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import Tokens, new_nonce, token_hash

LIFETIME = timedelta(hours=24)
# So that nobody is flooded with mail, nor our mail server used to flood others: in 24 hours.
MOST_TO_ONE_ADDRESS = 10
MOST_OF_ONE_ORGANISATION = 1000

# What stands in the way of inviting the addresses $2, which are in lower case.
LOOK = """
SELECT members, invited, expired, reserved, sent, sent_to_these, now() + $4 AS expires_at,
       (SELECT name FROM users WHERE id = $3) AS inviter,
       (SELECT name FROM organisations WHERE id = $1) AS organisation
  FROM tenantry.standing_of($2),
       (SELECT count(*) AS reserved
          FROM invites
         WHERE organisation_id = $1
           AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()) AS open,
       (SELECT coalesce(sum(sends), 0) AS sent,
               json_agg(json_build_array(lower(email), sends))
                   FILTER (WHERE lower(email) = ANY($2)) AS sent_to_these
          FROM invites
         WHERE organisation_id = $1 AND sent_at > now() - interval '24 hours') AS lately
"""
SUPERSEDE = """
UPDATE invites SET revoked_at = now()
 WHERE organisation_id = $1 AND lower(email) = lower($2)
   AND accepted_at IS NULL AND revoked_at IS NULL
"""
INVITE = """
INSERT INTO invites
       (organisation_id, id, email, role, custom_role_id, token_hash, invited_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


class Invite(msgspec.Struct, frozen=True, rename="camel"):
    """An invite as its sender sees it, once: the token is not kept.

    Where the server sends mail, the token leaves only by mail and is null here.
    """

    id: UUID
    email: str
    role: Role
    custom_role: NamedRole | None
    token: str | None
    expires_at: datetime


class Inviting:
    """Invites of one organisation, within the caller's transaction, which is pipelined and holds
    its lock.

    `free` is how many seats neither members nor open invites hold; None is no limit.
    """

    def __init__(self, tenant: Tenant, tokens: Tokens, mail: Mail, seats: Seats) -> None:
        self.tenant = tenant
        self._tokens = tokens
        self._mail = mail
        self._plan = seats.plan
        self._members = seats.members
        self.free: int | None = None
        self._taken: dict[str, type[TenantryError]] = {}
        self._expired: set[str] = set()
        self._expires_at = datetime.max.replace(tzinfo=UTC)
        self._sent = 0
        self._sent_to_each: Counter[str] = Counter()
        self._sender: dict[str, str] = {}

    async def look(self, emails: Iterable[str]) -> None:
        """See what stands in the way of inviting these addresses."""
        sql, arguments = looking(self.tenant, emails)
        found = await self.tenant.connection.fetchrow(sql, *arguments)
        assert found is not None, "it has no FROM"
        self.see(found)

    def see(self, found: Record | Row) -> None:
        """The same, of the row of LOOK."""
        self._taken = dict.fromkeys(found["invited"] or (), AlreadyInvited)
        self._taken |= dict.fromkeys(found["members"] or (), AlreadyMember)
        self._expired = set(found["expired"] or ())
        self._sent = found["sent"]
        for email, sends in msgspec.json.decode(found["sent_to_these"] or "[]"):
            self._sent_to_each[email] += sends
        self._expires_at = found["expires_at"]
        self._sender = {"inviter": found["inviter"], "organisation": found["organisation"]}
        if self._plan.seats is not None:
            self.free = self._plan.seats - self._members - found["reserved"]

    async def invite(self, email: str, grade: Grade) -> Invite:
        """Make an invite for an address that was looked for, and mail it. Sends INVITE_SENT.

        Where it raises, nothing has been written.

        Raises:
            AlreadyMember, AlreadyInvited, InviteRepeated, TooManyInvites, SeatLimitReached.
        """
        if taken := self._taken.get(email.lower()):
            raise taken
        self.check_mail(email)
        self.take_seat()
        self._taken[email.lower()] = InviteRepeated
        tenant, invite_id = self.tenant, uuid7()
        token, nonce = self.new_token()
        if email.lower() in self._expired:
            await tenant.execute(SUPERSEDE, tenant.organisation_id, email)
        await tenant.execute(
            INVITE,
            tenant.organisation_id,
            invite_id,
            email,
            grade.role,
            grade.custom_id,
            token_hash(token),
            tenant.user_id,
            self._expires_at,
        )
        await tenant.record_later(
            InviteSent(invite_id, email, grade.role, grade.custom_name),
            f"{email} was invited as {grade.name}",
        )
        await self.send(email, grade, nonce, self._expires_at)
        return Invite(
            invite_id, email, grade.role, grade.named_role, self.shown(token), self._expires_at
        )

    def take_seat(self) -> None:
        """Raises `SeatLimitReached`."""
        if self.free is None:
            return
        if self.free < 1:
            raise seat_limit_reached(self._plan)
        self.free -= 1

    def check_mail(self, email: str) -> None:
        """Count a mail to the address. Raises `TooManyInvites`."""
        to_address = self._sent_to_each[email.lower()]
        if to_address >= MOST_TO_ONE_ADDRESS:
            raise TooManyInvites(
                f"This address was sent {to_address} invites in 24 hours; try again tomorrow"
            )
        if self._sent >= MOST_OF_ONE_ORGANISATION:
            raise TooManyInvites
        self._sent += 1
        self._sent_to_each[email.lower()] = to_address + 1

    def new_token(self) -> tuple[str, str]:
        """An invite's token, and the nonce that the mail's is derived from."""
        nonce = new_nonce()
        return self._tokens.derived(Action.ACCEPT_INVITE, nonce), nonce

    def shown(self, token: str) -> str | None:
        """The token, where the answer may say it."""
        return None if self._mail.configured else token

    async def send(self, email: str, grade: Grade, nonce: str, expires_at: datetime) -> None:
        if not self._mail.sends:
            return
        await self._mail.send(
            self.tenant.connection,
            Template.INVITE,
            email,
            **self._sender,
            role=grade.name,
            nonce=nonce,
            expires_at=expires_at,
        )


def looking(tenant: Tenant, emails: Iterable[str]) -> Statement:
    lower = [email.lower() for email in emails]
    return LOOK, (tenant.organisation_id, lower, tenant.user_id, LIFETIME)


async def lock_to_invite(
    tenant: Tenant,
    tokens: Tokens,
    mail: Mail,
    emails: Iterable[str],
    role: Role | None,
    custom: UUID | None,
) -> tuple[Inviting, Grade]:
    """Lock the organisation, and see what whoever is invited shall be, and what stands in the way.

    Raises:
        Invalid: a custom role beside another role than MEMBER.
        RoleUnknown: there is no such custom role.
        BeyondOwnPermissions: the one asking may not give so much.
    """
    if custom is not None and role is Role.ADMIN:
        raise Invalid(fields=(FieldError("role", "An invite with a customRoleId is for a MEMBER"),))
    seats, actor, ((found,),) = await lock_and_see(
        tenant, Permission.MEMBERS_INVITE, looking(tenant, emails)
    )
    grade = tenant.product.permissions.grade(role or Role.MEMBER)
    if custom is not None:
        named = await custom_role(tenant.connection, tenant.organisation_id, custom)
        grade = tenant.product.permissions.grade(Role.MEMBER, custom=named)
    check_grant(actor, grade)
    inviting = Inviting(tenant, tokens, mail, seats)
    inviting.see(found)
    return inviting, grade


def seat_limit_reached(plan: Plan) -> SeatLimitReached:
    return SeatLimitReached(f"Member limit reached for {plan.name} plan. Please upgrade.")
