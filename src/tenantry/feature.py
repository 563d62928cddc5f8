"""A feature: what a product adds to Tenantry, in one declaration.

    projects = Feature(
        name="projects",
        routes=[router],
        events=[ProjectCreated],
        permissions={"projects:manage": Role.ADMIN, "projects:write": Role.MEMBER},
        migrations=Path(__file__).parent / "migrations",
    )

Its tables are isolated as the core's are, its routes guarded, limited and documented, and its
events stand in the feed and on the sockets. An installed package brings its features by an entry
point of the group `tenantry.features`; `create_app` is given them, or others, as a list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

from litestar.types import ControllerRouterHandler

from tenantry.events import Event
from tenantry.settings import Settings
from tenantry.tenancy import plans
from tenantry.tenancy.permissions import Permissions, Role
from tenantry.tenancy.product import Product, product

GROUP = "tenantry.features"


@dataclass(frozen=True, kw_only=True)
class Feature:
    """`events` are the kinds that it records; `permissions` the lowest role that has each by
    itself; `entitlements` what it requires or uses of a plan, which every plan must say;
    `migrations` the folder of its own Alembic branch, which is labelled `name`.
    """

    name: str
    routes: Sequence[ControllerRouterHandler] = ()
    events: Sequence[type[Event]] = ()
    permissions: Mapping[str, Role] = field(default_factory=dict)
    entitlements: Sequence[str] = ()
    migrations: Path | None = None


def product_of(settings: Settings, features: Sequence[Feature]) -> Product:
    """What plans, permissions and events there are with these features.

    Raises:
        PlansError: the plans cannot be read, or do not say what a feature needs.
    """
    offered = plans.load(settings.plans or plans.OURS)
    problems = [
        f"The feature {feature.name} needs every plan to say {name}, and {offered.first.name} does "
        "not: add it to each plan of TENANTRY_PLANS."
        for feature in features
        for name in feature.entitlements
        if name not in offered.entitlements
    ]
    if problems:
        raise plans.PlansError(problems)
    permissions = {name: role for one in features for name, role in one.permissions.items()}
    events = [event for feature in features for event in feature.events]
    return product(offered, Permissions(permissions), events)


def migrations_of(features: Sequence[Feature]) -> dict[str, Path]:
    """The folders of their migrations, by name, as tenantry.db takes them."""
    return {feature.name: feature.migrations for feature in features if feature.migrations}


def installed() -> list[Feature]:
    """The features that installed packages bring, by name.

    Raises:
        TypeError: an entry point is no Feature.
    """
    found = [(point, point.load()) for point in entry_points(group=GROUP)]
    for point, feature in found:
        if not isinstance(feature, Feature):
            raise TypeError(f"The entry point {point.name} = {point.value} is no tenantry.Feature.")
    return sorted((feature for _, feature in found), key=lambda feature: feature.name)
