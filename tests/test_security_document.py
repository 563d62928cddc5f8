"""docs/security.md: it leaves no requirement out, and the tests that it names are there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
DOCUMENT = (TESTS.parent / "docs" / "security.md").read_text()

# OWASP ASVS 5.0, section V3.3 and chapters V6 to V8: how far the numbers of levels 1 and 2 go in
# each section, and those in between that are of level 3.
LAST = {
    "3.3": 4,
    "6.1": 3,
    "6.2": 12,
    "6.3": 4,
    "6.4": 4,
    "6.5": 5,
    "6.6": 3,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 2,
    "7.6": 2,
    "8.1": 2,
    "8.2": 3,
    "8.3": 1,
    "8.4": 1,
}
REQUIREMENTS = {
    f"{section}.{number + 1}" for section, last in LAST.items() for number in range(last)
}


def names() -> Iterator[str]:
    """Every test, as `test_x.py::TestClass::test_name`, and every class of them."""
    for path in TESTS.glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    yield f"{path.name}::{name}"
                case ast.ClassDef(name=name):
                    for inner in node.body:
                        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                            yield f"{path.name}::{name}::{inner.name}"
                case _:
                    pass


def test_names_tests_that_are_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py(?:::\w+)+)`", DOCUMENT))
    assert len(named) > 50
    assert named - set(names()) == set()


def test_answers_every_requirement_of_levels_1_and_2_once() -> None:
    answered = re.findall(
        r"^- \*\*(\d\.\d\.\d+)\*\* \(L[12]\) (?:met|met in part|not met|not applicable)\. ",
        DOCUMENT,
        re.MULTILINE,
    )
    assert len(REQUIREMENTS) == 64
    assert sorted(answered) == sorted(REQUIREMENTS)


def test_names_a_test_where_it_says_that_one_is_met_by_code() -> None:
    """Without one are what only this document can meet, and what there is no code for."""
    entries = re.findall(
        r"^- \*\*(\d\.\d\.\d+)\*\* \(L[12]\) (met|met in part)\.((?:.*\n)+?)(?=\n|- )",
        DOCUMENT + "\n",
        re.MULTILINE,
    )
    without = {number for number, _, text in entries if "`test_" not in text}
    assert without == {"6.1.3", "6.2.10", "6.4.2", "7.1.1", "8.1.1", "8.1.2"}
