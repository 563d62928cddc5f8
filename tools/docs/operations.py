"""The reference of the API, from its OpenAPI document: a page for each tag."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.docs.types import Schema, Schemas, fields, text_of

INTRODUCTION = """# API reference

Made from the [OpenAPI 3.1 document](../clients.md#the-document) of this version, which a server
has at `/docs/spec`, with a page to try it out at `/docs`. Routes of your own features are in
yours.

Every answer is `{"success", "message", "data"}`; the tables say what is in `data`. An error has a
stable [`code`](../errors.md) in place of it. Keys are camelCase, times are ISO 8601 in UTC, ids
are opaque strings. A body may be 1 MiB, and a field that the operation does not have is refused.

`Authorization: Bearer …` takes the `accessToken` of signing in. In the examples, `$api` is
`http://localhost:3000` and `$token` such a token. *Who* may call is settled by what the
[role](../security.md#who-may-do-what-811) is worth at this moment, not by the token.

Each answer carries `ratelimit-limit`, `ratelimit-remaining` and `ratelimit-reset` (seconds), and
`x-request-id`.
"""

SOCKET = "/ws"
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One method of one path; `about` is what the document says of it."""

    method: str
    path: str
    about: Schema

    @property
    def id(self) -> str:
        identifier: str = self.about["operationId"]
        return identifier

    @property
    def summary(self) -> str:
        summary: str = self.about["summary"]
        return summary

    @property
    def tag(self) -> str:
        tag: str = self.about["tags"][0]
        return tag

    @property
    def page(self) -> str:
        return page_of(self.tag)

    @property
    def errors(self) -> list[tuple[str, str]]:
        """The codes that it can answer, each with its status."""
        return [
            (status, code)
            for status, answer in sorted(self.about["responses"].items())
            for code in answer.get("content", {}).get("application/json", {}).get("examples", {})
        ]

    @property
    def who(self) -> str:
        if self.path == SOCKET:
            return "whoever is signed in, by a ticket or token"
        security = self.about.get("security")
        if not security:
            return "anybody"
        if {} in security:
            return "anybody, signed in or not"
        permissions = " and ".join(f"`{name}`" for name in security[0]["bearer"])
        return (
            f"members with the permission {permissions}" if permissions else "whoever is signed in"
        )


def page_of(tag: str) -> str:
    return f"api/{tag.lower().replace(' ', '-')}.md"


def operations_of(spec: Schema) -> Iterator[Operation]:
    for path, item in spec["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(method.upper(), path, item[method])


def pages(spec: Schema) -> dict[str, str]:
    """The pages by their paths."""
    schemas: Schemas = spec["components"]["schemas"]
    every = list(operations_of(spec))
    made = {"api/index.md": _index(spec["tags"], every)}
    for tag in spec["tags"]:
        name = tag["name"]
        parts = [_shown(operation, schemas) for operation in every if operation.tag == name]
        made[page_of(name)] = "\n".join([f"# {name}\n", f"{tag['description']}\n", *parts])
    assert {operation.page for operation in every} < made.keys(), "a tag is not among the tags"
    return made


def stream_tables(spec: Schema) -> dict[str, str]:
    """The tables in the description of the stream: its events, and its close codes."""
    paragraphs = spec["paths"][SOCKET]["get"]["description"].split("\n\n")
    events, close_codes = [one.strip() for one in paragraphs if one.strip().startswith("|")]
    return {"events": events, "close codes": close_codes}


def _index(tags: list[Schema], every: list[Operation]) -> str:
    parts = [INTRODUCTION]
    for tag in tags:
        name = tag["name"]
        page = page_of(name).removeprefix("api/")
        parts += [f"## [{name}]({page})\n", "| | | who |", "|---|---|---|"]
        parts += [
            f"| [{one.summary}]({page}#{one.id}) | {_address(one)} | {one.who} |"
            for one in every
            if one.tag == name
        ]
        parts.append("")
    return "\n".join(parts)


def _address(operation: Operation) -> str:
    method = operation.method
    return f'<span class="method {method.lower()}">{method}</span> `{operation.path}`'


def _shown(operation: Operation, schemas: Schemas) -> str:
    about = operation.about
    parts = [
        f"## {operation.summary} {{ #{operation.id} }}\n",
        f"{_address(operation)} · {operation.who}\n",
        f"{about['description'].strip()}\n",
    ]
    if parameters := about.get("parameters"):
        rows = [(one["name"], one["in"], one.get("required"), one) for one in parameters]
        parts += ["| parameter | in | type | |", "|---|---|---|---|"]
        parts += [
            f"| `{name}` | {place} | {text_of(one['schema'], schemas)} "
            f"| {'needed. ' if needed else ''}{_line(one.get('description'))} |"
            for name, place, needed, one in rows
        ]
        parts.append("")
    if body := _json(about.get("requestBody", {})):
        parts += ["| field of the body | type | |", "|---|---|---|", *_rows(body, schemas), ""]
    parts += [_example(operation, body, schemas), _answers(operation, schemas)]
    return "\n".join(parts)


def _rows(schema: Schema, schemas: Schemas, *, answers: bool = False) -> list[str]:
    return [
        f"| `{field.path}` | {field.type} "
        f"| {'needed. ' if field.needed and not answers else ''}{_line(field.about)} |"
        for field in fields(schema, schemas)
    ]


def _answers(operation: Operation, schemas: Schemas) -> str:
    parts = []
    for status, answer in operation.about["responses"].items():
        if int(status) >= 300:
            continue
        data = _data(_json(answer), schemas)
        alternatives = data.get("oneOf", [data]) if "discriminator" not in data else [data]
        for number, alternative in enumerate(alternatives):
            items = alternative.get("items")
            rows = _rows(items or alternative, schemas, answers=True)
            if rows:
                title = f"{'or ' if number else ''}answer {status}{', a list of' if items else ''}"
                parts += [f"| {title} | type | |", "|---|---|---|", *rows, ""]
            else:
                shown = text_of(alternative, schemas) if alternative else _media(answer)
                parts.append(f"Answer {status}: {shown}.\n")
    by_status: dict[str, list[str]] = {}
    for status, code in operation.errors:
        by_status.setdefault(status, []).append(f"[`{code}`](../errors.md#{code})")
    if by_status:
        errors = [f"{status} {', '.join(codes)}" for status, codes in by_status.items()]
        parts.append(f"**Errors:** {' · '.join(errors)}\n{{ .errors }}\n")
    return "\n".join(parts)


def _json(content: Schema) -> Schema:
    schema: Schema = content.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _data(schema: Schema, schemas: Schemas) -> Schema:
    """What is in the envelope; the schema itself, where it is in none."""
    envelope = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    data: Schema = envelope.get("properties", {}).get("data", envelope)
    return schemas.get(data.get("$ref", "").rpartition("/")[2], data)


def _media(answer: Schema) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in answer.get("content", {}))
    return kinds or _line(answer.get("description")).rstrip(".").lower()


def _example(operation: Operation, body: Schema, schemas: Schemas) -> str:
    if operation.path == SOCKET:
        return ""
    path = operation.path.replace("{", "$").replace("}", "")
    command = ["curl" if operation.method == "GET" else f"curl -X {operation.method}"]
    command.append(f'"$api{path}"' if "$" in path else f"$api{path}")
    if operation.about.get("security"):
        command.append('-H "authorization: Bearer $token"')
    if body:
        own = [field for field in fields(body, schemas) if "." not in field.path]
        needed = [field for field in own if field.needed] or own[:1]
        example = {field.path: field.example for field in needed}
        command.append("-H 'content-type: application/json'")
        command.append(f"-d '{_json_text(example)}'")
    lines: list[str] = []
    line = command[0]
    for part in command[1:]:
        if len(line) + len(part) > 88:
            lines, line = [*lines, line + " \\"], "  " + part
        else:
            line = f"{line} {part}"
    return "\n".join(["```sh", *lines, line, "```", ""])


def _json_text(value: Any) -> str:
    """On one line, or on several where that is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 72 else json.dumps(value, ensure_ascii=False, indent=2)


def _line(text: Any) -> str:
    """A text of the document for a cell of a table."""
    return " ".join(str(text or "").split()).replace("|", "\\|")
