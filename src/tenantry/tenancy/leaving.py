"""Leaving: how somebody stops being a member, by themselves or by somebody else."""

from uuid import UUID

from tenantry.events import UserRemoved
from tenantry.tenancy.tenant import Tenant

REMOVE = """
UPDATE memberships
   SET removed_at = now(), owner = false, custom_role_id = NULL, updated_at = now()
 WHERE organisation_id = $1 AND user_id = $2
"""
COUNT_OUT = """
UPDATE organisations SET member_count = member_count - 1, updated_at = now() WHERE id = $1
"""
CLOSE_ACCOUNT = "SELECT tenantry.close_account_without_organisation($1)"


async def leave(tenant: Tenant, user: UUID, message: str) -> None:
    """Take a member out, within the caller's transaction, which holds the organisation's lock.

    Whose last organisation it was loses the account.
    """
    await tenant.execute(REMOVE, tenant.organisation_id, user)
    await tenant.execute(COUNT_OUT, tenant.organisation_id)
    await tenant.record(UserRemoved(user, removed_by=tenant.user_id), message, target=user)
    await tenant.execute(CLOSE_ACCOUNT, user)
