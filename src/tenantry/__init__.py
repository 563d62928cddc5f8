"""Tenantry: the multi-tenant SaaS backend, to run and to build on.

What stands in `__all__` is what one builds on, and stays; everything else is Tenantry's own and may
change. Names are imported when they are first used: a command should not pay for what it does not
need.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tenantry.app import create_app as create_app
    from tenantry.errors import BadRequest as BadRequest
    from tenantry.errors import Conflict as Conflict
    from tenantry.errors import FieldError as FieldError
    from tenantry.errors import Forbidden as Forbidden
    from tenantry.errors import Gone as Gone
    from tenantry.errors import Invalid as Invalid
    from tenantry.errors import NotFound as NotFound
    from tenantry.errors import TenantryError as TenantryError
    from tenantry.events import Event as Event
    from tenantry.feature import Feature as Feature
    from tenantry.inputs import Email as Email
    from tenantry.inputs import Input as Input
    from tenantry.inputs import Message as Message
    from tenantry.inputs import Name as Name
    from tenantry.reply import Page as Page
    from tenantry.reply import Reply as Reply
    from tenantry.routing import Router as Router
    from tenantry.settings import Settings as Settings
    from tenantry.tenancy.guards import allowed as allowed
    from tenantry.tenancy.guards import any_member as any_member
    from tenantry.tenancy.guards import signed_in as signed_in
    from tenantry.tenancy.permissions import Permission as Permission
    from tenantry.tenancy.permissions import Role as Role
    from tenantry.tenancy.person import Person as Person
    from tenantry.tenancy.tenant import Tenant as Tenant
    from tenantry.tenancy.tenant import TenantScope as TenantScope
    from tenantry.tenancy.tenant import row_of as row_of

_HOMES = {
    "tenantry.app": ("create_app",),
    "tenantry.errors": (
        "BadRequest",
        "Conflict",
        "FieldError",
        "Forbidden",
        "Gone",
        "Invalid",
        "NotFound",
        "TenantryError",
    ),
    "tenantry.events": ("Event",),
    "tenantry.feature": ("Feature",),
    "tenantry.inputs": ("Email", "Input", "Message", "Name"),
    "tenantry.reply": ("Page", "Reply"),
    "tenantry.routing": ("Router",),
    "tenantry.settings": ("Settings",),
    "tenantry.tenancy.guards": ("allowed", "any_member", "signed_in"),
    "tenantry.tenancy.permissions": ("Permission", "Role"),
    "tenantry.tenancy.person": ("Person",),
    "tenantry.tenancy.tenant": ("Tenant", "TenantScope", "row_of"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604
    "__version__",
    *_HOME_OF,
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"tenantry has no {name}; `tenantry.__all__` is what it has")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
