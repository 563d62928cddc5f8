"""The fixtures of tenantry.testing, with this feature and its plans."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from projects import feature

from tenantry import Feature
from tenantry.testing import Account, ok

pytest_plugins = ["tenantry.testing"]


@pytest.fixture(scope="session")
def features() -> Sequence[Feature]:
    return [feature]


@pytest.fixture(scope="session")
def app_settings() -> dict[str, Any]:
    return {"plans": Path(__file__).parents[1] / "plans.toml"}


@pytest.fixture(scope="session")
def populate() -> Any:
    """A row in each table, so that the attack has something to reach for."""

    async def rows(account: Account) -> None:
        project = ok(await account.post("/api/projects", name="Secret project"), 201)
        task = ok(
            await account.post(
                f"/api/projects/{project['id']}/tasks",
                title="Secret task",
                assigneeId=account.id,
            ),
            201,
        )
        path = f"/api/projects/tasks/{task['id']}/comments"
        ok(await account.post(path, text="Secret comment"), 201)

    return rows
