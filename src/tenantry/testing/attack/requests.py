"""Requests to a route, made up from the OpenAPI document: plausible values, and slots for ids."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import quote

from tenantry.testing.answers import PASSWORD, unique_email
from tenantry.testing.attack.ids import Id, Ids, Slot, is_uuid

Schema = Mapping[str, Any]
DEEPEST = 6

TIMES = {"date": "2030-01-01", "date-time": "2030-01-01T12:00:00Z", "duration": "P1D"}

_numbers = count(1)


@dataclass(frozen=True)
class Request:
    path: str
    params: dict[str, Any]
    body: Any
    asked: frozenset[str]  # the ids in it


class Route:
    """One operation of the document, or a handler that the document does not show."""

    def __init__(
        self,
        method: str,
        path: str,
        operation: Schema,
        components: Schema,
        *,
        given: Schema,
        ids: Ids,
    ) -> None:
        """`given` are fields of the body in place of made-up ones. `ids` are those to reach for."""
        self.method, self.path, self.operation = method, path, operation
        self.operation_id = operation.get("operationId", "")
        self._components, self._ids = components, ids
        parameters = operation.get("parameters", [])
        kinds = {one["name"]: _kind(one["schema"]) for one in parameters if one["in"] == "path"}
        self.in_path = [
            Slot(name, kinds.get(name, "string")) for name in re.findall(r"{(\w+)", path)
        ]
        self.params: dict[str, Any] = {
            one["name"]: self._value(one["schema"], one["name"])
            for one in parameters
            if one["in"] == "query"
            and (one.get("required") or self._slot(one["schema"], one["name"]))
        }
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        self.bodies = list(self._bodies(schema, given)) if schema else [None]
        in_bodies = (slot for body in self.bodies for slot in _slots(body))
        self.slots = list(dict.fromkeys([*self.in_path, *_slots(self.params), *in_bodies]))

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def streams(self) -> bool:
        """Whether its answer has no end."""
        return "text/event-stream" in self.operation.get("responses", {}).get("200", {}).get(
            "content", {}
        )

    def requests(self, theirs: Ids, mine: Ids) -> Iterator[Request]:
        """The likely ids in all slots; where there are several, in each of them while the others
        have one's own; and then every id everywhere.
        """
        if not self.slots:
            yield from self._filled({})
            return
        likely = {slot: _any(theirs, slot) for slot in self.slots}
        own = {slot: _any(mine, slot) for slot in self.slots}
        yield from self._filled(likely)
        if len(self.slots) > 1:
            for slot in self.slots:
                yield from self._filled(own | {slot: likely[slot]})
        for value in theirs.all:
            fitting = {slot: value for slot in self.slots if slot.takes(value)}
            if fitting:
                yield from self._filled(likely | fitting)

    def _filled(self, chosen: Mapping[Slot, Id]) -> Iterator[Request]:
        path = self.path
        for slot in self.in_path:
            path = path.replace(f"{{{slot.name}}}", quote(str(chosen[slot]), safe=""))
        asked = frozenset(map(str, chosen.values()))
        for body in self.bodies:
            yield Request(path, _fill(self.params, chosen), _fill(body, chosen), asked)

    def _bodies(self, schema: Schema, given: Schema) -> Iterator[Any]:
        """Everything that it can have, only what it must, and that with each of the others."""
        schema = self._resolved(schema)
        properties = schema.get("properties")
        if properties is None:
            yield self._value(schema, "")
            return
        whole = {name: self._value(one, name) for name, one in properties.items()} | dict(given)
        for name, value in given.items():  # an id is still reached for
            slot = self._slot(properties.get(name, {}), name)
            whole[name] = slot or value
        needed = {name: whole[name] for name in schema.get("required", [])}
        needed |= {name: whole[name] for name in given}
        bodies = [whole, needed]
        bodies += [needed | {name: whole[name]} for name in whole if name not in needed]
        for index, body in enumerate(bodies):
            if body not in bodies[:index]:
                yield body

    def _resolved(self, schema: Schema) -> Schema:
        """The schema itself, where it is a reference or may also be null."""
        for kind in ("oneOf", "anyOf", "allOf"):
            options = [one for one in schema.get(kind, []) if one != {"type": "null"}]
            if options:
                rest = {name: value for name, value in schema.items() if name != kind}
                return self._resolved({**rest, **self._resolved(options[0])})
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._resolved(self._components.get("schemas", {}).get(name, {}))
        return schema

    def _slot(self, schema: Schema, name: str) -> Slot | None:
        """The slot that this is: a UUID, or a number or text that is named after an id."""
        slot = Slot(name, _kind(self._resolved(schema)))
        if slot.kind == "uuid":
            return slot
        likely = self._ids.likely(slot) if slot.kind else []
        named = re.search(r"(_id|Id)s?$", name)
        return slot if likely and (named or all(map(is_uuid, likely))) else None

    def _value(self, schema: Schema, name: str, depth: int = 0) -> Any:
        schema = self._resolved(schema)
        if slot := self._slot(schema, name):
            return slot
        match schema:
            case {"const": value}:
                return value
            case {"enum": [value, *_]}:
                return value
            case {"type": "array"}:
                return [self._value(schema.get("items", {}), name, depth + 1)]
            case {"type": "object"}:
                needed = schema.get("required", [])
                fields = schema.get("properties", {}).items() if depth < DEEPEST else ()
                return {
                    key: self._value(one, key, depth + 1) for key, one in fields if key in needed
                }
            case {"type": "boolean"}:
                return False  # which turns nothing on
            case {"type": "integer" | "number"}:
                lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
                return int(lowest)
        return _text(schema, name)


def _text(schema: Schema, name: str) -> str:
    if "password" in name.lower():
        return PASSWORD
    if "email" in name.lower() or schema.get("format") == "email":
        return unique_email()
    if schema.get("format") in TIMES:
        return TIMES[schema["format"]]
    if examples := schema.get("examples"):
        return str(examples[0])
    if "pattern" in schema:
        return "example"
    text = f"example {next(_numbers)}".ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength")]


def _kind(schema: Schema) -> str:
    if schema.get("type") == "string" and not schema.get("enum"):
        return "uuid" if schema.get("format") == "uuid" else "string"
    return "integer" if schema.get("type") == "integer" else ""


def _any(ids: Ids, slot: Slot) -> Id:
    """A likely one; any that fits; or, to have something there, what nobody has."""
    fitting = (value for value in ids.all if slot.takes(value))
    nobody: Id = 0 if slot.kind == "integer" else "00000000-0000-4000-8000-000000000000"
    return next(iter(ids.likely(slot)), next(fitting, nobody))


def _slots(value: Any) -> Iterator[Slot]:
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _slots(one)


def _fill(value: Any, chosen: Mapping[Slot, Id]) -> Any:
    if isinstance(value, Slot):
        return chosen[value]
    if isinstance(value, dict):
        return {name: _fill(one, chosen) for name, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, chosen) for one in value]
    return value
