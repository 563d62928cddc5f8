"""PATCH /api/organisations."""

import asyncpg
from litestar import patch
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.errors import Forbidden, SecondFactorRequired, SlugTaken
from tenantry.events import OrganisationChanged
from tenantry.inputs import Input, OrganisationName, Slug
from tenantry.organisations.organisation import Organisation, fetch_organisation
from tenantry.reply import Reply
from tenantry.tenancy.authority import lock_as
from tenantry.tenancy.guards import allowed
from tenantry.tenancy.permissions import Permission
from tenantry.tenancy.tenant import Tenant

GAVE_SECOND_FACTOR = """
SELECT second_factor FROM tenantry.sessions_of($1) WHERE id = $2
"""
CHANGE = """
UPDATE organisations
   SET name = $2, slug = $3, requires_second_factor = $4, updated_at = now()
 WHERE id = $1
"""


class OrganisationInput(Input):
    """What is left out stays as it is."""

    name: OrganisationName | None = None
    slug: Slug | None = None
    require_second_factor: bool | None = None

    def __post_init__(self) -> None:
        self.name = self.name and self.name.strip(" ")


@patch(
    "/",
    guards=[allowed(Permission.ORGANISATION_UPDATE)],
    answers=(SlugTaken,),
    summary="Change the organisation",
    operation_id="updateOrganisation",
)
async def update_organisation(
    data: JSONBody[OrganisationInput], tenant: NamedDependency[Tenant]
) -> Reply[Organisation]:
    """Changes name, slug, and whether members must have given a second factor.

    The last is the owners' to say, from a session that has given one. Sessions and sockets without
    one are refused from then on. Sends ORGANISATION_CHANGED.
    """
    async with tenant.transaction():
        _, actor = await lock_as(tenant, Permission.ORGANISATION_UPDATE)
        before = await fetch_organisation(tenant)
        name = before.name if data.name is None else data.name
        slug = before.slug if data.slug is None else data.slug
        required = before.requires_second_factor
        if data.require_second_factor is not None:
            required = data.require_second_factor
        if required != before.requires_second_factor:
            if Permission.ORGANISATION_OWN not in actor.permissions:
                raise Forbidden("Only an owner can say whether a second factor is required")
            if required and not await _gave_second_factor(tenant):
                raise SecondFactorRequired(
                    "Sign in with your second factor first, or you would lock yourself out"
                )
        if (name, slug, required) != (before.name, before.slug, before.requires_second_factor):
            try:
                await tenant.execute(CHANGE, tenant.organisation_id, name, slug, required)
            except asyncpg.UniqueViolationError:
                raise SlugTaken from None
            await tenant.record(
                OrganisationChanged(name, slug, required, tenant.user_id),
                "The organisation's settings were changed",
            )
        changed = await fetch_organisation(tenant)
    return Reply("Organisation changed", changed)


async def _gave_second_factor(tenant: Tenant) -> bool:
    gave = await tenant.connection.fetchval(GAVE_SECOND_FACTOR, tenant.user_id, tenant.session_id)
    return bool(gave)
