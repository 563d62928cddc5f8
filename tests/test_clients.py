"""`make clients`: the TypeScript client, checked by tsc and used against a real server."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tenantry.testing import PASSWORD, Api
from tests.authenticators import with_app
from tests.conftest import needs
from tests.processes import tenantry

ROOT = Path(__file__).parent.parent
BUILT = ROOT / "build/clients/typescript"  # kept, so that npm installs once

# What the snippets of docs/clients.md take for granted.
GIVEN = """
declare const email: string, password: string, lastSeq: number;
declare function show(...said: unknown[]): void;
declare function mark(fields: { field: string; message: string }[]): void;
declare function askForProof(methods: string[]): void;
declare function greet(name: string): void;
declare function offerUpgrade(): void;
declare function reload(): void;
"""


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client made as `make clients` does, and the program that uses it."""
    document = tmp_path_factory.mktemp("openapi") / "openapi.json"
    assert tenantry("openapi", str(document), cwd=document.parent).returncode == 0
    run([str(ROOT / "clients/typescript/generate.sh"), str(document)])
    (BUILT / "tests/snippets.ts").write_text(snippets())
    run(["npx", "--no-install", "tsc", "--project", "tests"], cwd=BUILT)
    return BUILT / "dist-tests/journey.js"


def snippets() -> str:
    """The page's TypeScript as one program: what it declares, and blocks of what it does."""
    parts = re.findall(r"```ts\n(.*?)```", (ROOT / "docs/clients.md").read_text(), re.DOTALL)
    assert len(parts) >= 5
    declared = ("import", "function")
    return GIVEN + "\n".join(
        part if part.startswith(declared) else f"{{\n{part}}}\n" for part in parts
    )


def run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs("node", "npm")
async def test_a_front_end_has_types_for_everything_it_does(api: Api, journey: Path) -> None:
    account = await api.register()
    _, codes = await with_app(account)
    node = shutil.which("node")
    assert node
    process = await asyncio.create_subprocess_exec(
        *(node, "--experimental-websocket", str(journey)),
        *(api.url, account.user["email"], PASSWORD, codes[0]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
