"""The proof of isolation: reads the catalogue and names every way past a tenant's border.

A tenant table is one with an organisation_id, and organisations itself. What is checked:

- each has row-level security enabled and forced, no permissive policy that lets the runtime role
  see or write more than the entered organisation's rows, organisation_id first in its primary key,
  compared in every foreign key to another tenant table and part of what is unique; its rows go
  with their organisation, and nothing keeps that (`keys`);
- every other table that the runtime role may use has forced policies that ask for the entered
  organisation, and it may not read what only the doors read (`SECRETS`);
- the runtime role, and every login that is its member, has no power, right, view or function that
  leads around a policy; and the function that policies ask is the migrations' own;
- the worker's role, likewise, has rights on the queue and the doors only.
"""

from collections.abc import Sequence

from asyncpg import Record

from tenantry.db import catalogue, keys
from tenantry.db.catalogue import Fault
from tenantry.db.pool import DriverConnection

RUNTIME = "tenantry_runtime"
WORKER = "tenantry_worker"
DOOR = "tenantry_door"

# What a permissive policy must say, as PostgreSQL prints it.
CURRENT = "( SELECT tenantry.current_organisation() AS current_organisation)"

# How the policies' question is answered, as PostgreSQL prints the function's body.
CURRENT_ORGANISATION = (
    "RETURN (NULLIF(current_setting('tenantry.organisation_id'::text, true), ''::text))::uuid"
)

# Columns that only the doors may read: who has them can guess passwords or take over sessions.
SECRETS = {
    "users": ["password_hash"],
    "invites": ["token_hash"],
    "deletions": ["token_hash"],
    "tickets": ["token_hash"],
    "one_time_tokens": ["token_hash"],
    "auth_attempts": ["key"],
    "sessions": ["id"],
    "refresh_families": ["id", "refresh_hash", "previous_hash"],
    "totp_secrets": ["secret"],
    "recovery_codes": ["code_hash"],
    "passkeys": ["credential_id", "public_key"],
    "challenges": ["token_hash"],
}


async def tenant_tables(connection: DriverConnection) -> list[str]:
    """The qualified names of the tenant tables in the catalogue."""
    return [
        row["name"]
        for row in await connection.fetch(catalogue.TABLES)
        if row["has_key"] or row["is_root"]
    ]


async def faults(connection: DriverConnection) -> list[Fault]:
    """Everything that breaks the isolation of this database; nothing, where it stands."""
    for needed in (RUNTIME, WORKER):
        if await connection.fetchval("SELECT to_regrole($1)", needed) is None:
            return [Fault("the database", f"has no role {needed}", "run `tenantry migrate`")]
    roles = await connection.fetch(catalogue.ROLES, RUNTIME)
    names = [role["name"] for role in roles]
    policies = await connection.fetch(catalogue.POLICIES, names)
    found = []
    for table in await connection.fetch(catalogue.TABLES):
        mine = [policy for policy in policies if policy["name"] == table["name"]]
        if table["has_key"] or table["is_root"]:
            found += _table_faults(table, mine)
        else:
            found += _policy_faults(table["name"], mine)
    found += await keys.faults(connection, SECRETS)
    question = await connection.fetchrow(catalogue.QUESTION)
    if question is None or question["definer"] or question["body"] != CURRENT_ORGANISATION:
        found.append(
            Fault(
                "tenantry.current_organisation()",
                "is not the migrations' own, and every policy asks it",
                "CREATE OR REPLACE FUNCTION tenantry.current_organisation() RETURNS uuid "
                "LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER RETURN "
                "nullif(current_setting('tenantry.organisation_id', true), '')::uuid",
            )
        )
    for role in roles:
        found += _role_faults(role)
        found += await _right_faults(connection, role)
        found += await _function_faults(connection, role)
    for role in await connection.fetch(catalogue.ROLES, WORKER):
        found += _role_faults(role)
        found += [
            Fault(
                row["name"],
                f"{role['name']} can use it, and the worker's business is the queue",
                f"REVOKE ALL ON {row['name']} FROM {role['name']}, PUBLIC",
            )
            for row in await connection.fetch(catalogue.BEYOND_THE_QUEUE, role["oid"])
        ]
        found += await _function_faults(connection, role)
    return list(dict.fromkeys(found))


def _table_faults(table: Record, policies: Sequence[Record]) -> list[Fault]:
    name = table["name"]
    key = "id" if table["is_root"] else "organisation_id"
    found = []
    if not table["enabled"]:
        found.append(
            Fault(
                name,
                "row-level security is not enabled",
                f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
            )
        )
    if not table["forced"]:
        found.append(
            Fault(
                name,
                "row-level security is not forced, so the table's owner passes it",
                f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
            )
        )
    if table["has_key"] and not table["key_not_null"]:
        found.append(
            Fault(
                name,
                "organisation_id may be null",
                f"ALTER TABLE {name} ALTER organisation_id SET NOT NULL",
            )
        )
    isolation = f"({key} = {CURRENT})"
    create = (
        f"CREATE POLICY isolation ON {name} "
        f"USING ({key} = (SELECT tenantry.current_organisation()))"
    )
    permissive = [policy for policy in policies if policy["permissive"]]
    wide = [
        policy
        for policy in permissive
        if policy["visible"] not in (isolation, None)
        or policy["written"] not in (isolation, None)
        or (policy["visible"] is None and policy["written"] is None)
    ]
    if not permissive:
        found.append(Fault(name, "has no isolation policy", create))
    found += [
        Fault(
            name,
            f"the policy {policy['policy']} lets through more than the entered organisation's rows",
            f"DROP POLICY {policy['policy']} ON {name}"
            + (f"; {create}" if wide == permissive and policy == wide[-1] else ""),
        )
        for policy in wide
    ]
    return found


