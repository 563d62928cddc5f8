"""A feature of one's own: what it is given without thinking of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
import pytest
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from uuid_utils.compat import uuid7

from tenantry import (
    Conflict,
    Event,
    Feature,
    Input,
    Reply,
    Role,
    Router,
    Settings,
    Tenant,
    allowed,
    any_member,
    row_of,
)
from tenantry.feature import product_of
from tenantry.tenancy.plans import PlansError
from tenantry.testing import Account, Api, Serve, ok, refused

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

TABLE = """
CREATE TABLE notes (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id              uuid NOT NULL,
    text            text NOT NULL,
    PRIMARY KEY (organisation_id, id)
);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON notes
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT, DELETE ON notes TO tenantry_runtime;
"""
PLANS = """
[FREE]
seats = 5
notes = 3
exports = "2/day"
[PRO]
seats = 10
notes = "unlimited"
exports = "unlimited"
custom_roles = true
[NONE]
seats = 10
notes = false
exports = 0
"""

COUNT = "SELECT count(*) FROM notes"  # the WHERE is forgotten on purpose
WRITE = "INSERT INTO notes (organisation_id, id, text) VALUES ($1, $2, $3)"


class NoteWritten(Event):
    type: ClassVar[str] = "NOTE_WRITTEN"

    note_id: UUID
    text: str


class NoteExists(Conflict):
    code, message = "NOTE_EXISTS", "There is such a note already; write another"


class NoteInput(Input):
    text: str


class Note(msgspec.Struct, frozen=True):
    id: UUID
    text: str


@get("/", guards=[any_member], summary="The notes", operation_id="listNotes")
async def list_notes(tenant: NamedDependency[Tenant]) -> Reply[list[Note]]:
    """All of them."""
    return Reply("Notes fetched", await tenant.fetch(row_of(Note), "SELECT id, text FROM notes"))


@post(
    "/",
    guards=[allowed("notes:write")],
    answers=(NoteExists,),
    summary="Write a note",
    operation_id="writeNote",
)
async def write_note(data: JSONBody[NoteInput], tenant: NamedDependency[Tenant]) -> Reply[Note]:
    """One more, where the plan allows it."""
    note = Note(uuid7(), data.text)
    async with tenant.transaction():
        await tenant.require("notes", used=tenant.value(COUNT))
        if await tenant.value("SELECT EXISTS (SELECT FROM notes WHERE text = $1)", note.text):
            raise NoteExists
        await tenant.execute(WRITE, tenant.organisation_id, note.id, note.text)
        await tenant.record(NoteWritten(note.id, note.text), f"{note.text} was written")
    return Reply("Note written", note)


@delete(
    "/",
    status_code=200,
    guards=[allowed("notes:purge")],
    summary="Throw the notes away",
    operation_id="purgeNotes",
)
async def purge_notes(tenant: NamedDependency[Tenant]) -> Reply[None]:
    """All of them."""
    await tenant.execute("DELETE FROM notes")
    return Reply("Notes gone", None)


@post("/export", guards=[any_member], summary="Export the notes", operation_id="exportNotes")
async def export_notes(tenant: NamedDependency[Tenant]) -> Reply[None]:
    """So many a day."""
    async with tenant.transaction():
        await tenant.use("exports")
    return Reply("Notes exported", None)


NOTES = Feature(
    name="notes",
    routes=[
        Router(
            "/api/notes",
            route_handlers=[list_notes, write_note, purge_notes, export_notes],
            tags=["Notes"],
        )
    ],
    events=[NoteWritten],
    permissions={"notes:write": Role.MEMBER, "notes:purge": Role.ADMIN},
    entitlements=["notes", "exports"],
)


@pytest.fixture
async def api(serve: Serve, owner: Db, tmp_path: Path) -> AsyncIterator[Api]:
    await owner.execute(TABLE)
    plans = tmp_path / "plans.toml"
    plans.write_text(PLANS)
    yield await serve(NOTES, plans=plans)


class TestTables:
    async def test_are_isolated_whatever_a_statement_forgets(self, api: Api) -> None:
        mine, theirs = await api.register(), await api.register()
        ok(await mine.post("/api/notes", text="mine"), 201)
        ok(await theirs.post("/api/notes", text="theirs"), 201)
        assert [note["text"] for note in ok(await mine.get("/api/notes"))] == ["mine"]
        ok(await mine.call("DELETE", "/api/notes"))
        assert [note["text"] for note in ok(await theirs.get("/api/notes"))] == ["theirs"]


class TestPermissions:
    async def test_are_had_by_the_roles_that_the_feature_says(self, api: Api) -> None:
        admin = await api.register()
        member = await admin.add()
        ok(await member.post("/api/notes", text="a member's"), 201)
        refused(await member.call("DELETE", "/api/notes"), 403, code="FORBIDDEN")
        ok(await admin.call("DELETE", "/api/notes"))

    async def test_can_be_given_to_custom_roles(self, api: Api) -> None:
        admin = await api.register()
        ok(await admin.change_plan("PRO"))
        body = {"name": "Cleaner", "permissions": ["notes:purge"]}
        role = ok(await admin.post("/api/organisations/roles", **body), 201)
        member = await admin.add()
        change = {"customRoleId": role["id"]}
        ok(await admin.call("PATCH", f"/api/users/{member.id}", json=change))
        ok(await member.call("DELETE", "/api/notes"))
        body = {"name": "Dreamer", "permissions": ["notes:dream"]}
        answer = refused(await admin.post("/api/organisations/roles", **body), 422)
        assert "notes:purge" in answer["fields"][0]["message"]

    async def test_are_listed_for_custom_roles(self, api: Api) -> None:
        admin = await api.register()
        listed = ok(await admin.get("/api/organisations/permissions"))
        assert {"name": "notes:write", "ofMembers": True} in listed
        assert {"name": "notes:purge", "ofMembers": False} in listed


class TestEvents:
    async def test_stand_in_the_feed_and_on_the_sockets(self, api: Api) -> None:
        admin = await api.register()
        async with admin.socket() as socket:
            note = ok(await admin.post("/api/notes", text="hello"), 201)
            event = await socket.next()
        assert (event["type"], event["payload"]) == (
            "NOTE_WRITTEN",
            {"noteId": note["id"], "text": "hello"},
        )
        [line] = await admin.feed(type="NOTE_WRITTEN")
        assert (line["message"], line["metadata"]) == ("hello was written", event["payload"])

    async def test_are_filtered_by_types_that_there_are(self, api: Api) -> None:
        admin = await api.register()
        body = refused(await admin.get("/api/activities", type="NOTE_EATEN"), 422)
        assert "NOTE_WRITTEN" in body["fields"][0]["message"]


class TestPlanLimits:
    async def test_hold_however_many_ask_at_once(self, api: Api) -> None:
        admin = await api.register()
        answers = await asyncio.gather(
            *[admin.post("/api/notes", text=str(number)) for number in range(12)]
        )
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 9
        body = refused(await admin.post("/api/notes", text="more"), 403, code="PLAN_LIMIT_REACHED")
        assert body["message"] == "The FREE plan allows 3 notes, and there are 3. Please upgrade."
        ok(await admin.change_plan("PRO"))
        ok(await admin.post("/api/notes", text="more"), 201)

    async def test_name_the_plans_that_have_it(self, api: Api) -> None:
        admin = await api.register()
        ok(await admin.change_plan("NONE"))
        body = refused(await admin.post("/api/notes", text="x"), 403, code="NOT_IN_PLAN")
        assert body["message"] == "The NONE plan has no notes; change to FREE or PRO"

    async def test_of_a_time_are_used_up_and_never_overdrawn(self, api: Api, owner: Db) -> None:
        admin = await api.register()
        other = await api.register()
        answers = await asyncio.gather(*[admin.post("/api/notes/export") for _ in range(8)])
        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [403] * 6
        body = refused(await admin.post("/api/notes/export"), 403, code="QUOTA_REACHED")
        assert body["message"].startswith("The FREE plan allows 2 exports a day")
        ok(await other.post("/api/notes/export"), 201)
        await owner.execute("UPDATE usage SET period = period - interval '1 day'")
        ok(await admin.post("/api/notes/export"), 201)


def test_entitlements_must_stand_in_every_plan() -> None:
    with pytest.raises(PlansError, match="notes needs every plan to say exports"):
        product_of(Settings(), [NOTES])


class TestErrors:
    async def test_of_ones_own_are_answered_in_the_envelope(self, api: Api) -> None:
        admin = await api.register()
        ok(await admin.post("/api/notes", text="twice"), 201)
        refused(
            await admin.post("/api/notes", text="twice"),
            409,
            "There is such a note already; write another",
            "NOTE_EXISTS",
        )
        assert len(await admin.feed(type="NOTE_WRITTEN")) == 1


class TestDocument:
    async def test_has_the_routes_errors_and_events(self, api: Api) -> None:
        spec: dict[str, Any] = (await api.get("/docs/spec")).json()
        write = spec["paths"]["/api/notes"]["post"]
        assert write["operationId"] == "writeNote"
        assert "NOTE_EXISTS" in str(write["responses"]["409"])
        assert write["security"] == [{"bearer": ["notes:write"]}]
        assert "| NOTE_WRITTEN | noteId, text |" in spec["paths"]["/ws"]["get"]["description"]


async def test_a_member_of_nothing_gets_nothing(api: Api) -> None:
    admin: Account = await api.register()
    refused(await api.get("/api/notes"), 401)
    ok(await admin.get("/api/notes"))
