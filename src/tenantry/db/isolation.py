"""The proof of isolation: reads the catalogue and names every way past a tenant's border.

A tenant table is one with an organisation_id, and organisations itself. What is checked:
each has row-level security enabled and forced, exactly the isolation policy, organisation_id
first in its primary key and in every foreign key to another tenant table; and the runtime role,
with every login that is its member, has no right or function that leads around a policy.
"""

from collections.abc import Sequence

import msgspec
from asyncpg import Record

from tenantry.db.pool import Connection

RUNTIME = "tenantry_runtime"
DOOR = "tenantry_door"

# What a permissive policy must say, as PostgreSQL prints it.
CURRENT = "( SELECT tenantry.current_organisation() AS current_organisation)"


class Fault(msgspec.Struct, frozen=True):
    """Something that breaks the isolation: `what` is a table, role or function."""

    what: str
    problem: str
    mend: str


TABLES = """
-- Every table of ours and of whoever builds on us, with what its isolation hangs on.
SELECT format('%I.%I', n.nspname, c.relname)                              AS name,
       c.relname = 'organisations' AND n.nspname = 'public'              AS is_root,
       EXISTS (SELECT FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attname = 'organisation_id'
                  AND NOT a.attisdropped)                                AS has_key,
       c.relrowsecurity                                                  AS enabled,
       c.relforcerowsecurity                                             AS forced,
       (SELECT a.attname FROM pg_constraint k
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
         WHERE k.conrelid = c.oid AND k.contype = 'p')                   AS first_key,
       (SELECT a.attnotnull FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attname = 'organisation_id')     AS key_not_null
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND n.nspname NOT LIKE 'pg\\_temp%'
 ORDER BY 1
"""

POLICIES = """
-- The policies that bind the runtime role: those for everybody, for it, or for a role it is in.
SELECT format('%I.%I', n.nspname, c.relname)          AS name,
       p.polname                                      AS policy,
       p.polpermissive                                AS permissive,
       pg_get_expr(p.polqual, p.polrelid)             AS visible,
       pg_get_expr(p.polwithcheck, p.polrelid)        AS written
  FROM pg_policy p
  JOIN pg_class c ON c.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE EXISTS (SELECT FROM unnest(p.polroles) AS granted (oid)
                WHERE granted.oid = 0
                   OR EXISTS (SELECT FROM pg_roles r
                               WHERE r.rolname = ANY($1)
                                 AND pg_has_role(r.oid, granted.oid, 'USAGE')))
 ORDER BY 1, 2
"""

FOREIGN_KEYS = """
-- Foreign keys, with the pairs of columns that they compare.
SELECT k.conrelid::regclass::text  AS name,
       k.conname                   AS constraint,
       k.confrelid::regclass::text AS target,
       ARRAY(SELECT a.attname || '=' || b.attname
               FROM unnest(k.conkey, k.confkey) AS pair (mine, theirs)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.mine
               JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = pair.theirs) AS pairs,
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid
                  AND a.attname = 'organisation_id') AND
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.confrelid
                  AND a.attname = 'organisation_id') AS between_tenant_tables
  FROM pg_constraint k
 WHERE k.contype = 'f'
 ORDER BY 1, 2
"""

ROLES = """
-- The runtime role, the logins that are its members and may connect to this database, and what
-- each could do beyond its rights.
SELECT r.oid, r.rolname AS name, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication,
       ARRAY(SELECT o.rolname FROM pg_roles o
              WHERE o.oid <> r.oid AND o.rolname <> $1
                AND NOT r.rolsuper AND pg_has_role(r.oid, o.oid, 'MEMBER')
              ORDER BY 1) AS memberships,
       ARRAY(SELECT c.oid::regclass::text FROM pg_class c
              WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
              ORDER BY 1) AS owns,
       ARRAY(SELECT n.nspname FROM pg_namespace n
              WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
                AND NOT r.rolsuper AND has_schema_privilege(r.oid, n.oid, 'CREATE')
              ORDER BY 1) AS creates_in
  FROM pg_roles r
 WHERE r.rolname = $1
    OR (NOT r.rolsuper AND pg_has_role(r.oid, $1::regrole, 'MEMBER')
        AND has_database_privilege(r.oid, current_database(), 'CONNECT')
        AND r.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database()))
 ORDER BY 1
"""

RIGHTS = """
-- Rights of the runtime role that no policy governs.
SELECT c.oid::regclass::text AS name, right_.name AS "right"
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) AS right_ (name)
 WHERE c.relkind IN ('r', 'p')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND has_table_privilege($1::oid, c.oid, right_.name)
 ORDER BY 1, 2
"""

