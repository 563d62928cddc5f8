"""The product: Tenantry's own plans, permissions and events, and its features', put together once
at the start. Every `Tenant` has it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tenantry.events import EVENTS, Event
from tenantry.tenancy import plans
from tenantry.tenancy.permissions import Permissions
from tenantry.tenancy.plans import Plans


class Product(NamedTuple):
    """`events` are the kinds of event that there are, by their type."""

    plans: Plans
    permissions: Permissions
    events: Mapping[str, type[Event]]


def product(plans: Plans, permissions: Permissions, events: Sequence[type[Event]] = ()) -> Product:
    """With these events of features beside Tenantry's own."""
    return Product(plans, permissions, {event.type: event for event in (*EVENTS, *events)})


OURS = product(plans.load(), Permissions({}))
