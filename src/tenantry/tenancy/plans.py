"""Plans: what an organisation may have. They are read from one file, plans.toml or the product's.

A plan that organisations are still on, but that the file has no more, entitles to nothing.
"""

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

OURS = Path(__file__).with_name("plans.toml")
UNLIMITED = "unlimited"
SEATS, CUSTOM_ROLES = "seats", "custom_roles"


class PlansError(Exception):
    """The plans cannot be used; `problems` says, a sentence each, what is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Period(StrEnum):
    """How long a quota lasts, in UTC."""

    DAY = "day"
    MONTH = "month"


class Entitlement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a plan allows. `limit` is how many at once, or in each `per`; null is without
    limit.
    """

    allowed: bool
    limit: int | None = None
    per: Period | None = None


class Plan(msgspec.Struct, frozen=True):
    """`seats`: how many members there may be; None is no limit."""

    name: str
    seats: int | None
    entitlements: Mapping[str, Entitlement]

    @property
    def custom_roles(self) -> bool:
        """Whether an organisation on the plan may define roles of its own."""
        return self.entitlement(CUSTOM_ROLES).allowed

    def entitlement(self, name: str) -> Entitlement:
        return self.entitlements.get(name, NOTHING)


NOTHING = Entitlement(allowed=False, limit=0)


class Plans:
    """The plans, in their order."""

    def __init__(self, plans: list[Plan]) -> None:
        self.all = plans
        self._by_name = {plan.name: plan for plan in plans}
        self.seats_json = msgspec.json.encode({plan.name: plan.seats for plan in plans}).decode()

    @property
    def first(self) -> Plan:
        return self.all[0]

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    @property
    def entitlements(self) -> set[str]:
        """The names of what plans entitle to, seats aside."""
        return set(self.first.entitlements)

    def named(self, name: str) -> Plan:
        return self._by_name.get(name) or Plan(name, 0, {})

    def above(self, plan: Plan, other: Plan) -> bool:
        """Whether the one is larger than the other."""
        return self._place(plan) > self._place(other)

    def with_entitlement(self, name: str) -> list[str]:
        """The names of the plans that allow it, or more of it than none."""
        return [plan.name for plan in self.all if plan.entitlement(name).allowed]

    def _place(self, plan: Plan) -> int:
        return self.names.index(plan.name) if plan.name in self._by_name else -1


@cache
def load(file: Path = OURS) -> Plans:
    """Read the plans. Raises `PlansError`."""
    try:
        written = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlansError([f"The plans of {file} cannot be read: {error}."]) from error
    problems: list[str] = []
    plans = [_plan(name, values, problems) for name, values in written.items()]
    every = {name for plan in plans for name in plan.entitlements}
    problems += [
        f"The plan {plan.name} does not say {name}, which another plan does."
        for plan in plans
        for name in sorted(every - set(plan.entitlements))
    ]
    if not plans:
        problems.append(f"{file} has no plan; each is a table such as [FREE].")
    if problems:
        raise PlansError(problems)
    return Plans(plans)


def _plan(name: str, values: Any, problems: list[str]) -> Plan:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,31}", name) or not isinstance(values, dict):
        problems.append(f"{name} is no plan: a table with a name such as FREE is.")
        return Plan(name, 0, {})
    entitlements = {}
    for key, value in {SEATS: None, CUSTOM_ROLES: False, **values}.items():
        entitlement = _entitlement(value)
        if entitlement is None:
            problems.append(
                f"The plan {name} says {key} = {value!r}; that must be true, false, a number, "
                'a quota such as "1000/month", or "unlimited".'
            )
        else:
            entitlements[key] = entitlement
    seats = entitlements.pop(SEATS, NOTHING)
    if seats.per or not seats.allowed or isinstance(values.get(SEATS), bool):
        problems.append(f'The plan {name} must say seats: a number of at least 1, or "unlimited".')
    return Plan(name, seats.limit, entitlements)


def _entitlement(value: object) -> Entitlement | None:
    if isinstance(value, bool):
        return Entitlement(value, None if value else 0)
    if isinstance(value, int) and value >= 0:
        return Entitlement(value > 0, value)
    if value == UNLIMITED:
        return Entitlement(allowed=True)
    quota = re.fullmatch(r"(\d{1,15})/(day|month)", value) if isinstance(value, str) else None
    if quota is None:
        return None
    return Entitlement(int(quota[1]) > 0, int(quota[1]), Period(quota[2]))
