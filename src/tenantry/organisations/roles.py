"""GET and POST /api/organisations/roles, PATCH and DELETE …/roles/{id}, GET …/permissions."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from uuid_utils.compat import uuid7

from tenantry.errors import (
    BeyondOwnPermissions,
    FieldError,
    Invalid,
    NotInPlan,
    RoleInUse,
    RoleNameTaken,
    RoleUnknown,
    TooManyRoles,
)
from tenantry.events import RoleChanged, RoleCreated, RoleDeleted, RoleEvent
from tenantry.inputs import Input, PathId, RoleName
from tenantry.reply import Reply
from tenantry.tenancy.authority import check_grant, custom_role, lock_as
from tenantry.tenancy.guards import allowed, any_member
from tenantry.tenancy.permissions import CustomRole, Grade, Permission, Role
from tenantry.tenancy.plans import CUSTOM_ROLES
from tenantry.tenancy.tenant import Tenant, row_of

MOST = 50
RESERVED = {"owner", "admin", "member"}

ROLES = """
SELECT roles.id, roles.name, roles.permissions, roles.created_at, roles.updated_at,
       (SELECT count(*) FROM memberships
         WHERE memberships.organisation_id = roles.organisation_id
           AND memberships.custom_role_id = roles.id
           AND memberships.removed_at IS NULL) AS members
  FROM roles
 WHERE roles.organisation_id = $1
"""
ALL_ROLES = f"{ROLES} ORDER BY lower(roles.name)"
ONE_ROLE = f"{ROLES} AND roles.id = $2"
OTHERS = """
SELECT count(*) AS number, coalesce(bool_or(lower(name) = lower($3)), false) AS taken
  FROM roles
 WHERE organisation_id = $1 AND id <> $2
"""
CREATE = "INSERT INTO roles (organisation_id, id, name, permissions) VALUES ($1, $2, $3, $4)"
CHANGE = """
UPDATE roles SET name = $3, permissions = $4, updated_at = now()
 WHERE organisation_id = $1 AND id = $2
"""
IN_USE = """
SELECT EXISTS (SELECT FROM memberships
                WHERE organisation_id = $1 AND custom_role_id = $2 AND removed_at IS NULL)
    OR EXISTS (SELECT FROM invites
                WHERE organisation_id = $1 AND custom_role_id = $2
                  AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now())
