"""POST /api/users/invites/open: what an invite's page shows."""

from datetime import datetime

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.db.database import Database
from tenantry.errors import InviteExpired, InviteUnknown
from tenantry.inputs import Input, Token
from tenantry.reply import Reply
from tenantry.tenancy.permissions import Role
from tenantry.tenancy.tokens import token_hash
from tenantry.users.invites import open_invite

SHOWN = """
SELECT organisations.name AS organisation, users.name AS inviter, invites.email, invites.role,
       roles.name AS custom_role, invites.expires_at
  FROM invites
  JOIN organisations ON organisations.id = invites.organisation_id
  JOIN users ON users.id = invites.invited_by
  LEFT JOIN roles ON roles.organisation_id = invites.organisation_id
                 AND roles.id = invites.custom_role_id
 WHERE invites.organisation_id = $1 AND invites.id = $2
"""


class OpenInviteInput(Input):
    token: Token


class InvitePage(msgspec.Struct, frozen=True, rename="camel"):
    """What one is about to accept. `account_exists` is whether the address has an account, whose
    owner signs in to accept; `custom_role` is its name.
    """

    organisation: str
    inviter: str
    email: str
    role: Role
    custom_role: str | None
    expires_at: datetime
    account_exists: bool


@post(
    "/invites/open",
    status_code=200,
    public="The invite's token is the permission.",
    answers=(InviteUnknown, InviteExpired),
    summary="What an invite is for",
    operation_id="openInvite",
)
async def show_invite(
    data: JSONBody[OpenInviteInput], database: NamedDependency[Database]
) -> Reply[InvitePage]:
    """Says who invites to what. Nothing is accepted yet."""
    # In a transaction, as long as which the token's organisation is entered.
    async with database.system() as connection, connection.transaction():
        found = await open_invite(connection, token_hash(data.token))
        shown = await connection.fetchrow(SHOWN, found["organisation_id"], found["id"])
    if shown is None:
        raise InviteUnknown  # purged a moment ago
    return Reply("Invite opened", InvitePage(**shown, account_exists=found["account_exists"]))
