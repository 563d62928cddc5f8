"""Plans: what an organisation may have."""

from enum import StrEnum


class Plan(StrEnum):
    """The plans, from the smallest to the largest."""

    FREE = "FREE"
    PRO = "PRO"
    ENTERPRISE = "ENTERPRISE"

    @property
    def seats(self) -> int | None:
        """How many members the plan allows; None is no limit."""
        return _SEATS[self]

    @property
    def custom_roles(self) -> bool:
        """Whether an organisation on the plan may define roles of its own."""
        return self is Plan.ENTERPRISE

    def above(self, other: "Plan") -> bool:
        order = list(Plan)
        return order.index(self) > order.index(other)


_SEATS = {Plan.FREE: 3, Plan.PRO: 10, Plan.ENTERPRISE: None}
