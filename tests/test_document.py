"""The OpenAPI document as what generated clients are made of: names that stay, and no shape without
one.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from litestar import get
from litestar.di import NamedDependency

from tenantry import errors
from tenantry.app import describe
from tenantry.events import EVENTS, Event
from tenantry.feature import Feature
from tenantry.reply import Reply
from tenantry.settings import Settings
from tenantry.tenancy.guards import any_member
from tenantry.tenancy.tenant import Tenant
from tests.processes import tenantry

# Clients call them. Nothing is ever taken out of this list; a new operation is put in.
OPERATIONS = [
    "acceptInvite",
    "addPasskey",
    "beginPasskeyLogin",
    "broadcast",
    "changeEmail",
    "changePassword",
    "changeRole",
    "changeSubscription",
    "confirmTotp",
    "connect",
    "createRole",
    "deleteOrganisation",
    "deleteRole",
    "docs",
    "endSession",
    "eraseMe",
    "exportMe",
    "forgotPassword",
    "foundOrganisation",
    "getMe",
    "getOrganisation",
    "getPasskeyOptions",
    "getSecondFactors",
    "getStepUpOptions",
    "giveSecondFactor",
    "health",
    "inviteMember",
    "inviteMembers",
    "issueTicket",
    "leaveOrganisation",
    "listActivities",
    "listInvites",
    "listMembers",
    "listPasskeys",
    "listPermissions",
    "listPresent",
    "listPlans",
    "listRoles",
    "listSessions",
    "listen",
    "login",
    "logout",
    "logoutAll",
    "openInvite",
    "passkeyLogin",
    "ready",
    "refresh",
    "register",
    "removeMember",
    "removePasskey",
    "removeTotp",
    "renamePasskey",
    "renewRecoveryCodes",
    "resendInvite",
    "resendVerification",
    "resetPassword",
    "restoreOrganisation",
    "revokeInvite",
    "spec",
    "startTotp",
    "stepUp",
    "switchOrganisation",
    "transferOwnership",
    "updateMe",
    "updateOrganisation",
    "updateRole",
    "verifyEmail",
]

NULL = {"type": "null"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    written: dict[str, Any] = json.loads(json.dumps(describe(Settings())))
    return written


@pytest.fixture
def schemas(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a request or answer."""
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            yield f"{name} ?{parameter['name']}", parameter["schema"]
        for media in operation.get("requestBody", {}).get("content", {}).values():
            yield f"{name} body", media["schema"]
        for status, answer in operation["responses"].items():
            for media in answer.get("content", {}).values():
                yield f"{name} {status}", media["schema"]


def nameless(where: str, schema: dict[str, Any], *, named: bool = False) -> Iterator[str]:
    """The objects, enums and unions in a schema that are not references to a named one."""
    choices = [one for one in schema.get("oneOf", schema.get("anyOf", ())) if one != NULL]
    several = len(schema.get("enum", ())) > 1 or len(choices) > 1
    # A map from names to values of one type has nothing that a name would say.
    shape = schema.get("type") == "object" and "additionalProperties" not in schema
    if not named and (shape or several or not schema):
        yield f"{where}: {schema}"
    for choice in choices:
        yield from nameless(where, choice)
    if "items" in schema:
        yield from nameless(f"{where}[]", schema["items"])
    for name, value in schema.get("properties", {}).items():
        yield from nameless(f"{where}.{name}", value)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nameless(f"{where}{{}}", schema["additionalProperties"])


class TestNames:
    def test_of_operations_stay(self, document: dict[str, Any]) -> None:
        names = [operation["operationId"] for _, operation in operations(document)]
        assert sorted(names) == sorted(OPERATIONS)

    def test_has_every_object_enum_and_union(self, document: dict[str, Any]) -> None:
        found = [
            *(fault for where, schema in contents(document) for fault in nameless(where, schema)),
            *(
                fault
                for name, schema in document["components"]["schemas"].items()
                for fault in nameless(name, schema, named=True)
            ),
        ]
        assert found == []

    def test_read_well(self, schemas: dict[str, Any]) -> None:
        for name, schema in schemas.items():
            assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
            assert schema["title"] == name

    def test_of_references_are_there(self, document: dict[str, Any]) -> None:
        names = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))
        assert set(names) <= set(document["components"]["schemas"])


