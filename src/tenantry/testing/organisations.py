"""Organisations with somebody in each role."""

import asyncio
import secrets
from dataclasses import dataclass

from tenantry.tenancy.permissions import Permission
from tenantry.tenancy.product import Product
from tenantry.testing.answers import ok
from tenantry.testing.client import Account, Api


@dataclass(frozen=True)
class Organisation:
    """An organisation on the largest plan, and its members, each signed in.

    `custom` has a custom role with every permission that the features add, or `broadcast:send`
    where they add none; it is a plain member where no plan has custom roles.
    """

    id: str
    owner: Account
    admin: Account
    member: Account
    custom: Account


async def on_largest_plan(api: Api, product: Product) -> Account:
    """The owner of a new organisation, whose names are like no other's, on a plan that has custom
    roles, if there is one, and is the largest of them.
    """
    word = secrets.token_hex(4)
    owner = await api.register(f"Ada {word}", organisationName=f"Engines {word}")
    plans = product.plans.all
    best = [plan for plan in plans if plan.custom_roles] or plans
    if best[-1] != product.plans.first:
        ok(await owner.change_plan(best[-1].name))
    return owner


def custom_permissions(product: Product) -> list[str]:
    """The permissions of a custom role that tests seed; none where no plan has custom roles."""
    if not any(plan.custom_roles for plan in product.plans.all):
        return []
    of_features = set(product.permissions.grantable) - set(Permission)
    return sorted(of_features) or [Permission.BROADCAST_SEND]


async def seed(api: Api, product: Product) -> Organisation:
    """A new organisation with somebody in each role."""
    owner = await on_largest_plan(api, product)
    admin, member, custom = await asyncio.gather(
        owner.add("Charles Babbage", "ADMIN"),
        owner.add("Grace Hopper"),
        owner.add("Mary Somerville", permissions=custom_permissions(product)),
    )
    return Organisation(str(owner.organisation["id"]), owner, admin, member, custom)
