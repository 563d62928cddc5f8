"""A feature: what a product adds to Tenantry, in one declaration.

    projects = Feature(
        name="projects",
        routes=[router],
        events=[ProjectCreated],
        permissions={"projects:manage": Role.ADMIN, "projects:write": Role.MEMBER},
        migrations=Path(__file__).parent / "migrations",
        jobs={"projects.digest": send_digest},
    )

Its tables are isolated as the core's are, its routes guarded, limited and documented, and its
events stand in the feed and on the sockets. An installed package brings its features by an entry
point of the group `tenantry.features`; `create_app` is given them, or others, as a list.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias, get_type_hints

import msgspec
from litestar.types import ControllerRouterHandler

from tenantry.events import Event
from tenantry.settings import Settings
from tenantry.tenancy import plans
from tenantry.tenancy.permissions import Permissions, Role
from tenantry.tenancy.product import Product, product
from tenantry.tenancy.tenant import TenantScope

GROUP = "tenantry.features"

# What a job does in one organisation: the second parameter's type is what it is enqueued with.
JobHandler: TypeAlias = Callable[[TenantScope, Any], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """`events` are the kinds that it records; `permissions` the lowest role that has each by
    itself; `entitlements` what it requires or uses of a plan, which every plan must say;
    `migrations` the folder of its own Alembic branch, which is labelled `name`.

    `jobs` are what the worker does for it, by names that begin with the feature's:

        async def send_digest(tenant: TenantScope, payload: Digest) -> None: ...

    with a msgspec.Struct as payload, which `tenant.enqueue("projects.digest", Digest(…))` puts
    into the queue. A job is done at least once, so it must do no harm twice. Those of an older
    version may still be in the queue: a new field of the payload has a default.
    """

    name: str
    routes: Sequence[ControllerRouterHandler] = ()
    events: Sequence[type[Event]] = ()
    permissions: Mapping[str, Role] = field(default_factory=dict)
    entitlements: Sequence[str] = ()
    migrations: Path | None = None
    jobs: Mapping[str, JobHandler] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, handle in self.jobs.items():
            if not name.startswith(f"{self.name}."):
                raise ValueError(f"The job {name} must be called {self.name}.something.")
            payload_of(handle)


def payload_of(handle: JobHandler) -> type[msgspec.Struct]:
    """What a job is given beside its organisation.

    Raises:
        TypeError: it is not a coroutine function that takes such two.
    """
    parameters = list(inspect.signature(handle).parameters)
    payload = get_type_hints(handle).get(parameters[1]) if len(parameters) == 2 else None
    if not (
        inspect.iscoroutinefunction(handle)
        and isinstance(payload, type)
        and issubclass(payload, msgspec.Struct)
    ):
        raise TypeError(
            f"The job {handle.__qualname__} must be `async def` with two parameters: the "
            "TenantScope, and a payload that is annotated with a msgspec.Struct."
        )
    return payload


def jobs_of(features: Sequence[Feature]) -> dict[str, JobHandler]:
    """Their jobs, by name."""
    return {name: handle for feature in features for name, handle in feature.jobs.items()}


def product_of(settings: Settings, features: Sequence[Feature]) -> Product:
    """What plans, permissions, events and jobs there are with these features.

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
    jobs = {name: payload_of(handle) for name, handle in jobs_of(features).items()}
    return product(offered, Permissions(permissions), events, jobs)


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