class TestAnswers:
    def test_are_envelopes(self, document: dict[str, Any], schemas: dict[str, Any]) -> None:
        for name, operation in operations(document):
            if "/api/" not in name or operation["operationId"] == "listen":
                continue
            for status, answer in operation["responses"].items():
                schema = answer["content"]["application/json"]["schema"]
                envelope = schema["$ref"].rpartition("/")[2]
                assert (envelope == "ErrorReply") == (int(status) >= 400), name
                assert {"success", "message", "data"} <= set(schemas[envelope]["required"])
                assert schemas[envelope]["properties"]["success"]["const"] is (int(status) < 400)

    def test_name_every_code_that_an_error_can_have(self, schemas: dict[str, Any]) -> None:
        classes = [one for one in vars(errors).values() if isinstance(one, type)]
        leaves = [
            one
            for one in classes
            if issubclass(one, errors.TenantryError) and not one.__subclasses__()
        ]
        codes = set(schemas["ErrorCode"]["enum"])
        assert {one.code for one in leaves} <= codes  # those in between are never raised
        assert schemas["ErrorReply"]["properties"]["code"] == {
            "$ref": "#/components/schemas/ErrorCode"
        }

    def test_ask_for_ids_as_uuids(self, document: dict[str, Any]) -> None:
        for name, operation in operations(document):
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    assert parameter["schema"]["format"] == "uuid", name


class TestEvents:
    def test_are_a_union_told_apart_by_type(self, schemas: dict[str, Any]) -> None:
        for union, place in (("Event", "payload"), ("Activity", "metadata")):
            mapping = schemas[union]["discriminator"]["mapping"]
            assert list(mapping) == [event.type for event in EVENTS]
            assert schemas[union]["oneOf"] == [{"$ref": one} for one in mapping.values()]
            for event in EVENTS:
                kind = schemas[f"{event.__name__}{union}"]
                assert kind["properties"]["type"]["const"] == event.type
                payload = {"$ref": f"#/components/schemas/{event.__name__}Payload"}
                assert kind["properties"][place] == payload

    def test_have_every_field_that_is_always_sent(self, schemas: dict[str, Any]) -> None:
        assert schemas["UserJoinedPayload"]["required"] == ["userId", "name", "email", "role"]
        assert schemas["InviteSentPayload"]["required"] == ["inviteId", "email", "role"]


class Member(msgspec.Struct):
    """Of a feature, as is `Meeting`, whose component is called as one of Tenantry's own."""

    nickname: str


class MeetingMoved(Event):
    type: ClassVar[str] = "MEETING_MOVED"

    room: str


Meeting = msgspec.defstruct("Event", [("room", str), ("host", Member)])


@get("/api/meetings", guards=[any_member], summary="Meetings", operation_id="listMeetings")
async def list_meetings(tenant: NamedDependency[Tenant]) -> Reply[list[Meeting]]:  # type: ignore[valid-type]
    """All of them."""
    raise NotImplementedError


def test_features_add_to_it_and_rename_nothing(document: dict[str, Any]) -> None:
    feature = Feature(name="meetings", routes=[list_meetings], events=[MeetingMoved])
    more = json.loads(json.dumps(describe(Settings(), [feature])))
    ours, theirs = (one["components"]["schemas"] for one in (document, more))
    assert set(ours) < set(theirs)
    assert ours["Member"] == theirs["Member"]
    assert list(theirs["Event"]["discriminator"]["mapping"])[-1] == "MEETING_MOVED"
    assert theirs["FeatureEvent"]["properties"]["host"]["$ref"].endswith("test_document_Member")
    assert theirs["MeetingMovedPayload"]["required"] == ["room"]
    found = [fault for where, schema in contents(more) for fault in nameless(where, schema)]
    assert found == []


class TestCommand:
    def test_writes_the_document_without_a_server(
        self, document: dict[str, Any], tmp_path: Path
    ) -> None:
        file = tmp_path / "new folder" / "openapi.json"
        assert tenantry("openapi", str(file), cwd=tmp_path).stdout == ""
        assert json.loads(file.read_text()) == document
        assert json.loads(tenantry("openapi", cwd=tmp_path).stdout) == document
