"""The keys of tenant tables: what the isolation, and the end of an organisation, hang on.

An organisation is purged by one DELETE, which the foreign keys carry on to every row of its own.
A key that forgets the organisation lets a row point into another one; a key that does not carry
the DELETE on keeps the rows, or keeps the organisation.
"""

import re

from asyncpg import Record

from tenantry.db import catalogue
from tenantry.db.catalogue import Fault
from tenantry.db.pool import DriverConnection

ORGANISATION = "organisation_id"
TO_ORGANISATION = (
    "ADD FOREIGN KEY (organisation_id) REFERENCES public.organisations ON DELETE CASCADE"
)


async def faults(connection: DriverConnection, secrets: dict[str, list[str]]) -> list[Fault]:
    """What is wrong with the keys of the tenant tables, primary keys before those to them."""
    keys = await connection.fetch(catalogue.FOREIGN_KEYS)
    found = [
        _primary_key(table)
        for table in await connection.fetch(catalogue.PRIMARY_KEYS)
        if table["columns"][:1] != [ORGANISATION]
    ]
    for key in keys:
        if key["between_tenant_tables"] and f"{ORGANISATION}={ORGANISATION}" not in key["pairs"]:
            found.append(
                Fault(
                    key["name"],
                    f"the foreign key {key['constraint']} to {key['target']} lacks the "
                    "organisation, so a row could point into another one",
                    _again(key, [ORGANISATION, *key["columns"]], [ORGANISATION, *key["others"]]),
                )
            )
        elif problem := _keeps(key):
            found.append(Fault(key["name"], problem, _again(key, key["columns"], key["others"])))
    found += [
        Fault(
            row["name"],
            "its rows are not deleted with their organisation",
            f"ALTER TABLE {row['name']} {TO_ORGANISATION}",
        )
        for row in await connection.fetch(catalogue.LEFT_BEHIND)
        if not any(
            key["name"] == row["name"] and key["to_root"] and key["columns"] == [ORGANISATION]
            for key in keys
        )
    ]
    found += [
        _unique(row)
        for row in await connection.fetch(catalogue.UNIQUE_KEYS)
        if not set(row["columns"]) & set(secrets.get(row["table"], []))
    ]
    return found


def _primary_key(table: Record) -> Fault:
    rest = [column for column in table["columns"] if column != ORGANISATION]
    name = table["name"]
    columns = ", ".join(f'"{one}"' if not re.fullmatch(r"[a-z_0-9]+", one) else one for one in rest)
    if not rest:
        mend = f"ALTER TABLE {name} ADD PRIMARY KEY (organisation_id, id)"
    else:
        # The keys of tenant tables to it are made anew by the mends that follow.
        cascade = " CASCADE" if table["used_by_tenant_tables"] else ""
        mend = (
            f"ALTER TABLE {name} DROP CONSTRAINT {table['constraint']}{cascade}, "
            f"ADD PRIMARY KEY (organisation_id, {columns})"
        )
    return Fault(name, "the primary key does not begin with organisation_id", mend)


def _keeps(key: Record) -> str | None:
    """How a foreign key stands in the way of deleting what it points to; None, if it does not.

    Between tenant tables nothing does: their rows are all gone before such a key is asked.
    """
    to, action = key["target"], key["on_delete"]
    if action in ("r", "a") and (key["to_root"] or key["from_outside"]):
        return f"the foreign key {key['constraint']} to {to} keeps organisations from being purged"
    if action in ("n", "d") and ORGANISATION in key["emptied"]:
        return (
            f"the foreign key {key['constraint']} to {to} would empty organisation_id too, so "
            "nothing that it points to can be deleted"
        )
    return None


def _again(key: Record, columns: list[str], others: list[str]) -> str:
    """The same foreign key, as it should be."""
    action = {
        "c": " ON DELETE CASCADE",
        "r": " ON DELETE RESTRICT",
        "a": "",
    }.get(key["on_delete"])
    if action is None:
        emptied = ", ".join(column for column in key["columns"] if column != ORGANISATION)
        action = f" ON DELETE SET NULL ({emptied})"
    if key["to_root"] or key["from_outside"]:
        action = " ON DELETE CASCADE"
    return (
        f"ALTER TABLE {key['name']} DROP CONSTRAINT IF EXISTS {key['constraint']}, "
        f"ADD CONSTRAINT {key['constraint']} FOREIGN KEY ({', '.join(columns)}) "
        f"REFERENCES {key['target']} ({', '.join(others)}){action}"
    )


def _unique(row: Record) -> Fault:
    columns = ", ".join(row["columns"])
    if row["constraint"]:
        mend = (
            f"ALTER TABLE {row['name']} DROP CONSTRAINT {row['constraint']}, "
            f"ADD UNIQUE (organisation_id, {columns})"
        )
    elif row["plain"]:
        mend = (
            f"DROP INDEX {row['index']}; "
            f"CREATE UNIQUE INDEX ON {row['name']} (organisation_id, {columns})"
        )
    else:
        mend = f"DROP INDEX {row['index']}; -- and make it again, with organisation_id first"
    return Fault(
        row["name"],
        f"{row['index']} is unique without the organisation, so a refusal tells one organisation "
        "what another has",
        mend,
    )
