"""tenantry new"""

import keyword
import re
import sys
from pathlib import Path

import rich_click as click

from tenantry import __version__
from tenantry.cli.console import err, out

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 27  # as a feature's name can have

# Where each template goes; {name} is the name that was chosen.
FEATURE = {
    "feature/__init__.py.txt": "{name}/__init__.py",
    "feature/migration.py.txt": "{name}/migrations/0001_{name}.py",
}
FEATURE_TEST = "feature/test.py.txt"
APP = {
    "app/pyproject.toml.txt": "pyproject.toml",
    "app/Makefile.txt": "Makefile",
    "app/Dockerfile.txt": "Dockerfile",
    "app/compose.yaml.txt": "compose.yaml",
    "app/gitignore.txt": ".gitignore",
    "app/README.md.txt": "README.md",
    "app/plans.toml.txt": "plans.toml",
    "app/conftest.py.txt": "tests/conftest.py",
    "app/test_isolation.py.txt": "tests/test_isolation.py",
}


def name_of(_: click.Context, __: click.Parameter, value: str) -> str:
    """A name that can be a package, a table and a path."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value) or keyword.iskeyword(value):
        raise click.BadParameter("use small letters, digits and _, a letter first, as in projects")
    if len(value) > LONGEST:
        raise click.BadParameter(f"use at most {LONGEST} characters")
    return value


@click.group("new")
def command() -> None:
    """Write the beginning of something of your own."""


@command.command("feature")
@click.argument("name", callback=name_of)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder that the package goes into.  [.]",
)
def feature(name: str, into: Path) -> None:
    """Write a feature that works: a table, its routes and events, its migration and test.

    NAME is a plural, such as projects: it is the package, the table and the path /api/NAME.
    """
    tests = into / "tests" if into.name != "src" else into.parent / "tests"
    files = {into / target.format(name=name): source for source, target in FEATURE.items()}
    write({**files, tests / f"test_{name}.py": FEATURE_TEST}, name)
    out.print(
        f"\nNow say in pyproject.toml that it is there, and install it again:\n\n"
        f'    \\[project.entry-points."tenantry.features"]\n    {name} = "{name}:feature"\n'
    )


@command.command("app")
@click.argument("name", callback=name_of)
def app(name: str) -> None:
    """Write a project that is built on Tenantry, with an example feature, tests and a Makefile."""
    root = Path(name)
    if root.exists():
        err.print(f"[bold red]✗[/] {root} is there already; choose another name.")
        sys.exit(1)
    write({root / target: source for source, target in APP.items()}, name)
    package = root / "src" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f'"""{_title(name)}."""\n')
    write(
        {package / target.format(name="notes"): source for source, target in FEATURE.items()},
        "notes",
    )
    write({root / "tests" / "test_notes.py": FEATURE_TEST}, "notes")
    out.print(f"\nNow: cd {name} && make run\n")


def write(files: dict[Path, str], name: str) -> None:
    """Write the files from their templates; none, where one of them is there already."""
    there = [str(file) for file in files if file.exists()]
    if there:
        err.print(f"[bold red]✗[/] {' and '.join(there)} is there already; nothing was written.")
        sys.exit(1)
    singular = name.removesuffix("s")
    values = {
        "@name@": name,
        "@NAME@": singular.upper(),
        "@Class@": "".join(word.capitalize() for word in singular.split("_")),
        "@Title@": _title(name),
        "@version@": __version__,
    }
    for file, source in files.items():
        text = (TEMPLATES / source).read_text()
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        out.print(f"[bold green]+[/] {file}")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
