"""GET /api/organisations/plans: what there is to choose from."""

from collections.abc import Mapping

import msgspec
from litestar import get
from litestar.di import NamedDependency

from tenantry.reply import Reply
from tenantry.tenancy.guards import signed_in
from tenantry.tenancy.plans import CUSTOM_ROLES, Entitlement
from tenantry.tenancy.product import Product


class OfferedPlan(msgspec.Struct, frozen=True, rename="camel"):
    """A plan. `seats` is how many members there may be, null without limit; `entitlements` is what
    a product's features have it allow.
    """

    name: str
    seats: int | None
    custom_roles: bool
    entitlements: Mapping[str, Entitlement]


@get("/plans", guards=[signed_in], summary="The plans", operation_id="listPlans")
async def list_plans(product: NamedDependency[Product]) -> Reply[list[OfferedPlan]]:
    """Every plan that there is, from the smallest to the largest."""
    plans = [
        OfferedPlan(
            plan.name,
            plan.seats,
            plan.custom_roles,
            {name: what for name, what in plan.entitlements.items() if name != CUSTOM_ROLES},
        )
        for plan in product.plans.all
    ]
    return Reply("Plans fetched", plans)
