"""What bench/realtime.py found: figures with their spread, as tables and as JSON."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """Something measured once or in rounds, and the same of what it is compared with.

    The two were measured by turns, so a ratio is taken in each round, and of those the median.
    """

    about: str
    what: str
    unit: str
    measured: Sequence[Sequence[float]]  # Tenantry's rounds, and, if there is one, the other's
    against: str = ""  # the other
    most: float | None = None  # the aim, for the figure itself
    most_ratio: float | None = None  # the aim, for the ratio

    @property
    def rounds(self) -> Sequence[float]:
        return self.measured[0]

    @property
    def others(self) -> Sequence[float]:
        return self.measured[1] if len(self.measured) > 1 else ()

    @property
    def ratios(self) -> list[float]:
        return [one / other for one, other in zip(self.rounds, self.others, strict=False)]

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none, or nothing to compare with."""
        if self.most is not None:
            return statistics.median(self.rounds) <= self.most
        if self.most_ratio is not None and self.ratios:
            return statistics.median(self.ratios) <= self.most_ratio
        return None

    def as_json(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "what": self.what,
            "unit": self.unit,
            "tenantry": _summary(self.rounds),
            "against": self.against or None,
            "other": _summary(self.others),
            "ratio": _summary(self.ratios),
            "aim": self.most,
            "ratioAim": self.most_ratio,
            "met": self.met,
        }

    def cells(self) -> list[str]:
        return [
            self.what,
            _shown(self.rounds, self.unit),
            _shown(self.others, self.unit),
            _shown(self.ratios, "×"),
            self._verdict(),
        ]

    def _verdict(self) -> str:
        aim = ""
        if self.most is not None:
            aim = f"≤ {self.most:g} {self.unit}"
        elif self.most_ratio is not None:
            aim = f"≤ {self.most_ratio:g} ×"
        return {True: f"{aim}\n[green]met[/]", False: f"{aim}\n[red]missed[/]", None: aim}[self.met]


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def tables(figures: Sequence[Figure]) -> Iterator[Table]:
    """A table for what is about the same: medians, and below them the rounds' least and most."""
    for about, group in groupby(figures, lambda figure: figure.about):
        together = list(group)
        made = Table(title=about, title_style="bold", title_justify="left", box=SIMPLE_HEAD)
        made.add_column(width=24)
        other = next((figure.against for figure in together if figure.others), "")
        for heading, width in (("Tenantry", 13), (other, 13), ("ratio" if other else "", 10)):
            made.add_column(heading, justify="right", width=width)
        made.add_column("aim", width=9)
        for figure in together:
            made.add_row(*figure.cells())
        yield made


def _summary(rounds: Sequence[float]) -> dict[str, Any] | None:
    if not rounds:
        return None
    return {
        "median": statistics.median(rounds),
        "least": min(rounds),
        "most": max(rounds),
        "rounds": list(rounds),
    }


def _shown(rounds: Sequence[float], unit: str) -> str:
    """The median, and the spread where there is one."""
    if not rounds:
        return ""
    text = f"{statistics.median(rounds):.2f} {unit}"
    if len(rounds) > 1:
        text += f"\n[dim]{min(rounds):.2f}–{max(rounds):.2f}[/]"
    return text
