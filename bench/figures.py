"""What was found: figures of those who took part, round by round, and the aims for them."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Aim:
    """A bound for the first one's figure; with `against`, for its ratio to that one's."""

    least: float | None = None
    most: float | None = None
    against: str = ""

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        bound = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        return f"{bound}× {self.against}" if self.against else bound


@dataclass(frozen=True)
class Figure:
    """Something measured once or in rounds, of one or several, the first being Tenantry.

    They were measured by turns, so a ratio is taken in each round, and of those the median.
    """

    about: str
    what: str
    unit: str
    rounds: Mapping[str, Sequence[float]]
    aims: Sequence[Aim] = ()

    @property
    def first(self) -> str:
        return next(iter(self.rounds))

    def median(self, who: str) -> float:
        return statistics.median(self.rounds[who])

    def ratios(self, other: str) -> list[float]:
        """The first one's rounds by the other's."""
        pairs = zip(self.rounds[self.first], self.rounds[other], strict=True)
        return [one / another for one, another in pairs]

    def ratio(self, other: str) -> float:
        return statistics.median(self.ratios(other))

    def verdicts(self) -> list[tuple[Aim, float, bool]]:
        """Each aim, what was found, and whether it is met; none against who did not take part."""
        found = [
            (aim, self.ratio(aim.against) if aim.against else self.median(self.first))
            for aim in self.aims
            if not aim.against or aim.against in self.rounds
        ]
        return [(aim, value, aim.met(value)) for aim, value in found]

    def as_json(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "what": self.what,
            "unit": self.unit,
            "rounds": {who: list(rounds) for who, rounds in self.rounds.items()},
            "medians": {who: self.median(who) for who in self.rounds},
            "ratios": {who: self.ratio(who) for who in self.rounds if who != self.first},
            "aims": [
                {"aim": str(aim), "found": found, "met": met} for aim, found, met in self.verdicts()
            ],
        }


def geometric_mean(about: str, what: str, figures: Sequence[Figure], aims: Sequence[Aim]) -> Figure:
    """Of the same contenders' figures, round by round; the ratio of means is the mean of ratios."""
    rounds = {
        who: [
            statistics.geometric_mean(values)
            for values in zip(*(figure.rounds[who] for figure in figures), strict=True)
        ]
        for who in figures[0].rounds
    }
    return Figure(about, what, figures[0].unit, rounds, aims)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
