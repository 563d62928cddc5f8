"""`assert_isolated` finds what is written wrongly, and says what to write instead."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tenantry import Feature, Input, Name, NotFound, Reply, Router, Tenant, any_member, row_of
from tenantry.db import schema
from tenantry.testing import (
    Account,
    Installation,
    IsolationError,
    assert_isolated,
    make_settings,
    ok,
)
from tenantry.testing.databases import clone
from tenantry.testing.servers import REFRESH_SECRET, installed

NOTHING_SHOWN = (
    "has no row of an organisation that was populated, so nothing shows that it is protected"
)
BY_TENANT = "read and write by the handler's `tenant`"


def table(name: str, more: str = "", *, forced: bool = True) -> str:
    statements = f"""
        CREATE TABLE {name} (
            organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
            id              uuid NOT NULL UNIQUE,
            text            text NOT NULL,
            {more}
            PRIMARY KEY (organisation_id, id));
        GRANT SELECT, INSERT, DELETE ON {name} TO tenantry_runtime;"""
    policy = f"""
        ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY isolation ON {name}
            USING (organisation_id = (SELECT tenantry.current_organisation()));"""
    return statements + (policy if forced else "")


RIGHT = table("notes")
WRONG = [
    RIGHT,
    table("drafts", forced=False),
    table("stamps") + "CREATE POLICY more ON stamps FOR INSERT WITH CHECK (true);",
    table("comments", "note_id uuid NOT NULL REFERENCES notes (id),"),
    table(
        "replies", "note_id uuid NOT NULL, FOREIGN KEY (organisation_id, note_id) REFERENCES notes,"
    ),
]


class TextInput(Input):
    text: Name


class AboutInput(Input):
    note_id: UUID


class OddInput(Input):
    note_id: UUID
    colour: str

    def __post_init__(self) -> None:
        if self.colour != "mauve":
            raise ValueError("must be mauve")


class Note(msgspec.Struct, frozen=True):
    id: UUID
    text: str


class About(msgspec.Struct, frozen=True, rename="camel"):
    note_id: UUID


def write_into(name: str) -> Any:
    insert = f"INSERT INTO {name} (organisation_id, id, text) VALUES ($1, $2, $3)"

    @post(f"/{name}", guards=[any_member], summary="Write", operation_id=f"write-{name}")
    async def write(data: JSONBody[TextInput], tenant: NamedDependency[Tenant]) -> Reply[Note]:
        """A text."""
        note = Note(uuid4(), data.text)
        await tenant.execute(insert, tenant.organisation_id, note.id, note.text)
        return Reply("Written", note)

    return write


def write_about_note(name: str) -> Any:
    insert = f"INSERT INTO {name} (organisation_id, id, text, note_id) VALUES ($1, $2, '', $3)"

    @post(f"/{name}", guards=[any_member], summary="Write", operation_id=f"write-{name}")
    async def write(data: JSONBody[AboutInput], tenant: NamedDependency[Tenant]) -> Reply[About]:
        """About a note."""
        await tenant.execute(insert, tenant.organisation_id, uuid4(), data.note_id)
        return Reply("Written", About(data.note_id))

    return write


def read_from(name: str, **options: Any) -> Any:
    by_id = f"SELECT id, text FROM {name} WHERE id = $1"  # the policy does the rest

    @get(f"/{name}/{{note_id:uuid}}", guards=[any_member], **options)
    async def read(note_id: FromPath[UUID], tenant: NamedDependency[Tenant]) -> Reply[Note]:
        """A text."""
        note = await tenant.fetch_one(row_of(Note), by_id, note_id)
        if note is None:
            raise NotFound
        return Reply("Read", note)

    return read


def delete_from(name: str) -> Any:
    by_id = f"DELETE FROM {name} WHERE id = $1"

    @delete(f"/{name}/{{note_id:uuid}}", status_code=200, guards=[any_member], summary="Delete")
    async def remove(note_id: FromPath[UUID], tenant: NamedDependency[Tenant]) -> Reply[None]:
        """A text."""
        await tenant.execute(by_id, note_id)
        return Reply("Deleted", None)

    return remove


@get("/count", summary="Count")
async def count() -> Reply[int]:
    """Nobody guards it."""
    return Reply("Counted", 0)


remembered: list[str] = []


@get("/last", guards=[any_member], summary="The last")
async def last(tenant: NamedDependency[Tenant]) -> Reply[list[str]]:
    """It keeps in the process what the database gave to one organisation."""
    notes = await tenant.fetch(row_of(Note), "SELECT id, text FROM notes")
    remembered.extend(note.text for note in notes)
    return Reply("Notes fetched", remembered)


@post("/odd", guards=[any_member], summary="Odd", operation_id="oddNote")
async def odd(data: JSONBody[OddInput], tenant: NamedDependency[Tenant]) -> Reply[str]:
    """Its body is one that nobody would guess."""
    text = await tenant.value("SELECT text FROM notes WHERE id = $1", data.note_id)
    return Reply("Read", str(text))


@asynccontextmanager
async def app_with(
    cluster: str, template: str, tables: str, routes: Sequence[Any]
) -> AsyncIterator[Installation]:
    """The app with these tables and routes beside the core's."""
    async with clone(cluster, template) as owner_url:
        logins = await schema.prepare(owner_url, secret=REFRESH_SECRET, say=lambda _: None)
        owner = await asyncpg.connect(owner_url)
        runtime = await asyncpg.connect(logins.runtime)
        await owner.execute(tables)
        feature = Feature(name="notes", routes=[Router("/api/notes", route_handlers=[*routes])])
        async with installed(make_settings(logins.runtime), [feature], owner, runtime) as app:
            yield app
        await owner.close()
        await runtime.close()


