"""What makes the document fit for generated clients: every object, enum and union in it has a name,
every envelope says that it is one, and each kind of event is a type of its own.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import msgspec

from tenantry.errors import TenantryError
from tenantry.events import Event
from tenantry.reply import ErrorReply
from tenantry.tenancy.product import Product

Schema = dict[str, Any]

TEMPLATE = "#/components/schemas/{name}"
NULL: Schema = {"type": "null"}
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}
PLACE: Schema = {"type": "integer", "description": "The place in the feed, counted from 1."}


def ref(name: str) -> Schema:
    return {"$ref": TEMPLATE.format(name=name)}


def complete(spec: Schema, product: Product) -> None:
    """Name what has no name yet, and add what no route answers: the events of the stream."""
    schemas: dict[str, Schema] = spec["components"]["schemas"]
    _name_choices(schemas, spec["paths"], product)
    schemas.update(_stream(product.events.values()))
    schemas.update(_activities(schemas["Activity"], product.events.values()))
    schemas["Refusal"]["properties"]["code"] = ref("ErrorCode")
    schemas["JsonObject"] = ANY_OBJECT | {"description": "Whatever JSON object."}
    for name, schema in list(schemas.items()):
        if "success" in schema.get("properties", {}) and name != "ErrorReply":
            _complete_envelope(name, schema, schemas)
    for name, schema in schemas.items():
        schema["title"] = name
    stream = spec["paths"]["/api/events"]["get"]["responses"]["200"]
    stream["content"]["text/event-stream"]["schema"] = {
        "type": "string",
        "description": "Server-sent events; the data of each is a StreamMessage.",
    }
    for part in (schemas, spec["paths"]):
        _name_free_objects(part)
    spec["components"]["schemas"] = dict(sorted(schemas.items()))


def of_errors(errors: Iterable[type[TenantryError]]) -> dict[str, Schema]:
    """The envelope of a failure, whose `code` is one of Tenantry's own or of these errors'."""
    _, definitions = msgspec.json.schema_components([ErrorReply], ref_template=TEMPLATE)
    reply = definitions["ErrorReply"]
    reply["properties"]["success"] = {"type": "boolean", "const": False}
    reply["properties"]["code"] = ref("ErrorCode")
    del reply["properties"]["fields"]["default"]  # left out rather than empty
    codes = {error.code for error in (*_ours(TenantryError), *errors)}
    definitions["ErrorCode"] = {
        "type": "string",
        "enum": sorted(codes),
        "description": "What went wrong, for programs. New ones may be added.",
    }
    return definitions


def _ours(error: type[TenantryError]) -> Iterator[type[TenantryError]]:
    if error.__module__ == TenantryError.__module__:
        yield error
        for below in error.__subclasses__():
            yield from _ours(below)


def _name_choices(schemas: dict[str, Schema], paths: Schema, product: Product) -> None:
    """What this product has to choose from, where a type says only that it is text."""
    names = {
        "Plan": product.plans.names,
        "Permission": product.permissions.grantable,
        "ActivityType": list(product.events),
    }
    for name, values in names.items():
        schemas[name] = {"type": "string", "enum": values}
    schemas["SubscriptionInput"]["properties"]["plan"] = ref("Plan")
    for name in ("NewRoleInput", "ChangedRoleInput"):
        permissions = schemas[name]["properties"]["permissions"]
        for shape in (permissions, *permissions.get("oneOf", ())):
            if shape.get("type") == "array":
                shape["items"] = ref("Permission")
    for parameter in paths["/api/activities"]["get"]["parameters"]:
        if parameter["name"] == "type":
            parameter["schema"]["items"] = ref("ActivityType")


def _complete_envelope(name: str, schema: Schema, schemas: dict[str, Schema]) -> None:
    """`success` is always sent; data of several types is a type of its own."""
    properties = schema["properties"]
    del properties["success"]["default"]
    schema["required"] = sorted({*schema["required"], "success"})
    if len(properties["data"].get("oneOf", ())) > 1 and NULL not in properties["data"]["oneOf"]:
        union = name.removesuffix("Reply")
        schemas[union] = properties["data"]
        properties["data"] = ref(union)


def _stream(events: Iterable[type[Event]]) -> dict[str, Schema]:
    """`Event`, one of all kinds by `type`, and what else is sent on the stream."""
    events = list(events)
    _, schemas = msgspec.json.schema_components(events, ref_template=TEMPLATE)
    for event in events:
        _optional(event, schemas[event.__name__])
        schemas[f"{event.__name__}Event"] = _object(
            type={"type": "string", "const": event.type},
            payload=ref(event.__name__),
            seq=PLACE,
            at={"type": "string", "format": "date-time"},
        )
    schemas["Event"] = _one_of({event.type: f"{event.__name__}Event" for event in events}) | {
        "description": "An activity as it is sent on the stream."
    }
    return schemas | {
        "Greeting": _object(message={"type": "string"}),
        "Connected": _object(
            type={"type": "string", "const": "CONNECTED"}, payload=ref("Greeting"), seq=PLACE
        ),
        "Missed": _object(after={"type": "integer"}, seq=PLACE),
        "Resync": _object(
            type={"type": "string", "const": "RESYNC"}, payload=ref("Missed"), seq=PLACE
        ),
        "Pong": _object(type={"type": "string", "const": "PONG"}),
        "StreamMessage": {
            "oneOf": [ref(name) for name in ("Connected", "Resync", "Pong", "Event")],
            "description": "What the server sends on /ws, and in /api/events but for PONG.",
        },
    }


def _activities(base: Schema, events: Iterable[type[Event]]) -> dict[str, Schema]:
    """`Activity`, one of all kinds by `type`; `metadata` is the event's payload."""
    kinds = {}
    names = {}
    for event in events:
        names[event.type] = name = f"{event.__name__}Activity"
        kinds[name] = activity = deepcopy(base)
        activity["properties"]["type"] = {"type": "string", "const": event.type}
        activity["properties"]["metadata"] = ref(event.__name__)
    return kinds | {"Activity": _one_of(names) | {"description": base.get("description", "")}}


def _optional(event: type[Event], schema: Schema) -> None:
    """A field with a default is left out where the struct omits defaults, else always there."""
    omits = event.__struct_config__.omit_defaults
    for name, field in schema["properties"].items():
        if "default" in field:
            del field["default"]
            if not omits:
                schema["required"].append(name)


def _one_of(names: dict[str, str]) -> Schema:
    return {
        "oneOf": [ref(name) for name in names.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {value: TEMPLATE.format(name=name) for value, name in names.items()},
        },
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _name_free_objects(part: Any) -> None:
    """`dict[str, Any]` is called JsonObject, wherever it stands."""
    children = part.items() if isinstance(part, dict) else enumerate(part)
    for key, child in children:
        if child == {"type": "object", "additionalProperties": {}}:
            part[key] = ref("JsonObject")
        elif isinstance(child, dict | list):
            _name_free_objects(child)
