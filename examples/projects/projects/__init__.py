"""A small project tracker: projects, tasks with an assignee, comments that arrive live."""

from datetime import datetime
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid4

import asyncpg
import msgspec
from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tenantry import (
    Event,
    Feature,
    Input,
    Message,
    Name,
    NotFound,
    Reply,
    Role,
    Router,
    Tenant,
    allowed,
    any_member,
    row_of,
)

PROJECTS = "SELECT id, name, created_at FROM projects ORDER BY created_at"
COUNT_PROJECTS = "SELECT count(*) FROM projects"
CREATE_PROJECT = """
INSERT INTO projects (organisation_id, id, name) VALUES ($1, $2, $3)
RETURNING id, name, created_at
"""
TASKS = """
SELECT tasks.id, tasks.title, tasks.assignee_id, users.name AS assignee, tasks.done
  FROM tasks
  LEFT JOIN users ON users.id = tasks.assignee_id
 WHERE tasks.organisation_id = $1 AND tasks.project_id = $2
 ORDER BY tasks.created_at
"""
CREATE_TASK = """
INSERT INTO tasks (organisation_id, id, project_id, title, assignee_id)
SELECT $1, $2, $3, $4, $5
 WHERE $5::uuid IS NULL
    OR EXISTS (SELECT FROM memberships
                WHERE organisation_id = $1 AND user_id = $5 AND removed_at IS NULL)
RETURNING id
"""
FINISH_TASK = """
UPDATE tasks SET done = true WHERE organisation_id = $1 AND id = $2 AND NOT done RETURNING title
"""
COMMENT = """
INSERT INTO comments (organisation_id, id, task_id, author_id, text) VALUES ($1, $2, $3, $4, $5)
"""


class ProjectCreated(Event):
    type: ClassVar[str] = "PROJECT_CREATED"

    project_id: UUID
    name: str


class TaskCreated(Event):
    type: ClassVar[str] = "TASK_CREATED"

    task_id: UUID
    project_id: UUID
    title: str
    assignee_id: UUID | None


class TaskDone(Event):
    type: ClassVar[str] = "TASK_DONE"

    task_id: UUID


class CommentWritten(Event):
    type: ClassVar[str] = "COMMENT_WRITTEN"

    task_id: UUID
    text: str


class ProjectUnknown(NotFound):
    code, message = "PROJECT_UNKNOWN", "There is no such project"


class TaskUnknown(NotFound):
    code, message = "TASK_UNKNOWN", "There is no such task, or it is done"


class AssigneeUnknown(NotFound):
    code, message = "ASSIGNEE_UNKNOWN", "There is no such member to do it"


class ProjectInput(Input):
    name: Name


class TaskInput(Input):
    title: Name
    assignee_id: UUID | None = None


class CommentInput(Input):
    text: Message


class Project(msgspec.Struct, frozen=True, rename="camel"):
    id: UUID
    name: str
    created_at: datetime


class Task(msgspec.Struct, frozen=True, rename="camel"):
    """`assignee` is their name."""

    id: UUID
    title: str
    assignee_id: UUID | None
    assignee: str | None
    done: bool


class Comment(msgspec.Struct, frozen=True):
    id: UUID
    text: str


@get("/", guards=[any_member], summary="The projects", operation_id="listProjects")
async def list_projects(tenant: NamedDependency[Tenant]) -> Reply[list[Project]]:
    """All of the organisation's: the statement needs no WHERE."""
    return Reply("Projects fetched", await tenant.fetch(row_of(Project), PROJECTS))


@post(
    "/",
    guards=[allowed("projects:manage")],
    summary="Begin a project",
    operation_id="createProject",
)
async def create_project(
    data: JSONBody[ProjectInput], tenant: NamedDependency[Tenant]
) -> Reply[Project]:
    """One more, where the plan allows it. Sends PROJECT_CREATED."""
    async with tenant.transaction():
        await tenant.require("projects", used=tenant.value(COUNT_PROJECTS))
        project = await tenant.fetch_one(
            row_of(Project), CREATE_PROJECT, tenant.organisation_id, uuid4(), data.name
        )
        assert project is not None
        await tenant.record(
            ProjectCreated(project.id, project.name), f"The project {project.name} began"
        )
    return Reply("Project created", project)


