"""An organisation's ids, each with what it seems to be of, and the texts that are its alone."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tenantry.testing.attack.tables import key_of
from tenantry.testing.client import Account
from tenantry.testing.servers import Db

Id = str | int

ID = re.compile(r"^id$|(?<!^request)Id$")  # requestId is of the answer

MOST_OF_A_KIND = 2
SHORTEST_SECRET = 6

KEYS = """
SELECT a.attname
  FROM pg_attribute a
  LEFT JOIN pg_index k ON k.indrelid = a.attrelid AND k.indisprimary
 WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
   AND (a.attnum = ANY (k.indkey) OR a.atttypid = 'uuid'::regtype)
   AND a.atttypid <> 'bytea'::regtype
 ORDER BY a.attnum
"""
PEOPLE = """
SELECT to_jsonb(u)::text FROM users u
 WHERE id IN (SELECT user_id FROM memberships WHERE organisation_id = $1::text::uuid)
 ORDER BY id
"""


@dataclass(frozen=True)
class Slot:
    """Where an id goes in a request."""

    name: str
    kind: str  # of its schema: "uuid", "integer" or "string"

    @property
    def subject(self) -> str:
        return subject_of(self.name)

    def takes(self, value: Id) -> bool:
        if self.kind == "integer":
            return isinstance(value, int)
        return self.kind == "string" or is_uuid(value)


class Ids:
    """The ids of one organisation, by what they are of: `user_id` and `users.id` are of a user."""

    def __init__(self) -> None:
        self.of: dict[str, list[Id]] = {}

    def add(self, subject: str, value: Id) -> None:
        known = self.of.setdefault(subject, [])
        if value not in known and len(known) < MOST_OF_A_KIND:
            known.append(value)

    @property
    def all(self) -> list[Id]:
        return list(dict.fromkeys(value for values in self.of.values() for value in values))

    def likely(self, slot: Slot) -> list[Id]:
        """What a client would write there."""
        return [value for value in self.of.get(slot.subject, []) if slot.takes(value)]


def subject_of(name: str) -> str:
    """`project_id`, `projectIds` and `projects` are of a project."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    words = re.sub(r"_ids?$", "", words)
    return re.sub(r"ies$", "y", words) if words.endswith("ies") else words.removesuffix("s")


def is_uuid(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True


async def rows_of(owner: Db, tables: Iterable[str], organisation: str) -> dict[str, list[str]]:
    """Every row of an organisation and its people, as JSON, by table."""
    found = {
        table: [
            row[0]
            for row in await owner.fetch(
                f"SELECT to_jsonb(t)::text FROM {table} t "
                f"WHERE {key_of(table)} = $1::text::uuid ORDER BY 1",
                organisation,
            )
        ]
        for table in tables
    }
    found["public.users"] = [row[0] for row in await owner.fetch(PEOPLE, organisation)]
    return found


async def ids_of(
    owner: Db, rows: Mapping[str, list[str]], account: Account, paths: Iterable[str]
) -> Ids:
    """From the rows' keys, and from what the organisation's own requests answer."""
    ids = Ids()
    for table, texts in rows.items():
        columns = [row[0] for row in await owner.fetch(KEYS, table)]
        of_table = subject_of(table.rpartition(".")[2].strip('"'))
        for row in map(json.loads, texts):
            for column in columns:
                value = row[column]
                subject = of_table if column == "id" else subject_of(column)
                if isinstance(value, str | int) and subject != "organisation":
                    ids.add(subject, value)
    ids.add("organisation", str(account.organisation["id"]))
    for path in paths:
        answer = await account.get(path)
        if "json" in answer.headers.get("content-type", ""):
            last = subject_of(path.rstrip("/").rpartition("/")[2])
            for subject, value in _named(answer.json(), last):
                ids.add(subject, value)
    return ids


def _named(data: Any, subject: str) -> Iterator[tuple[str, Id]]:
    """The ids in an answer: what is called `id`, or `…Id`."""
    if isinstance(data, list):
        for one in data:
            yield from _named(one, subject)
    elif isinstance(data, dict):
        for name, value in data.items():
            if isinstance(value, dict | list):
                yield from _named(value, subject if name == "data" else subject_of(name))
            elif isinstance(value, str | int) and value and ID.search(name):
                yield subject if name == "id" else subject_of(name), value


def secrets_of(rows: Mapping[str, list[str]], others: Mapping[str, list[str]]) -> dict[str, str]:
    """The texts that stand in an organisation's rows and in none of the other's: where each is."""
    known = "\n".join(text for texts in others.values() for text in texts)
    found: dict[str, str] = {}
    for table, texts in rows.items():
        for row in map(json.loads, texts):
            for column, value in row.items():
                for text in _texts(value):
                    written = json.dumps(text, ensure_ascii=False)[1:-1]
                    if len(text) < SHORTEST_SECRET or written in known:
                        continue
                    if column == "id" or text not in found:
                        found[text] = f"{table}.{column}"
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
