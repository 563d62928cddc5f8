"""Types of the OpenAPI document, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]
Schemas: TypeAlias = dict[str, Schema]

FORMATS = {"uuid": "id", "date-time": "time"}
SHOWN = {"uuid": "0193f0a2-…", "date-time": "2026-01-31T09:00:00Z"}
FEW = 9  # values of an enum; of more, three are shown


@dataclass(frozen=True)
class FieldOf:
    """A field of an object. Those of an object in it have its name and a dot before theirs."""

    path: str
    type: str
    needed: bool
    about: str
    example: Any


def resolved(schema: Schema, schemas: Schemas) -> Schema:
    """What a reference refers to; `oneOf` with null counts as what may be null."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    kinds = [kind for kind in schema.get("oneOf", []) if kind.get("type") != "null"]
    if len(kinds) == 1:
        return resolved(kinds[0], schemas) | {"nullable": len(kinds) < len(schema["oneOf"])}
    if "discriminator" in schema:  # kinds that differ in one field: the first stands for all
        return resolved(kinds[0], schemas)
    return schema


def fields(schema: Schema, schemas: Schemas, before: str = "") -> Iterator[FieldOf]:
    """The fields of an object, or of the objects in a list."""
    schema = resolved(schema, schemas)
    if schema.get("type") == "array":
        yield from fields(schema["items"], schemas, f"{before.removesuffix('.')}[].")
        return
    needed = schema.get("required", [])
    for name, own in schema.get("properties", {}).items():
        path = before + name
        inner = resolved(own, schemas)
        nested = not path.endswith("metadata") and path.count(".") < 2
        yield FieldOf(
            path,
            text_of(own, schemas),
            name in needed,
            about_of(own, inner),
            example_of(own, schemas),
        )
        if nested:
            yield from fields(own, schemas, f"{path}.")


def about_of(own: Schema, inner: Schema) -> str:
    own_text = own.get("description") or ""
    return own_text or ("" if inner.get("properties") else inner.get("description") or "")


def text_of(schema: Schema, schemas: Schemas) -> str:
    """The type in a few words."""
    inner = resolved(schema, schemas)
    null = " or null" if inner.get("nullable") else ""
    return f"{_kind(inner, schemas)}{_bounds(inner)}{null}"


def _kind(schema: Schema, schemas: Schemas) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if values := schema.get("enum"):
        shown = values if len(values) <= FEW else values[:3]
        more = f" … ({len(values)})" if len(values) > FEW else ""
        return ", ".join(f"`{value}`" for value in shown) + more
    if alternatives := schema.get("oneOf"):
        return " or ".join(text_of(one, schemas) for one in alternatives)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {text_of(schema['items'], schemas)}"
    return FORMATS.get(schema.get("format", ""), str(kind))


def _bounds(schema: Schema) -> str:
    for low, high, unit in (
        ("minLength", "maxLength", " characters"),
        ("minimum", "maximum", ""),
        ("minItems", "maxItems", ""),
    ):
        least, most = schema.get(low), schema.get(high)
        if most is not None and most < 2**53 - 1:
            return f", {int(least)} to {int(most)}{unit}" if least else f", up to {int(most)}{unit}"
    return ""


def example_of(schema: Schema, schemas: Schemas) -> Any:
    """A value that fits, the schema's own example where it has one."""
    inner = resolved(schema, schemas)
    if examples := schema.get("examples") or inner.get("examples"):
        return examples[0]
    if values := inner.get("enum"):
        return values[0]
    match inner.get("type"):
        case "array":
            return [example_of(inner["items"], schemas)]
        case "object":
            return {
                name: example_of(own, schemas) for name, own in inner.get("properties", {}).items()
            }
        case "boolean":
            return True
        case "integer":
            return int(inner.get("minimum", 1))
    return SHOWN.get(inner.get("format", ""), "…")
