"""schemathesis, with all its checks, against the whole OpenAPI document and a real server."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tenantry.testing import registration
from tests.conftest import UNLIMITED
from tests.processes import serving

CONFIG = Path(__file__).with_name("schemathesis.toml")


# They end the session that the rest needs, so each runs alone.
ENDING = ["logout", "logoutAll", "endSession"]
ENDLESS = ["listen"]


@pytest.mark.parametrize(
    "selection",
    [
        [f"--exclude-operation-id={name}" for name in (*ENDING, *ENDLESS)],
        *[[f"--include-operation-id={name}"] for name in ENDING],
    ],
)
def test_every_answer_is_as_the_document_says(
    runtime_url: str, tmp_path: Path, selection: list[str]
) -> None:
    with serving(environment={"DATABASE_URL": runtime_url, **UNLIMITED}, cwd=tmp_path) as server:
        answer = httpx.post(f"{server.url}/api/auth/register", json=registration())
        token = answer.json()["data"]["accessToken"]
        run = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                f"--config-file={CONFIG}",
                "run",
                f"{server.url}/docs/spec",
                "--checks=all",
                f"--header=Authorization: Bearer {token}",
                *selection,
                "--max-examples=40",
                "--generation-deterministic",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-8000:]
        assert '"status":500' not in server.stop()
