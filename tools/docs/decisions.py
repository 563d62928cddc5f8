"""The list of decisions, from their files."""

from tools.docs.links import DOCS

INTRODUCTION = """# Decisions

Choices that will be asked about: each with its question, what was chosen, what was not, and what it
costs.
"""


def page() -> str:
    lines = []
    for file in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        title = file.read_text().partition("\n")[0].removeprefix("# ")
        number, _, sentence = title.partition(". ")
        lines.append(f"{number}. [{sentence}]({file.name})")
    return "\n".join([INTRODUCTION, *lines, ""])
