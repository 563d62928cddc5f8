"""Writes what was found into docs/performance.md, so that no number is typed there by hand.

A block there begins with one of these, and ends with <!-- end -->; what is between is replaced:

    <!-- tables FILE -->, or <!-- tables FILE: ABOUT -->    the figures of build/FILE.json
    <!-- shares -->                                         the parts of all profiles' CPU
    <!-- plans FILE -->                                     the plans on its large database
    <!-- run FILE -->                                       when and where that was measured

What has not been measured stays as it was, with its own time. The picture beside the document is
the last run's.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.report import shown
from bench.tools import BUILD, ToolError

PROFILES = BUILD.parent / "profile"
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
BLOCK = re.compile(r"(<!-- (\w+)(?: ([^:\n]+?))?(?:: (.+?))? -->\n).*?(<!-- end -->)", re.DOTALL)


def update() -> None:
    """Raises `ToolError` where nothing has been measured."""
    if not _path("bench/bench").exists():
        raise ToolError("there is nothing to write: make bench first")
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(BLOCK.sub(_written, text))
    shutil.copy(BUILD / "bench.png", DOCUMENT.with_suffix(".png"))


def _written(block: re.Match[str]) -> str:
    start, kind, file, about, end = block.groups()
    measured = _path(file).exists() if file else any(PROFILES.glob("*.json"))
    if not measured:
        return block[0]
    return f"{start}{KINDS[kind](file, about).strip()}\n{end}"


def _found(file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_path(file).read_text())
    return found


def _path(file: str) -> Path:
    return BUILD.parent / f"{file}.json"


def _tables(file: str, about: str | None) -> str:
    figures = [
        figure for figure in _found(file)["figures"] if figure["about"].startswith(about or "")
    ]
    grouped = groupby(figures, lambda figure: figure["about"])
    return "\n\n".join("\n".join(_table(title, list(together))) for title, together in grouped)


def _table(title: str, figures: list[dict[str, Any]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for figure in figures for name in figure["medians"]))
    with_aims = any(figure["aims"] for figure in figures)
    yield _row([title, *names, *(["aim"] if with_aims else [])])
    yield _row(["---", *("---:" for _ in names), *(["---"] if with_aims else [])])
    for figure in figures:
        aims = [f"{aim['aim']}: {'met' if aim['met'] else 'missed'}" for aim in figure["aims"]]
        what = f"{figure['what']}, {figure['unit']}" if figure["unit"] else figure["what"]
        cells = [_cell(figure, name) for name in names]
        yield _row([what, *cells, *(["; ".join(aims)] if with_aims else [])])


def _cell(figure: Mapping[str, Any], name: str) -> str:
    if name not in figure["medians"]:
        return ""
    rounds = figure["rounds"][name]
    text = shown(figure["medians"][name])
    if len(rounds) > 1:
        text += f" ({shown(min(rounds))}–{shown(max(rounds))})"
    ratio = figure["ratios"].get(name)
    return text if ratio is None else f"{text} **{ratio:.2f}×**"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shares(_file: str | None, _about: str | None) -> str:
    paths = sorted(PROFILES.glob("*.json"))
    profiles = {path.stem: json.loads(path.read_text()) for path in paths}
    rows = [
        _row(["the server's CPU for one, µs", *(f"/{name.replace('-', '/')}" for name in profiles)])
    ]
    rows.append(_row(["---", *("---:" for _ in profiles)]))
    for part in next(iter(profiles.values()))["shares"]:
        cells = [shown(found["shares"][part] * _cpu(found)) for found in profiles.values()]
        rows.append(_row([part, *cells]))
    rows.append(_row(["together", *(shown(_cpu(found)) for found in profiles.values())]))
    return "\n".join(rows)


def _cpu(profile: Mapping[str, Any]) -> float:
    value: float = profile["figures"][0]["medians"]["Tenantry"]
    return value


def _plans(file: str, _about: str | None) -> str:
    by_read = next(iter(_found(file)["plans"].values()))
    return "\n\n".join(
        f"{read}:\n\n" + "\n\n".join(f"```\n{plan}\n```" for plan in plans)
        for read, plans in by_read.items()
    )


def _run(file: str, _about: str | None) -> str:
    found = _found(file)
    return (
        f"Measured {found['at']} in {found['seconds']} s, on {found['machine']['cpus']} processors "
        f"with Python {found['python']}."
    )


KINDS: dict[str, Callable[[Any, str | None], str]] = {
    "tables": _tables,
    "shares": _shares,
    "plans": _plans,
    "run": _run,
}
