"""DELETE /api/organisations, POST /api/organisations/restore."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from litestar import delete, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from uuid_utils.compat import uuid7

from tenantry import feed
from tenantry.attempts import Attempts
from tenantry.db.database import Database
from tenantry.errors import PasswordWrong, RestoreTokenUnknown
from tenantry.feed import ActivityType
from tenantry.inputs import Input, Password, Token
from tenantry.mail import Action, Mail, Template
from tenantry.passwords import Passwords
from tenantry.reply import Reply
from tenantry.tenancy.authority import lock_as
from tenantry.tenancy.confirmation import confirm_password
from tenantry.tenancy.guards import allowed
from tenantry.tenancy.permissions import Permission
from tenantry.tenancy.tenant import Tenant
from tenantry.tenancy.tokens import Tokens, new_nonce, token_hash

RESTORABLE = timedelta(days=30)  # as the doors restore_organisation and purge_organisations have it

DELETE = """
UPDATE organisations SET deleted_at = now(), updated_at = now()
 WHERE id = $1
RETURNING deleted_at, name
"""
KEEP_TOKEN = """
INSERT INTO deletions (organisation_id, id, token_hash, deleted_by) VALUES ($1, $2, $3, $4)
"""
OWNER = "SELECT name, email FROM users WHERE id = $1"
RESTORE = "SELECT organisation_id, deleted_by FROM tenantry.restore_organisation($1)"
RESTORED = "SELECT id, name, slug FROM organisations WHERE id = $1"


class DeleteInput(Input):
    password: Password


class RestoreInput(Input):
    token: Token


class DeletedOrganisation(msgspec.Struct, frozen=True, rename="camel"):
    """`token` restores the organisation. Where the server sends mail, it leaves only by mail to the
    one who asked, and is null here.
    """

    restorable_until: datetime
    token: str | None


class RestoredOrganisation(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    slug: str


@delete(
    "/",
    status_code=200,
    guards=[allowed(Permission.ORGANISATION_OWN)],
    answers=(PasswordWrong,),
    summary="Delete the organisation",
    operation_id="deleteOrganisation",
)
async def delete_organisation(
    data: JSONBody[DeleteInput],
    tenant: NamedDependency[Tenant],
    attempts: NamedDependency[Attempts],
    passwords: NamedDependency[Passwords],
    tokens: NamedDependency[Tokens],
    mail: NamedDependency[Mail],
) -> Reply[DeletedOrganisation]:
    """Closes the organisation to everybody, at once; sockets close with 4004. Needs one's password.

    For 30 days it can be restored, then it is purged. Sends ORGANISATION_DELETED.
    """
    await confirm_password(tenant, attempts, passwords, data.password)
    nonce = new_nonce()
    token = tokens.derived(Action.RESTORE_ORGANISATION, nonce)
    connection, organisation = tenant.connection, tenant.organisation_id
    async with tenant.transaction():
        await lock_as(tenant, Permission.ORGANISATION_OWN)
        deleted = await connection.fetchrow(DELETE, organisation)
        assert deleted is not None
        await tenant.execute(KEEP_TOKEN, organisation, uuid7(), token_hash(token), tenant.user_id)
        until = deleted["deleted_at"] + RESTORABLE
        await tenant.record(
            ActivityType.ORGANISATION_DELETED,
            "The organisation was deleted",
            {"deletedBy": tenant.user_id, "restorableUntil": until},
        )
        owner = await connection.fetchrow(OWNER, tenant.user_id)
        assert owner is not None
        await mail.send(
            connection,
            Template.ORGANISATION_DELETED,
            owner["email"],
            name=owner["name"],
            organisation=deleted["name"],
            nonce=nonce,
            until=until,
        )
    shown = None if mail.configured else token
    return Reply("Organisation deleted", DeletedOrganisation(until, shown))


@post(
    "/restore",
    status_code=200,
    public="The token is the permission.",
    answers=(RestoreTokenUnknown,),
    summary="Restore a deleted organisation",
    operation_id="restoreOrganisation",
)
async def restore_organisation(
    data: JSONBody[RestoreInput], database: NamedDependency[Database]
) -> Reply[RestoredOrganisation]:
    """Opens it again, with everybody who was in it. The token works once, for 30 days.

    Sends ORGANISATION_RESTORED.
    """
    async with database.system() as connection, connection.transaction():
        found = await connection.fetchrow(RESTORE, token_hash(data.token))
        if found is None or found["organisation_id"] is None:
            raise RestoreTokenUnknown
        await feed.record(
            connection,
            ActivityType.ORGANISATION_RESTORED,
            "The organisation was restored",
            {"restoredBy": found["deleted_by"]},
            actor=found["deleted_by"],
        )
        row = await connection.fetchrow(RESTORED, found["organisation_id"])
    assert row is not None
    return Reply("Organisation restored", RestoredOrganisation(**row))