def _policy_faults(name: str, policies: Sequence[Record]) -> list[Fault]:
    """Of a table that has no organisation_id: its policies must ask for the organisation too."""
    return [
        Fault(
            name,
            f"the policy {policy['policy']} does not ask for the entered organisation",
            f"DROP POLICY {policy['policy']} ON {name}; -- or let it compare with "
            "(SELECT tenantry.current_organisation())",
        )
        for policy in policies
        if policy["permissive"]
        and any(
            CURRENT not in expression
            for expression in (policy["visible"], policy["written"])
            if expression is not None
        )
    ]


def _role_faults(role: Record) -> list[Fault]:
    name = role["name"]
    powers = {
        "rolsuper": ("is a superuser, whom no policy binds", "NOSUPERUSER"),
        "rolbypassrls": ("has BYPASSRLS", "NOBYPASSRLS"),
        "rolcreaterole": ("may create roles", "NOCREATEROLE"),
        "rolreplication": ("may replicate, and so read every row", "NOREPLICATION"),
    }
    found = [
        Fault(name, problem, f"ALTER ROLE {name} {mend}")
        for power, (problem, mend) in powers.items()
        if role[power]
    ]
    if role["creates_schemas"]:
        found.append(
            Fault(
                name,
                "may create schemas in this database",
                f"REVOKE CREATE ON DATABASE {role['database']} FROM {name}, PUBLIC",
            )
        )
    found += [
        Fault(name, f"is a member of {other}", f"REVOKE {other} FROM {name}")
        for other in role["memberships"]
    ]
    found += [
        Fault(name, f"owns {table}", f"ALTER TABLE {table} OWNER TO CURRENT_USER")
        for table in role["owns"]
    ]
    found += [
        Fault(
            name,
            f"may create in the schema {schema}",
            f"REVOKE CREATE ON SCHEMA {schema} FROM {name}, PUBLIC",
        )
        for schema in role["creates_in"]
    ]
    return found


async def _right_faults(connection: DriverConnection, login: Record) -> list[Fault]:
    oid, role = login["oid"], login["name"]
    force = "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    revoke = f"REVOKE ALL ON {{}} FROM {role}, PUBLIC"
    kinds = {
        "r": ("no forced row-level security", f"{force}; -- or {revoke}"),
        "p": ("no forced row-level security", f"{force}; -- or {revoke}"),
        "v": ("a view runs with its owner's rights", "ALTER VIEW {} SET (security_invoker = true)"),
        "m": ("a materialised view has no policies", revoke),
        "f": ("a foreign table has no policies", revoke),
    }
    found = [
        Fault(
            row["name"],
            f"{role} has {row['right']} on it, which no policy governs",
            f"REVOKE {row['right']} ON {row['name']} FROM {role}, PUBLIC",
        )
        for row in await connection.fetch(catalogue.RIGHTS, oid)
    ]
    found += [
        Fault(
            row["name"],
            f"{role} can use it, but {kinds[row['kind']][0]}",
            kinds[row["kind"]][1].format(*[row["name"]] * 2),
        )
        for row in await connection.fetch(catalogue.UNGUARDED, oid)
    ]
    secrets = [(table, column) for table, columns in SECRETS.items() for column in columns]
    found += [
        Fault(
            row["name"],
            f"{role} can read it, and only the doors may",
            f"REVOKE SELECT ON {row['name'].rpartition('.')[0]} FROM {role}, PUBLIC; "
            "-- and grant the other columns one by one",
        )
        for row in await connection.fetch(
            catalogue.SECRET_COLUMNS, oid, [one[0] for one in secrets], [one[1] for one in secrets]
        )
    ]
    return found


async def _function_faults(connection: DriverConnection, login: Record) -> list[Fault]:
    role = login["name"]
    found = []
    for row in await connection.fetch(catalogue.FUNCTIONS, login["oid"]):
        if row["owner"] != DOOR:
            found.append(
                Fault(
                    row["name"],
                    f"runs with the rights of {row['owner']}, and {role} may call it",
                    f"REVOKE EXECUTE ON FUNCTION {row['name']} FROM {role}, PUBLIC",
                )
            )
        if not row["pinned"]:
            found.append(
                Fault(
                    row["name"],
                    "is SECURITY DEFINER without a pinned search_path",
                    f"ALTER FUNCTION {row['name']} SET search_path = pg_catalog, public, pg_temp",
                )
            )
    return found
