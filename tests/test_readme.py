"""The README's first requests, word for word."""

import re
import subprocess
from pathlib import Path

from tests.conftest import UNLIMITED
from tests.processes import serving

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_first_five_requests_answer_what_it_says(runtime_url: str, tmp_path: Path) -> None:
    script = next(
        block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "api=" in block
    )
    expected = re.findall(r'^# (\{"message":"[^"]+")', script, re.MULTILINE)
    assert len(expected) == 5
    with serving(environment={"DATABASE_URL": runtime_url, **UNLIMITED}, cwd=tmp_path) as server:
        script = script.replace("http://localhost:3000", server.url)
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    position = 0
    for beginning in expected:
        position = run.stdout.index(beginning, position) + 1
    assert '"nextCursor":4' in run.stdout
