"""A picture of a run: a panel for each figure with an aim; bars are medians, points the rounds."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Sheet

from bench.figures import Figure

COLOURS = {
    "Tenantry": "#2458a6",
    "Hono": "#d9782d",
    "FastAPI": "#3f8f76",
    "Better Auth": "#6d6d6d",
}
COLUMNS = 3


def draw(figures: Sequence[Figure], path: Path) -> bool:
    """The figures that compare several, and that have an aim; False where there are none."""
    shown = [figure for figure in figures if len(figure.rounds) > 1 and figure.aims]
    if not shown:
        return False
    rows = math.ceil(len(shown) / COLUMNS)
    sheet = Sheet(figsize=(13, 2.1 * rows), layout="constrained")
    panels = sheet.subplots(rows, COLUMNS, squeeze=False)
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    for panel, figure in zip(panels.flat, shown, strict=False):
        names = list(figure.rounds)
        places = range(len(names))
        colours = [COLOURS.get(name, "#999999") for name in names]
        panel.barh(places, [figure.median(name) for name in names], color=colours, alpha=0.45)
        for place, name, colour in zip(places, names, colours, strict=True):
            rounds = figure.rounds[name]
            panel.plot(rounds, [place] * len(rounds), "o", color=colour, markersize=4)
        panel.set_yticks(places, names)
        panel.invert_yaxis()
        panel.set_xlim(left=0)
        panel.set_title(f"{figure.about}\n{figure.what}, {figure.unit}", fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    sheet.savefig(path, dpi=80)
    return True
