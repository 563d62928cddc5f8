"""The SQL of a tenant table, written from its columns: everything that its isolation needs.

It is there to be read (print it, or `tenantry migrate --sql`), and says no more than one would
write by hand. What it does not know is written beside it, as SQL.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

OnDelete = Literal["CASCADE", "SET NULL"]

IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
GRANT = re.compile(r"(SELECT|INSERT|UPDATE)(?: \(([^()]+)\))?|DELETE")
# These know nothing of the organisation, where they stand in a column.
WITHOUT_ORGANISATION = re.compile(r"\b(UNIQUE|REFERENCES|PRIMARY\s+KEY)\b", re.IGNORECASE)
STRING = re.compile(r"'(?:[^']|'')*'")
ISOLATION = "organisation_id = (SELECT tenantry.current_organisation())"
EVERYTHING = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Reference:
    """A foreign key that carries the organisation; as text, the constraint."""

    column: str
    table: str
    key: str
    on_delete: OnDelete | None = None

    def __str__(self) -> str:
        text = (
            f"FOREIGN KEY (organisation_id, {self.column}) "
            f"REFERENCES {self.table} (organisation_id, {self.key})"
        )
        if self.on_delete == "CASCADE":
            return f"{text} ON DELETE CASCADE"
        if self.on_delete == "SET NULL":  # of the column alone: the organisation stays
            return f"{text} ON DELETE SET NULL ({self.column})"
        return text


def reference(column: str, table: str, *, on_delete: OnDelete | None = None) -> Reference:
    """The column holds the id of a row of another tenant table, of the same organisation.

    Without `on_delete`, that row cannot be deleted while this one points to it; with it, this
    row goes too, or the column is emptied.

    Raises:
        ValueError: a name is none, or `on_delete` is something else.
    """
    if on_delete not in (None, "CASCADE", "SET NULL"):
        raise ValueError(
            f"{column} cannot be ON DELETE {on_delete}: say CASCADE, SET NULL or nothing, which "
            "keeps the row that is pointed to for as long as this one is there."
        )
    return Reference(_name(column), _name(table), "id", on_delete)


def member(column: str) -> Reference:
    """The column holds the id of a person who is, or was, a member of the same organisation.

    The rows of members who left stay, so nothing happens to this one then. Whether somebody is a
    member now is asked where they are chosen: `removed_at IS NULL` in memberships.

    Raises:
        ValueError: the name is none.
    """
    return Reference(_name(column), "memberships", "user_id")


def tenant_table(
    name: str,
    columns: Mapping[str, str],
    *,
    references: Sequence[Reference] = (),
    unique: Sequence[Sequence[str]] = (),
    indexes: Sequence[Sequence[str]] = (),
    grants: Sequence[str] = EVERYTHING,
) -> str:
    """The SQL of a table whose rows belong to organisations.

    `organisation_id` and `id` are written before `columns`, which are the others by name, each
    with its type and what else SQL says of it. `unique` and `indexes` are lists of columns;
    organisation_id goes before them, and each reference has an index. `grants` is what the
    server may do with its rows, as in `UPDATE (title, done)`.

    Raises:
        ValueError: something in it would not hold.
    """
    _name(name)
    ids = {"organisation_id": "uuid NOT NULL REFERENCES organisations ON DELETE CASCADE"}
    every = {**ids, "id": "uuid NOT NULL", **_checked(name, columns)}
    listed = [*unique, *indexes, *([key.column] for key in references)]
    for column in (column for columns_of in listed for column in columns_of):
        _known(name, column, every)
    width = max(map(len, every))
    lines = [f"{column:{width}} {definition}" for column, definition in every.items()]
    lines.append("PRIMARY KEY (organisation_id, id)")
    lines += [f"UNIQUE (organisation_id, {', '.join(columns_of)})" for columns_of in unique]
    lines += [str(key) for key in references]
    parts = [f"CREATE TABLE {name} (\n    " + ",\n    ".join(lines) + "\n);"]
    for columns_of in dict.fromkeys(map(tuple, [*([key.column] for key in references), *indexes])):
        index = _name(f"{name}_by_{'_'.join(columns_of)}"[:63])
        parts.append(f"CREATE INDEX {index} ON {name} (organisation_id, {', '.join(columns_of)});")
    parts += [
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;",
        f"CREATE POLICY isolation ON {name}\n    USING ({ISOLATION});",
    ]
    rights = [_right(name, grant, every) for grant in grants]
    if rights:
        parts.append(f"GRANT {', '.join(rights)} ON {name} TO tenantry_runtime;")
    return "\n".join(parts) + "\n"


def _checked(table: str, columns: Mapping[str, str]) -> dict[str, str]:
    for column, definition in columns.items():
        _name(column)
        if column in ("organisation_id", "id"):
            raise ValueError(f"{table}.{column} is written by itself: leave it out.")
        if not definition.strip():
            raise ValueError(f"{table}.{column} has no type.")
        if match := WITHOUT_ORGANISATION.search(STRING.sub("''", definition)):
            raise ValueError(
                f"{table}.{column} says {match[1].upper()}, which would not have the organisation "
                f'in it. Say unique=[["{column}"]] or references=[reference("{column}", …)].'
            )
    return dict(columns)


def _right(table: str, grant: str, every: Mapping[str, str]) -> str:
    match = GRANT.fullmatch(grant)
    if match is None:
        raise ValueError(
            f"{grant!r} on {table} cannot be granted: say SELECT, INSERT, UPDATE or DELETE, the "
            "first three with columns if they are meant for those only. Other rights pass the "
            "policies."
        )
    for column in (match[2] or "").split(",") if match[2] else ():
        _known(table, column.strip(), every)
    return grant


def _known(table: str, column: str, every: Mapping[str, str]) -> None:
    if column not in every:
        raise ValueError(f"{table} has no column {column!r}.")
    if column == "organisation_id":
        raise ValueError(f"{table}.organisation_id is written by itself: leave it out.")


def _name(name: str) -> str:
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be a name: use at most 63 of a-z, 0-9 and _, not a digit first."
        )
    return name