UNGUARDED = """
-- Relations that the runtime role can read or write although no policy of its own stands there.
SELECT c.oid::regclass::text AS name, c.relkind::text AS kind
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\\_toast%'
   AND (has_table_privilege($1::oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
        OR has_any_column_privilege($1::oid, c.oid, 'SELECT, INSERT, UPDATE'))
   AND (   (c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
            AND c.relname <> 'alembic_version')
        OR (c.relkind = 'v' AND NOT coalesce(c.reloptions::text[] @> '{security_invoker=true}'
                                             OR c.reloptions::text[] @> '{security_invoker=on}',
                                             false))
        OR c.relkind IN ('m', 'f'))
 ORDER BY 1
"""

FUNCTIONS = """
-- SECURITY DEFINER functions that the runtime role may call.
SELECT p.oid::regprocedure::text AS name,
       o.rolname AS owner,
       EXISTS (SELECT FROM unnest(p.proconfig) AS setting (text)
                WHERE setting.text LIKE 'search_path=%pg_temp') AS pinned
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_roles o ON o.oid = p.proowner
 WHERE p.prosecdef
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND has_schema_privilege($1::oid, n.oid, 'USAGE')
   AND has_function_privilege($1::oid, p.oid, 'EXECUTE')
 ORDER BY 1
"""


async def tenant_tables(connection: Connection) -> list[str]:
    """The qualified names of the tenant tables in the catalogue."""
    return [
        row["name"] for row in await connection.fetch(TABLES) if row["has_key"] or row["is_root"]
    ]


async def faults(connection: Connection) -> list[Fault]:
    """Everything that breaks the isolation of this database; nothing, where it stands."""
    if await connection.fetchval("SELECT to_regrole($1)", RUNTIME) is None:
        return [Fault("the database", "has no Tenantry schema", "run `tenantry migrate`")]
    roles = await connection.fetch(ROLES, RUNTIME)
    names = [role["name"] for role in roles]
    policies = await connection.fetch(POLICIES, names)
    found = []
    for table in await connection.fetch(TABLES):
        if table["has_key"] or table["is_root"]:
            mine = [policy for policy in policies if policy["name"] == table["name"]]
            found += _table_faults(table, mine)
    found += [
        Fault(
            key["name"],
            f"the foreign key {key['constraint']} to {key['target']} lacks the organisation, "
            "so a row could point into another one",
            "make it FOREIGN KEY (organisation_id, …) REFERENCES … (organisation_id, …)",
        )
        for key in await connection.fetch(FOREIGN_KEYS)
        if key["between_tenant_tables"] and "organisation_id=organisation_id" not in key["pairs"]
    ]
    for role in roles:
        found += _role_faults(role)
        found += await _right_faults(connection, role)
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
    if table["first_key"] != key:
        found.append(
            Fault(
                name,
                "the primary key does not begin with organisation_id",
                "make it PRIMARY KEY (organisation_id, …)",
            )
        )
    if table["has_key"] and not table["key_not_null"]:
        found.append(
            Fault(name, "organisation_id may be null", "make it organisation_id uuid NOT NULL")
        )
    isolation = f"({key} = {CURRENT})"
    permissive = [policy for policy in policies if policy["permissive"]]
    if not permissive:
        found.append(
            Fault(
                name,
                "has no isolation policy",
                f"CREATE POLICY isolation ON {name} "
                f"USING ({key} = (SELECT tenantry.current_organisation()))",
            )
        )
    found += [
        Fault(
            name,
            f"the policy {policy['policy']} lets through more than the entered organisation's rows",
            f"drop it, make it restrictive, or say USING ({key} = "
            "(SELECT tenantry.current_organisation()))",
        )
        for policy in permissive
        if policy["visible"] not in (isolation, None)
        or policy["written"] not in (isolation, None)
        or (policy["visible"] is None and policy["written"] is None)
    ]
    return found


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
    found += [
        Fault(name, f"is a member of {other}", f"REVOKE {other} FROM {name}")
        for other in role["memberships"]
    ]
    found += [
        Fault(name, f"owns {table}", f"ALTER TABLE {table} OWNER TO the migrating role")
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


async def _right_faults(connection: Connection, login: Record) -> list[Fault]:
    oid, role = login["oid"], login["name"]
    kinds = {
        "r": ("no forced row-level security", "enable and force it, with a policy"),
        "p": ("no forced row-level security", "enable and force it, with a policy"),
        "v": ("a view runs with its owner's rights", "make it WITH (security_invoker = true)"),
        "m": ("a materialised view has no policies", f"revoke every right on it from {role}"),
        "f": ("a foreign table has no policies", f"revoke every right on it from {role}"),
    }
    found = [
        Fault(
            row["name"],
            f"{role} has {row['right']} on it, which no policy governs",
            f"REVOKE {row['right']} ON {row['name']} FROM {role}, PUBLIC",
        )
        for row in await connection.fetch(RIGHTS, oid)
    ]
    found += [
        Fault(row["name"], f"{role} can use it, but {kinds[row['kind']][0]}", kinds[row["kind"]][1])
        for row in await connection.fetch(UNGUARDED, oid)
    ]
    for row in await connection.fetch(FUNCTIONS, oid):
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