"""
DELETE = "DELETE FROM roles WHERE organisation_id = $1 AND id = $2"

Permissions = Annotated[list[str], msgspec.Meta(max_length=100)]


class OrganisationRole(msgspec.Struct, frozen=True, rename="camel"):
    """A role that the organisation defined; `members` is how many have it."""

    id: UUID
    name: str
    permissions: list[str]
    members: int
    created_at: datetime
    updated_at: datetime


class Grantable(msgspec.Struct, frozen=True, rename="camel"):
    """A permission that a custom role can have; `of_members`: every member has it without one."""

    name: str
    of_members: bool


class NewRoleInput(Input):
    name: RoleName
    permissions: Permissions

    def __post_init__(self) -> None:
        self.name = self.name.strip(" ")


class ChangedRoleInput(Input):
    """What is left out stays as it is."""

    name: RoleName | None = None
    permissions: Permissions | None = None

    def __post_init__(self) -> None:
        self.name = self.name and self.name.strip(" ")


class Deleted(msgspec.Struct, frozen=True):
    deleted: bool


@get("/roles", guards=[any_member], summary="The custom roles", operation_id="listRoles")
async def list_roles(tenant: NamedDependency[Tenant]) -> Reply[list[OrganisationRole]]:
    """The roles that the organisation defined, by name. OWNER, ADMIN, MEMBER are always there."""
    roles = await tenant.fetch(row_of(OrganisationRole), ALL_ROLES, tenant.organisation_id)
    return Reply("Roles fetched", roles)


@get(
    "/permissions",
    guards=[any_member],
    summary="What a custom role can have",
    operation_id="listPermissions",
)
async def list_permissions(tenant: NamedDependency[Tenant]) -> Reply[list[Grantable]]:
    """Every permission that a custom role can be given, by name: the server's own, and those of the
    product's features.
    """
    permissions = tenant.product.permissions
    of_members = permissions.of(Role.MEMBER, owner=False, custom=None)
    listed = [Grantable(name, name in of_members) for name in permissions.grantable]
    return Reply("Permissions fetched", listed)


@post(
    "/roles",
    guards=[allowed(Permission.ROLES_MANAGE)],
    answers=(NotInPlan, BeyondOwnPermissions, RoleNameTaken, TooManyRoles),
    summary="Define a role",
    operation_id="createRole",
)
async def create_role(
    data: JSONBody[NewRoleInput], tenant: NamedDependency[Tenant]
) -> Reply[OrganisationRole]:
    """Defines a role: a member who may do more. Nobody gives it more than they have themselves.

    Sends ROLE_CREATED.
    """
    role = CustomRole(uuid7(), data.name, _grantable(tenant, data.permissions))
    async with tenant.transaction():
        _, actor = await lock_as(tenant, Permission.ROLES_MANAGE)
        await tenant.require(CUSTOM_ROLES)
        check_grant(actor, _grade(tenant, role))
        if await _other_roles(tenant, role) >= MOST:
            raise TooManyRoles
        await tenant.execute(CREATE, tenant.organisation_id, role.id, role.name, role.permissions)
        await _record(tenant, RoleCreated, role, "was defined")
        created = await _shown(tenant, role.id)
    return Reply("Role created", created)


@patch(
    "/roles/{role_id:str}",
    guards=[allowed(Permission.ROLES_MANAGE)],
    answers=(BeyondOwnPermissions, RoleUnknown, RoleNameTaken),
    summary="Change a role",
    operation_id="updateRole",
)
async def change_role(
    role_id: PathId, data: JSONBody[ChangedRoleInput], tenant: NamedDependency[Tenant]
) -> Reply[OrganisationRole]:
    """Changes a role's name or permissions, for everybody who has it, with their next request.

    What it had and what it gets must be what one has oneself. Sends ROLE_CHANGED.
    """
    async with tenant.transaction():
        _, actor = await lock_as(tenant, Permission.ROLES_MANAGE)
        before = await custom_role(tenant.connection, tenant.organisation_id, _role(role_id))
        after = CustomRole(
            before.id,
            before.name if data.name is None else data.name,
            before.permissions
            if data.permissions is None
            else _grantable(tenant, data.permissions),
        )
        check_grant(actor, _grade(tenant, before), _grade(tenant, after))
        if after != before:
            await _other_roles(tenant, after)
            await tenant.execute(
                CHANGE, tenant.organisation_id, after.id, after.name, after.permissions
            )
            await _record(tenant, RoleChanged, after, "was changed")
        changed = await _shown(tenant, after.id)
    return Reply("Role changed", changed)


@delete(
    "/roles/{role_id:str}",
    status_code=200,
    guards=[allowed(Permission.ROLES_MANAGE)],
    answers=(BeyondOwnPermissions, RoleUnknown, RoleInUse),
    summary="Delete a role",
    operation_id="deleteRole",
)
async def delete_role(role_id: PathId, tenant: NamedDependency[Tenant]) -> Reply[Deleted]:
    """Deletes a role that no member and no open invite has. Sends ROLE_DELETED."""
    async with tenant.transaction():
        _, actor = await lock_as(tenant, Permission.ROLES_MANAGE)
        role = await custom_role(tenant.connection, tenant.organisation_id, _role(role_id))
        check_grant(actor, _grade(tenant, role))
        if await tenant.connection.fetchval(IN_USE, tenant.organisation_id, role.id):
            raise RoleInUse
        await tenant.execute(DELETE, tenant.organisation_id, role.id)
        await _record(tenant, RoleDeleted, role, "was deleted")
    return Reply("Role deleted", Deleted(deleted=True))


def _role(role_id: str) -> UUID:
    try:
        return UUID(role_id)
    except ValueError:
        raise RoleUnknown from None


def _grantable(tenant: Tenant, permissions: list[str]) -> list[str]:
    """Sorted, each once. Raises `Invalid` for what there is not, or what only owners have."""
    grantable = tenant.product.permissions.grantable
    if not set(permissions) <= set(grantable):
        problem = f"permissions can hold only {', '.join(grantable)}"
        raise Invalid(fields=(FieldError("permissions", problem),))
    return sorted(set(permissions))


def _grade(tenant: Tenant, role: CustomRole) -> Grade:
    return tenant.product.permissions.grade(Role.MEMBER, custom=role)


async def _other_roles(tenant: Tenant, role: CustomRole) -> int:
    """How many there are. Raises `RoleNameTaken`."""
    found = await tenant.connection.fetchrow(OTHERS, tenant.organisation_id, role.id, role.name)
    assert found is not None
    if found["taken"] or role.name.lower() in RESERVED:
        raise RoleNameTaken
    number: int = found["number"]
    return number


async def _record(tenant: Tenant, kind: type[RoleEvent], role: CustomRole, what: str) -> None:
    await tenant.record(
        kind(role.id, role.name, role.permissions, tenant.user_id), f"The role {role.name} {what}"
    )


async def _shown(tenant: Tenant, role: UUID) -> OrganisationRole:
    shown = await tenant.fetch_one(row_of(OrganisationRole), ONE_ROLE, tenant.organisation_id, role)
    assert shown is not None
    return shown
