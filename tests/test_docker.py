"""The image and the composition, checked without an engine."""

import json
import re
import shlex
import subprocess
import venv
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tenantry.settings import COMPOSE_VARIABLES, load, variables
from tests.processes import running

ROOT = Path(__file__).parent.parent
KNOWN = {field.metadata["name"] for field in variables()} | set(COMPOSE_VARIABLES)


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: (name, arguments)."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return document


class TestImage:
    def test_copies_only_what_is_there_and_let_through(
        self, dockerfile: list[tuple[str, str]]
    ) -> None:
        let_through = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
        sources = [
            source
            for name, arguments in dockerfile
            if name == "COPY" and "--from" not in arguments
            for source in shlex.split(arguments)[:-1]
        ]
        assert sources
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source in let_through, source

    def test_has_two_stages_and_ends_as_nobody_special(
        self, dockerfile: list[tuple[str, str]]
    ) -> None:
        names = [name for name, _ in dockerfile]
        assert names.count("FROM") == 2
        users = [arguments for name, arguments in dockerfile if name == "USER"]
        assert users == ["tenantry"]
        assert names.index("USER") < names.index("ENTRYPOINT")

    def test_sets_only_settings(self, dockerfile: list[tuple[str, str]]) -> None:
        environment = " ".join(arguments for name, arguments in dockerfile if name == "ENV")
        names = set(re.findall(r"(\w+)=", environment))
        assert names - {"PATH", "PYTHONUNBUFFERED"} <= KNOWN

    def test_starts_in_an_environment_that_has_the_servers_lock_only(
        self, dockerfile: list[tuple[str, str]], owner_url: str, tmp_path: Path
    ) -> None:
        """The image's own steps: the lock by hashes, then the package, then its command."""
        venv.create(tmp_path / "venv", with_pip=True)
        python = tmp_path / "venv" / "bin" / "python"
        steps = [
            arguments for name, arguments in dockerfile if name == "RUN" and "pip" in arguments
        ]
        assert len(steps) == 2
        for step in steps:
            _, *arguments = shlex.split(step)
            subprocess.run(
                [python, "-m", "pip", *arguments, "--quiet"], cwd=ROOT, check=True, timeout=300
            )
        entry = {
            name: json.loads(text) for name, text in dockerfile if name in ("ENTRYPOINT", "CMD")
        }
        command = [*entry["ENTRYPOINT"], *entry["CMD"], "--port", "0"]
        command[command.index("0.0.0.0")] = "127.0.0.1"
        program = str(tmp_path / "venv" / "bin" / command[0])
        environment = {"DATABASE_URL": owner_url, "TENANTRY_DATA": str(tmp_path / "data")}
        with running([program, *command[1:]], environment, tmp_path) as server:
            answer = httpx.get(f"{server.url}/ready")
        assert answer.status_code == 200


class TestComposition:
    def test_uses_only_settings(self, compose: dict[str, Any]) -> None:
        text = (ROOT / "compose.yaml").read_text()
        assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) <= KNOWN
        assert set(compose["services"]["tenantry"]["environment"]) <= KNOWN
        assert compose["services"]["tenantry"]["env_file"] == ".env"

    def test_waits_for_postgresql_18(self, compose: dict[str, Any]) -> None:
        postgres, tenantry = (compose["services"][name] for name in ("postgres", "tenantry"))
        assert postgres["image"] == "postgres:18"
        assert postgres["healthcheck"]["test"]
        assert tenantry["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        declared = {volume.split(":")[0] for s in (postgres, tenantry) for volume in s["volumes"]}
        assert declared == set(compose["volumes"])

    def test_publishes_to_this_machine_only(self, compose: dict[str, Any]) -> None:
        assert compose["services"]["tenantry"]["ports"] == ["127.0.0.1:${PORT:-3000}:3000"]

    def test_starts_from_the_example_as_it_is(self) -> None:
        lines = (ROOT / ".env.example").read_text().splitlines()
        pairs = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
        settings = load({name: pairs[name] for name in pairs if name not in COMPOSE_VARIABLES})
        assert not settings.production, "development makes the secrets that the example lacks"
        assert set(COMPOSE_VARIABLES) <= set(pairs)
