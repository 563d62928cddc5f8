"""What makes the document fit for generated clients: every object, enum and union in it has a name,
every envelope says that it is one, and each kind of event is a type of its own.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import msgspec

from tenantry.errors import TenantryError
from tenantry.events import Event
from tenantry.reply import ErrorReply
from tenantry.tenancy.product import Product

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"
TEMPLATE = PREFIX + "{name}"
NULL: Schema = {"type": "null"}
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}
PLACE: Schema = {"type": "integer", "description": "The place in the feed, counted from 1."}


def ref(name: str) -> Schema:
    return {"$ref": TEMPLATE.format(name=name)}


def complete(spec: Schema, product: Product) -> Schema:
    """The document with a name for whatever had none, and with the events of the stream."""
    events = _payloads(product.events.values())
    added = _stream(events) | _choices(product) | {"JsonObject": ANY_OBJECT}
    spec = _renamed(spec, {name: f"Feature{name}" for name in added})
    schemas: dict[str, Schema] = spec["components"]["schemas"]
    schemas |= added
    schemas |= _activities(schemas["Activity"], events)
    _refer_to_choices(schemas, spec["paths"])
    for name, schema in list(schemas.items()):
        if "success" in schema.get("properties", {}) and name != "ErrorReply":
            _complete_envelope(name, schema, schemas)
    for name, schema in schemas.items():
        schema["title"] = name
    for part in (schemas, spec["paths"]):
        _name_free_objects(part)
    spec["components"]["schemas"] = dict(sorted(schemas.items()))
    return spec


def with_own_names(spec: Schema) -> Schema:
    """Where a feature has a type of the same name, Litestar puts modules before both. Tenantry's
    keep their names all the same, since clients know them.
    """
    names = {}
    for name, schema in spec["components"]["schemas"].items():
        plain = schema.get("title", name)
        if name.endswith(f"_{plain}") and any(
            f"{path}.{plain}".replace(".", "_").endswith(name) and hasattr(module, plain)
            for path, module in sys.modules.items()
            if path.startswith("tenantry.")
        ):
            names[name] = plain
    return _renamed(spec, names)


def _renamed(spec: Schema, names: Mapping[str, str]) -> Schema:
    """With other names for these components, as far as there are any."""
    schemas = spec["components"]["schemas"]
    text = msgspec.json.encode(spec).decode()
    for old in schemas.keys() & names:
        text = text.replace(f'"{PREFIX}{old}"', f'"{PREFIX}{names[old]}"')
    renamed: Schema = msgspec.json.decode(text)
    schemas = renamed["components"]["schemas"].items()
    renamed["components"]["schemas"] = {names.get(name, name): schema for name, schema in schemas}
    return renamed


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


def _choices(product: Product) -> dict[str, Schema]:
    """What this product has to choose from, where a type says only that it is text."""
    values = {
        "Plan": product.plans.names,
        "Permission": product.permissions.grantable,
        "ActivityType": list(product.events),
    }
    return {name: {"type": "string", "enum": some} for name, some in values.items()}


def _refer_to_choices(schemas: dict[str, Schema], paths: Schema) -> None:
    schemas["Refusal"]["properties"]["code"] = ref("ErrorCode")
    schemas["SubscriptionInput"]["properties"]["plan"] = ref("Plan")
    for name in ("NewRoleInput", "ChangedRoleInput"):
        permissions = schemas[name]["properties"]["permissions"]
        for shape in (permissions, *permissions.get("oneOf", ())):
            if shape.get("type") == "array":
                shape["items"] = ref("Permission")
    for parameter in paths["/api/activities"]["get"]["parameters"]:
        if parameter["name"] == "type":
            parameter["schema"]["items"] = ref("ActivityType")
    stream = paths["/api/events"]["get"]["responses"]["200"]
    stream["content"]["text/event-stream"]["schema"] = {
        "type": "string",
        "description": "Server-sent events; the data of each is a StreamMessage.",
    }


def _complete_envelope(name: str, schema: Schema, schemas: dict[str, Schema]) -> None:
    """`success` is always sent; data of several types is a type of its own."""
    properties = schema["properties"]
    del properties["success"]["default"]
    schema["required"] = sorted({*schema["required"], "success"})
    if len(properties["data"].get("oneOf", ())) > 1 and NULL not in properties["data"]["oneOf"]:
        union = name.removesuffix("Reply")
        schemas[union] = properties["data"]
        properties["data"] = ref(union)


class _Kind(NamedTuple):
    """A kind of event: its `type`, the name of its types, and the schemas of its payload."""

    type: str
    name: str
    schemas: dict[str, Schema]


def _payloads(events: Iterable[type[Event]]) -> list[_Kind]:
    kinds = []
    for event in events:
        name = event.__name__
        _, schemas = msgspec.json.schema_components([event], ref_template=TEMPLATE)
        payload = schemas.pop(name)
        for field, schema in payload["properties"].items():
            if "default" in schema:
                del schema["default"]
                if not event.__struct_config__.omit_defaults:
                    payload["required"].append(field)
        kinds.append(_Kind(event.type, name, schemas | {f"{name}Payload": payload}))
    return kinds


def _stream(kinds: list[_Kind]) -> dict[str, Schema]:
    """`Event`, one of all kinds by `type`, and what else is sent on the stream."""
    schemas: dict[str, Schema] = {}
    for kind in kinds:
        schemas |= kind.schemas
        schemas[f"{kind.name}Event"] = _object(
            type={"type": "string", "const": kind.type},
            payload=ref(f"{kind.name}Payload"),
            seq=PLACE,
            at={"type": "string", "format": "date-time"},
        )
    event = _one_of({kind.type: f"{kind.name}Event" for kind in kinds})
    return schemas | {
        "Event": event | {"description": "An activity as it is sent on the stream."},
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


def _activities(base: Schema, kinds: list[_Kind]) -> dict[str, Schema]:
    """`Activity`, one of all kinds by `type`; `metadata` is the event's payload."""
    schemas = {}
    for kind in kinds:
        schemas[f"{kind.name}Activity"] = activity = deepcopy(base)
        activity["properties"]["type"] = {"type": "string", "const": kind.type}
        activity["properties"]["metadata"] = ref(f"{kind.name}Payload")
    activities = _one_of({kind.type: f"{kind.name}Activity" for kind in kinds})
    return schemas | {"Activity": activities | {"description": "A line of the feed."}}


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
