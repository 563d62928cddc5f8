"""The project tracker, as its users see it."""

import asyncio
from typing import Any
from uuid import uuid4

from tenantry.testing import (
    Account,
    Installation,
    Organisation,
    Populate,
    assert_isolated,
    ok,
    refused,
)


async def project_of(account: Account, name: str = "Difference Engine") -> dict[str, Any]:
    made: dict[str, Any] = ok(await account.post("/api/projects", name=name), 201)
    return made


class TestProjects:
    async def test_are_begun_by_admins_and_seen_by_all(self, organisation: Organisation) -> None:
        project = await project_of(organisation.admin)
        refused(await organisation.member.post("/api/projects", name="Mine"), 403)
        assert ok(await organisation.member.get("/api/projects")) == [project]

    async def test_are_limited_by_the_plan_however_many_ask_at_once(self, api: Any) -> None:
        owner = await api.register()
        answers = await asyncio.gather(
            *[owner.post("/api/projects", name=f"Project {number}") for number in range(8)]
        )
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 5
        refused(
            await owner.post("/api/projects", name="One more"),
            403,
            "The FREE plan allows 3 projects, and there are 3. Please upgrade.",
        )


class TestTasks:
    async def test_have_an_assignee_of_the_same_organisation(
        self, organisation: Organisation, other_organisation: Organisation
    ) -> None:
        project = await project_of(organisation.owner)
        path = f"/api/projects/{project['id']}/tasks"
        ours, theirs = organisation.member.id, other_organisation.member.id
        ok(await organisation.member.post(path, title="Turn the crank", assigneeId=ours), 201)
        for stranger in (theirs, str(uuid4())):
            answer = await organisation.member.post(path, title="Spy", assigneeId=stranger)
            refused(answer, 404, code="ASSIGNEE_UNKNOWN")
        [task] = ok(await organisation.owner.get(path))
        assert (task["title"], task["assigneeId"], task["done"]) == ("Turn the crank", ours, False)

    async def test_belong_to_a_project_of_the_same_organisation(
        self, organisation: Organisation, other_organisation: Organisation
    ) -> None:
        project = await project_of(other_organisation.owner)
        path = f"/api/projects/{project['id']}/tasks"
        refused(await organisation.owner.post(path, title="Spy"), 404, code="PROJECT_UNKNOWN")
        assert ok(await organisation.owner.get(path)) == []

    async def test_are_done_once(self, organisation: Organisation) -> None:
        project = await project_of(organisation.owner)
        path = f"/api/projects/{project['id']}/tasks"
        task = ok(await organisation.owner.post(path, title="Turn the crank"), 201)
        done = f"/api/projects/tasks/{task['id']}/done"
        answers = await asyncio.gather(*[organisation.member.patch(done) for _ in range(5)])
        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 4


class TestComments:
    async def test_arrive_live(self, organisation: Organisation) -> None:
        project = await project_of(organisation.owner)
        path = f"/api/projects/{project['id']}/tasks"
        task = ok(await organisation.owner.post(path, title="Turn the crank"), 201)
        async with organisation.member.socket() as socket:
            comments = f"/api/projects/tasks/{task['id']}/comments"
            ok(await organisation.custom.post(comments, text="It turns!"), 201)
            event = await socket.next()
        assert (event["type"], event["payload"]) == (
            "COMMENT_WRITTEN",
            {"taskId": task["id"], "text": "It turns!"},
        )


async def test_no_organisation_reaches_into_another(
    installation: Installation, populate: Populate
) -> None:
    await assert_isolated(installation, populate)
