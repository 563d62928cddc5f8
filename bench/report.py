"""A run's figures: as tables in the terminal and in Markdown, as JSON, and as a plot."""

import json
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bench.figures import Figure


def tables(figures: Sequence[Figure]) -> Iterator[Table]:
    """A table for what is about the same: medians, below them the rounds' spread, and the ratio."""
    for about, group in groupby(figures, lambda figure: figure.about):
        together = list(group)
        who = _everybody(together)
        made = Table(title=about, title_style="bold", title_justify="left", box=SIMPLE_HEAD)
        made.add_column(min_width=20)
        for name in who:
            made.add_column(name, justify="right", min_width=11)
        for figure in together:
            cells = [_cell(figure, name) for name in who]
            made.add_row(f"{figure.what}\n[dim]{figure.unit}[/]", *cells)
        yield made


def _everybody(figures: Sequence[Figure]) -> list[str]:
    return list(dict.fromkeys(name for figure in figures for name in figure.rounds))


def _cell(figure: Figure, who: str) -> str:
    if who not in figure.rounds:
        return ""
    rounds = figure.rounds[who]
    text = f"{shown(statistics.median(rounds))}"
    if who != figure.first:
        text += f" [cyan]{figure.ratio(who):.2f}×[/]"
    if len(rounds) > 1:
        text += f"\n[dim]{shown(min(rounds))}–{shown(max(rounds))}[/]"
    return text


def aims(figures: Sequence[Figure]) -> Table | None:
    """What was to be reached, and whether it was."""
    made = Table(title="Aims", title_style="bold", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("", "aim", "found", ""):
        made.add_column(heading)
    for figure in figures:
        for aim, value, met in figure.verdicts():
            verdict = "[green]met[/]" if met else "[red]missed[/]"
            made.add_row(f"{figure.about}: {figure.what}", str(aim), shown(value), verdict)
    return made if made.row_count else None


def shown(value: float) -> str:
    """Three digits at least, and none that say nothing."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def write(path: Path, figures: Sequence[Figure], seconds: float, **more: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_document(figures, seconds) | more, indent=2) + "\n")


def _document(figures: Sequence[Figure], seconds: float) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "seconds": round(seconds),
        "machine": {"system": platform.platform(), "cpus": os.cpu_count()},
        "python": platform.python_version(),
        "figures": [figure.as_json() for figure in figures],
    }
