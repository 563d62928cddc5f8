"""Joining: how a new account becomes a member. Sign-up and invite both end here."""

from tenantry.feed import ActivityType
from tenantry.tenancy.tenant import Role, Tenant

CREATE_MEMBER = "SELECT tenantry.create_member($1, $2, $3, $4, $5)"
COUNT_MEMBER = """
UPDATE organisations SET member_count = member_count + 1, updated_at = now() WHERE id = $1
"""


async def join(tenant: Tenant, *, email: str, name: str, password_hash: str, role: Role) -> bool:
    """Make the account of `tenant.user_id` as a member. False: the address has an account.

    Within the caller's transaction, the organisation being locked.
    """
    if not await tenant.connection.fetchval(
        CREATE_MEMBER, tenant.user_id, email, name, password_hash, role
    ):
        return False
    await tenant.execute(COUNT_MEMBER, tenant.organisation_id)
    await tenant.record(
        ActivityType.USER_JOINED,
        f"{name} joined the organisation",
        {"userId": tenant.user_id, "name": name, "email": email, "role": role},
        target=tenant.user_id,
    )
    return True
