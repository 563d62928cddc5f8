"""The page of settings, from `tenantry.settings`."""

from dataclasses import Field
from datetime import timedelta
from pathlib import Path
from typing import Any

from limits import RateLimitItem

from tenantry.settings import COMPOSE_VARIABLES, variables

INTRODUCTION = """# Settings

Environment variables, read once at the start. An absent or empty one means its default; a
malformed one is a sentence that says what to set, and all of them are said at once. A variable
that begins with `TENANTRY_` and is none of these is refused too. [.env.example](../.env.example)
has them as a file to copy.

Those marked *secret* are never shown, not even in the sentence about a malformed one.
"""

FOR_COMPOSE = """
## For compose.yaml

Read by `compose.yaml` and PostgreSQL's image, not by the server.

| variable | what it is |
|---|---|
"""

NO_VALUE = "\0"


def page() -> str:
    parts = [INTRODUCTION, *(_entry(field) for field in variables()), FOR_COMPOSE.rstrip()]
    rows = [f"| `{name}` | {about} |" for name, about in COMPOSE_VARIABLES.items()]
    return "\n".join([*parts, *rows, ""])


def _entry(field: Field[Any]) -> str:
    name, about = field.metadata["name"], field.metadata["about"]
    facts = [f"Default: {_default(field.default)}"]
    if form := _form(field):
        facts.append(f"Form: {form}")
    if field.metadata["secret"]:
        facts.append("*secret*")
    return f"## `{name}` {{ #{name} }}\n\n{about[0].upper()}{about[1:]}.\n\n{' · '.join(facts)}\n"


def _default(value: Any) -> str:
    match value:
        case None | "" | ():
            return "none"
        case timedelta():
            return f"`{_duration(value)}`"
        case RateLimitItem():
            return f"`{value.amount}/{value.GRANULARITY.name}`"
        case Path() | str() | int():
            return f"`{value}`"
    raise AssertionError(f"a default of a kind that this page cannot show: {value!r}")


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _form(field: Field[Any]) -> str:
    """What it must be, in the words of the sentence that refuses what it is not."""
    try:
        field.metadata["read"](NO_VALUE)
    except ValueError as refusal:
        return str(refusal).replace("<", "&lt;")
    return ""