async def populate_notes(account: Account) -> str:
    text = f"a note of {account.organisation['name']}"
    return str(ok(await account.post("/api/notes/notes", text=text), 201)["id"])


async def populate_all(account: Account) -> None:
    note = await populate_notes(account)
    for name in ("drafts", "stamps"):
        ok(await account.post(f"/api/notes/{name}", text=account.organisation["name"]), 201)
    for name in ("comments", "replies"):
        ok(await account.post(f"/api/notes/{name}", noteId=note), 201)


EXPECTED = (
    (
        "public.drafts",
        "a SELECT without a WHERE, in one organisation, reads rows of others",
        "ALTER TABLE public.drafts ENABLE ROW LEVEL SECURITY",
    ),
    (
        "GET /api/notes/drafts/{note_id}",  # which the document does not show
        "answered 200 with another organisation's data: public.drafts.id",
        BY_TENANT,
    ),
    (
        "DELETE /api/notes/drafts/{note_id}",
        "changed another organisation's rows in public.drafts",
        BY_TENANT,
    ),
    (
        "public.stamps",
        "an INSERT writes rows into another organisation",
        "drop every other permissive policy",
    ),
    (
        "public.comments",
        "the foreign key comments_note_id_fkey to notes lacks the organisation",
        "FOREIGN KEY (organisation_id, note_id) REFERENCES notes (organisation_id, id)",
    ),
    (
        "POST /api/notes/comments",
        "answered 201 with another organisation's data: public.notes.id",
        BY_TENANT,
    ),
    (
        "POST /api/notes/replies",
        "answered 500 to another organisation's ids",
        "such as asyncpg.ForeignKeyViolationError",
    ),
    (
        "GET /api/notes/count",
        "has neither a guard nor a reason to be public",
        "say guards=[any_member]",
    ),
    (
        "GET /api/notes/last",
        "answered 200 with another organisation's data: public.notes.text",
        BY_TENANT,
    ),
)


async def test_names_what_is_wrong_and_its_mend_and_nothing_else(
    cluster: str, template: str
) -> None:
    """One app with one thing wrong of each kind."""
    routes = [
        *map(write_into, ("notes", "drafts", "stamps")),
        *map(write_about_note, ("comments", "replies")),
        read_from("notes", summary="Read"),
        read_from("drafts", include_in_schema=False),
        delete_from("notes"),
        delete_from("drafts"),
        count,
        last,
    ]
    async with app_with(cluster, template, "".join(WRONG), routes) as app:
        with pytest.raises(IsolationError) as error:
            await assert_isolated(app, populate_all)
    faults = error.value.faults
    assert {fault.what for fault in faults} == {what for what, _, _ in EXPECTED}
    for what, problem, mend in EXPECTED:
        assert [
            fault
            for fault in faults
            if fault.what == what and problem in fault.problem and mend in fault.mend
        ], f"{what} in {error.value}"
    for fault in faults:
        assert f"- {fault.what}: {fault.problem}.\n  Mend: {fault.mend[:30]}" in str(error.value)


async def test_passes_what_is_right_and_only_what_it_could_attack(
    cluster: str, template: str
) -> None:
    routes = [write_into("notes"), read_from("notes"), delete_from("notes"), odd]
    async with app_with(cluster, template, RIGHT, routes) as app:
        with pytest.raises(IsolationError) as error:
            await assert_isolated(app)
        assert [(fault.what, fault.problem) for fault in error.value.faults] == [
            (
                "public.notes",
                NOTHING_SHOWN,
            ),
            (
                "POST /api/notes/odd",
                "refused every made-up request as not valid, so it was not attacked",
            ),
        ]
        assert 'assert_isolated(…, bodies={"oddNote": {…}})' in str(error.value)
        await assert_isolated(app, populate_notes, bodies={"oddNote": {"colour": "mauve"}})