@get(
    "/{project_id:uuid}/tasks",
    guards=[any_member],
    summary="A project's tasks",
    operation_id="listTasks",
)
async def list_tasks(
    project_id: FromPath[UUID], tenant: NamedDependency[Tenant]
) -> Reply[list[Task]]:
    """In the order in which they were made."""
    tasks = await tenant.fetch(row_of(Task), TASKS, tenant.organisation_id, project_id)
    return Reply("Tasks fetched", tasks)


@post(
    "/{project_id:uuid}/tasks",
    guards=[allowed("projects:write")],
    answers=(ProjectUnknown, AssigneeUnknown),
    summary="Add a task",
    operation_id="createTask",
)
async def create_task(
    project_id: FromPath[UUID], data: JSONBody[TaskInput], tenant: NamedDependency[Tenant]
) -> Reply[Task]:
    """For a member of the organisation, or nobody yet. Sends TASK_CREATED."""
    task = Task(uuid4(), data.title, data.assignee_id, None, done=False)
    values = (tenant.organisation_id, task.id, project_id, task.title, task.assignee_id)
    try:
        async with tenant.transaction():
            if await tenant.value(CREATE_TASK, *values) is None:
                raise AssigneeUnknown
            await tenant.record(
                TaskCreated(task.id, project_id, task.title, task.assignee_id),
                f"{task.title} is to be done",
                target=task.assignee_id,
            )
    except asyncpg.ForeignKeyViolationError:  # the key carries the organisation
        raise ProjectUnknown from None
    return Reply("Task created", task)


@patch(
    "/tasks/{task_id:uuid}/done",
    guards=[allowed("projects:write")],
    answers=(TaskUnknown,),
    summary="Finish a task",
    operation_id="finishTask",
)
async def finish_task(task_id: FromPath[UUID], tenant: NamedDependency[Tenant]) -> Reply[None]:
    """Sends TASK_DONE."""
    async with tenant.transaction():
        title = await tenant.value(FINISH_TASK, tenant.organisation_id, task_id)
        if title is None:
            raise TaskUnknown
        await tenant.record(TaskDone(task_id), f"{title} is done")
    return Reply("Task done", None)


@post(
    "/tasks/{task_id:uuid}/comments",
    guards=[allowed("projects:write")],
    answers=(TaskUnknown,),
    summary="Comment on a task",
    operation_id="writeComment",
)
async def write_comment(
    task_id: FromPath[UUID], data: JSONBody[CommentInput], tenant: NamedDependency[Tenant]
) -> Reply[Comment]:
    """It arrives live, as COMMENT_WRITTEN, wherever somebody of the organisation is connected."""
    comment = Comment(uuid4(), data.text)
    try:
        async with tenant.transaction():
            await tenant.execute(
                COMMENT, tenant.organisation_id, comment.id, task_id, tenant.user_id, comment.text
            )
            await tenant.record(CommentWritten(task_id, comment.text), comment.text)
    except asyncpg.ForeignKeyViolationError:
        raise TaskUnknown from None
    return Reply("Comment written", comment)


feature = Feature(
    name="projects",
    routes=[
        Router(
            "/api/projects",
            route_handlers=[
                list_projects,
                create_project,
                list_tasks,
                create_task,
                finish_task,
                write_comment,
            ],
            tags=["Projects"],
        )
    ],
    events=[ProjectCreated, TaskCreated, TaskDone, CommentWritten],
    permissions={"projects:manage": Role.ADMIN, "projects:write": Role.MEMBER},
    entitlements=["projects"],
    migrations=Path(__file__).parent / "migrations",
)
