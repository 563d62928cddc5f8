"""The worked example and its tutorial; what `tenantry new` writes. All of it is run."""

import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from tests.processes import tenantry

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "projects"


def pytest_in(folder: Path, python: Path | str = sys.executable) -> None:
    run = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout


def test_the_example_passes_its_own_tests() -> None:
    pytest_in(EXAMPLE)


def snippets() -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("language", "snippet"), snippets())
def test_the_tutorial_shows_what_the_example_runs(language: str, snippet: str) -> None:
    if language == "sh":
        for words in (line.split() for line in snippet.splitlines()):
            assert (ROOT / words[-1]).exists() or words[-1] == "serve"
        return
    files = [file for file in EXAMPLE.rglob("*") if file.suffix in (".py", ".toml")]
    assert any(snippet.strip("\n") in file.read_text() for file in files), snippet


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that `tenantry new app` wrote, with another feature in it."""
    run = tenantry("new", "app", "acme", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "acme"
    run = tenantry("new", "feature", "invoices", "--into", "src", cwd=folder)
    assert run.returncode == 0, run.stderr
    return folder


def test_a_new_app_and_a_new_feature_work(project: Path, tmp_path: Path) -> None:
    pyproject = project / "pyproject.toml"
    added = pyproject.read_text().replace(
        'notes = "acme.notes:feature"',
        'notes = "acme.notes:feature"\ninvoices = "invoices:feature"',
    )
    pyproject.write_text(
        added.replace('packages = ["src/acme"]', 'packages = ["src/acme", "src/invoices"]')
    )
    isolation = project / "tests" / "test_isolation.py"
    isolation.write_text(
        isolation.read_text().replace(
            '    ok(await account.post("/api/notes", name="Secret"), 201)\n',
            '    ok(await account.post("/api/notes", name="Secret"), 201)\n'
            '    ok(await account.post("/api/invoices", name="Secret"), 201)\n',
        )
    )
    # An environment of its own that also has everything of this one.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [site] = (tmp_path / "venv").glob("lib/python*/site-packages")
    site.joinpath("here.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    python = tmp_path / "venv" / "bin" / "python"
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    install: list[str | Path] = [python, "-m", "pip", "install", *options, "--editable", project]
    subprocess.run(install, check=True, capture_output=True, text=True)
    pytest_in(project, python)


def test_new_writes_what_python_and_toml_can_read(project: Path) -> None:
    for file in project.rglob("*.py"):
        compile(file.read_text(), file, "exec")
        assert "@name@" not in file.read_text()
    for file in project.glob("*.toml"):
        tomllib.loads(file.read_text())


@pytest.mark.parametrize("name", ["Acme", "1st", "my-app", "class", "x" * 28, "../evil"])
def test_new_refuses_names_that_would_not_work(tmp_path: Path, name: str) -> None:
    run = tenantry("new", "app", "--", name, cwd=tmp_path)
    assert run.returncode == 2
    assert "Invalid value for 'NAME'" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_new_overwrites_nothing(project: Path) -> None:
    before = {file: file.read_text() for file in project.rglob("*") if file.is_file()}
    run = tenantry("new", "feature", "invoices", "--into", "src", cwd=project)
    assert run.returncode == 1
    assert "nothing was written" in run.stderr
    run = tenantry("new", "app", "acme", cwd=project.parent)
    assert run.returncode == 1
    assert "is there already" in run.stderr
    assert {file: file.read_text() for file in project.rglob("*") if file.is_file()} == before
