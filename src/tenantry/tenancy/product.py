"""The product: Tenantry's own plans, permissions and events, and its features', put together once
at the start. Every `Tenant` has it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from tenantry.events import EVENTS, Event
from tenantry.tenancy import plans
from tenantry.tenancy.permissions import Permissions
from tenantry.tenancy.plans import Plans

Payloads = Mapping[str, type[msgspec.Struct]]
NO_JOBS: Payloads = MappingProxyType({})


class Product(NamedTuple):
    """`events` are the kinds of event that there are, by their type; `jobs` what each job of a
    feature is given, by its name.
    """

    plans: Plans
    permissions: Permissions
    events: Mapping[str, type[Event]]
    jobs: Payloads


def product(
    plans: Plans,
    permissions: Permissions,
    events: Sequence[type[Event]] = (),
    jobs: Payloads = NO_JOBS,
) -> Product:
    """With these events of features beside Tenantry's own, and their jobs."""
    return Product(plans, permissions, {event.type: event for event in (*EVENTS, *events)}, jobs)


OURS = product(plans.load(), Permissions({}))
