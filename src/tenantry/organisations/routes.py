"""Everything under /api/organisations; here GET, POST, PATCH …/subscription, POST …/broadcast."""

from datetime import UTC, datetime

from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from uuid_utils.compat import uuid7

from tenantry import feed
from tenantry.errors import (
    AlreadyOnPlan,
    CustomRolesExist,
    FieldError,
    Invalid,
    SeatsExceeded,
    TokenInvalid,
)
from tenantry.events import BroadcastMessage, PlanDowngraded, PlanUpgraded
from tenantry.feed import Activity
from tenantry.inputs import Input, Message, OrganisationName, PlanName
from tenantry.organisations.changes import update_organisation
from tenantry.organisations.deletion import delete_organisation, restore_organisation
from tenantry.organisations.organisation import (
    ORGANISATION,
    ORGANISATION_TO_READ,
    Organisation,
    fetch_organisation,
    made,
)
from tenantry.organisations.ownership import leave_organisation, transfer_ownership
from tenantry.organisations.plans import list_plans
from tenantry.organisations.roles import (
    change_role,
    create_role,
    delete_role,
    list_permissions,
    list_roles,
)
from tenantry.reply import Reply
from tenantry.routing import Router
from tenantry.tenancy.authority import lock_as
from tenantry.tenancy.founding import found
from tenantry.tenancy.guards import allowed, any_member, signed_in
from tenantry.tenancy.joining import join
from tenantry.tenancy.permissions import Permission, Role
from tenantry.tenancy.person import Person
from tenantry.tenancy.product import Product
from tenantry.tenancy.reading import Reading
from tenantry.tenancy.tenant import Tenant

CHANGE_PLAN = """
UPDATE organisations SET subscription_plan = $2, updated_at = now() WHERE id = $1
"""
ROLES = "SELECT count(*) FROM roles WHERE organisation_id = $1"
# What this transaction has recorded, which holds the organisation's row.
LATEST = f"""
SELECT {feed.COLUMNS}
  FROM activities AS activity
  LEFT JOIN users AS actor  ON actor.id  = activity.actor_id
  LEFT JOIN users AS target ON target.id = activity.target_id
 WHERE activity.organisation_id = $1
   AND activity.seq = (SELECT last_seq FROM organisations WHERE id = $1)
"""


class FoundInput(Input):
    name: OrganisationName

    def __post_init__(self) -> None:
        self.name = self.name.strip(" ")


class SubscriptionInput(Input):
    plan: PlanName


class BroadcastInput(Input):
    message: Message


@get("/", guards=[any_member], summary="The organisation", operation_id="getOrganisation")
async def get_organisation(reading: NamedDependency[Reading]) -> Reply[Organisation]:
    """The organisation that the token is for."""
    found = await reading.json(
        ORGANISATION_TO_READ, reading.organisation_id, reading.product.plans.seats_json
    )
    return Reply("Organisation fetched", found)


@post(
    "/",
    guards=[signed_in],
    summary="Found another organisation",
    operation_id="foundOrganisation",
)
async def found_organisation(
    data: JSONBody[FoundInput],
    person: NamedDependency[Person],
    product: NamedDependency[Product],
) -> Reply[Organisation]:
    """Makes an organisation on the FREE plan, which the one asking owns. To work in it, switch."""
    organisation = uuid7()
    async with person.connection.transaction():
        await found(person.connection, organisation, data.name, product.plans.first.name)
        if not await join(
            person.connection, organisation, user=person.user_id, role=Role.ADMIN, owner=True
        ):
            raise TokenInvalid  # the account was closed a moment ago
        row = await person.connection.fetchrow(ORGANISATION, organisation)
    assert row is not None, "it has just been made"
    return Reply("Organisation created", made(row, product.plans))


@patch(
    "/subscription",
    guards=[allowed(Permission.PLAN_CHANGE)],
    answers=(AlreadyOnPlan, SeatsExceeded, CustomRolesExist),
    summary="Change the plan",
    operation_id="changeSubscription",
)
async def change_subscription(
    data: JSONBody[SubscriptionInput], tenant: NamedDependency[Tenant]
) -> Reply[Organisation]:
    """Moves to another plan, up or down. Down needs the members to fit, and custom roles to be
    deleted where the plan has none.

    Sends PLAN_UPGRADED or PLAN_DOWNGRADED.
    """
    plans = tenant.product.plans
    if data.plan not in plans.names:
        problem = f"plan must be one of {', '.join(plans.names)}"
        raise Invalid(fields=(FieldError("plan", problem),))
    plan = plans.named(data.plan)
    async with tenant.transaction():
        seats, _ = await lock_as(tenant, Permission.PLAN_CHANGE)
        if plan == seats.plan:
            raise AlreadyOnPlan(f"Organisation is already on the {plan.name} plan")
        if plan.seats is not None and seats.members > plan.seats:
            raise SeatsExceeded(
                f"The {plan.name} plan allows {plan.seats} members, and there are "
                f"{seats.members}. Remove members first."
            )
        if not plan.custom_roles:
            roles = await tenant.connection.fetchval(ROLES, tenant.organisation_id)
            if roles:
                raise CustomRolesExist(
                    f"The {plan.name} plan has no custom roles, and there are {roles}: give their "
                    "members another role and delete them first"
                )
        await tenant.execute(CHANGE_PLAN, tenant.organisation_id, plan.name)
        upgrade = plans.above(plan, seats.plan)
        change = PlanUpgraded if upgrade else PlanDowngraded
        direction = "upgraded" if upgrade else "downgraded"
        await tenant.record(
            change(seats.plan.name, plan.name, datetime.now(UTC)),
            f"Plan {direction} from {seats.plan.name} to {plan.name}",
        )
        organisation = await fetch_organisation(tenant)
    return Reply(f"Subscription plan {direction}", organisation)


@post(
    "/broadcast",
    guards=[allowed(Permission.BROADCAST_SEND)],
    summary="Broadcast a message",
    operation_id="broadcast",
)
async def broadcast(
    data: JSONBody[BroadcastInput], tenant: NamedDependency[Tenant]
) -> Reply[Activity]:
    """Sends a BROADCAST_MESSAGE to everybody who is connected, and writes it to the feed."""
    async with tenant.pipelined():
        await tenant.record_later(
            BroadcastMessage(data.message, tenant.user_id, datetime.now(UTC)), data.message
        )
        activity = await tenant.fetch_one(feed.activity, LATEST, tenant.organisation_id)
    assert activity is not None
    return Reply("Message broadcasted", activity)


router = Router(
    "/api/organisations",
    route_handlers=[
        get_organisation,
        found_organisation,
        update_organisation,
        delete_organisation,
        restore_organisation,
        list_plans,
        change_subscription,
        broadcast,
        transfer_ownership,
        leave_organisation,
        list_roles,
        list_permissions,
        create_role,
        change_role,
        delete_role,
    ],
    tags=["Organisations"],
)
