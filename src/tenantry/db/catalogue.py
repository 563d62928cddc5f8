"""What the isolation check asks of PostgreSQL's catalogue. $1 is the role it is about, or its oid.

Tables are always named with their schema.
"""

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """Something that breaks the isolation: `what` is a table, column, role or function.

    `mend` is SQL for the owner to run.
    """

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

_TENANT = """
    (SELECT a.attrelid FROM pg_attribute a
       JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
       JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE a.attname = 'organisation_id' AND NOT a.attisdropped
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname NOT LIKE 'pg\\_%')
"""

PRIMARY_KEYS = f"""
-- The primary keys of tenant tables, and whether others' keys hang on one.
SELECT format('%I.%I', n.nspname, c.relname) AS name,
       quote_ident(k.conname)                AS constraint,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS part (number, place)
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = part.number
              ORDER BY part.place)           AS columns,
       coalesce((SELECT bool_and(f.conrelid IN {_TENANT}) FROM pg_constraint f
                  WHERE f.contype = 'f' AND f.confrelid = c.oid
                    AND f.conindid = k.conindid), false) AS used_by_tenant_tables
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
 WHERE c.oid IN {_TENANT}
 ORDER BY 1
"""

FOREIGN_KEYS = f"""
-- Foreign keys, with the columns that they compare and what happens when their target goes.
SELECT format('%I.%I', n.nspname, c.relname)   AS name,
       quote_ident(k.conname)                  AS constraint,
       k.confrelid::regclass::text             AS target,
       k.confdeltype::text                     AS on_delete,
       columns.mine                            AS columns,
       columns.theirs                          AS others,
       columns.pairs                           AS pairs,
       ARRAY(SELECT a.attname::text
               FROM unnest(coalesce(k.confdelsetcols, k.conkey)) AS emptied (number)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = emptied.number)
                                               AS emptied,
       k.confrelid = to_regclass('public.organisations')        AS to_root,
       k.conrelid IN {_TENANT} AND k.confrelid IN {_TENANT}     AS between_tenant_tables,
       k.conrelid NOT IN {_TENANT} AND k.confrelid IN {_TENANT} AS from_outside
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
       SELECT array_agg(quote_ident(a.attname) ORDER BY pair.place)   AS mine,
              array_agg(quote_ident(b.attname) ORDER BY pair.place)   AS theirs,
              array_agg(a.attname || '=' || b.attname)                AS pairs
         FROM unnest(k.conkey, k.confkey) WITH ORDINALITY AS pair (mine, theirs, place)
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.mine
         JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = pair.theirs) AS columns
 WHERE k.contype = 'f' AND k.conparentid = 0
 ORDER BY 1, 2
"""

LEFT_BEHIND = f"""
-- Tenant tables that no chain of ON DELETE CASCADE joins to organisations by organisation_id.
WITH RECURSIVE carried AS (
    SELECT to_regclass('public.organisations')::oid AS relation
    UNION
    SELECT k.conrelid
      FROM carried
      JOIN pg_constraint k ON k.confrelid = carried.relation
                          AND k.contype = 'f' AND k.confdeltype = 'c'
     WHERE EXISTS (SELECT FROM unnest(k.conkey, k.confkey) AS pair (mine, theirs)
                     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.mine
                     JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = pair.theirs
                    WHERE a.attname = 'organisation_id'
                      AND b.attname IN ('organisation_id', 'id')
                      AND (b.attname = 'organisation_id'
                           OR k.confrelid = to_regclass('public.organisations')))
)
SELECT format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid IN {_TENANT} AND c.oid NOT IN (SELECT relation FROM carried)
 ORDER BY 1
"""

UNIQUE_KEYS = f"""
-- What is unique in tenant tables across organisations, but for UUIDs, which nobody can guess.
SELECT format('%I.%I', n.nspname, c.relname)        AS name,
       c.relname                                    AS table,
       format('%I.%I', n.nspname, ic.relname)       AS index,
       (SELECT quote_ident(k.conname) FROM pg_constraint k
         WHERE k.conindid = i.indexrelid AND k.contype = 'u') AS constraint,
       i.indexprs IS NULL AND i.indpred IS NULL     AS plain,
       ARRAY(SELECT quote_ident(a.attname)
               FROM unnest(i.indkey) WITH ORDINALITY AS part (number, place)
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = part.number
              WHERE part.place <= i.indnkeyatts
              ORDER BY part.place)                  AS columns
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class ic ON ic.oid = i.indexrelid
 WHERE i.indisunique AND NOT i.indisprimary AND c.oid IN {_TENANT}
   AND NOT EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
                      AND (a.attname = 'organisation_id' OR a.atttypid = 'uuid'::regtype))
 ORDER BY 1, 3
"""

ROLES = """
-- A role of ours, the logins that are its members and may connect to this database, and what
-- each could do beyond its rights.
SELECT r.oid, r.rolname AS name, quote_ident(current_database()) AS database,
       r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication,
       ARRAY(SELECT o.rolname FROM pg_roles o
              WHERE o.oid <> r.oid AND o.rolname <> $1
                AND NOT r.rolsuper AND pg_has_role(r.oid, o.oid, 'MEMBER')
              ORDER BY 1) AS memberships,
       ARRAY(SELECT c.oid::regclass::text FROM pg_class c
              WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
              ORDER BY 1) AS owns,
       NOT r.rolsuper
           AND has_database_privilege(r.oid, current_database(), 'CREATE') AS creates_schemas,
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

SECRET_COLUMNS = """
SELECT format('public.%I.%I', secret.relation, a.attname) AS name
  FROM unnest($2::text[], $3::text[]) AS secret (relation, attribute)
  JOIN pg_attribute a ON a.attrelid = to_regclass('public.' || secret.relation)
                     AND a.attname = secret.attribute
 WHERE has_column_privilege($1::oid, a.attrelid, a.attnum, 'SELECT')
 ORDER BY 1
"""

QUESTION = """
SELECT pg_get_function_sqlbody(p.oid) AS body, p.prosecdef AS definer
  FROM pg_proc p
 WHERE p.oid = to_regprocedure('tenantry.current_organisation()')
"""

RIGHTS = """
-- Rights of the runtime role that no policy governs.
SELECT format('%I.%I', n.nspname, c.relname) AS name, right_.name AS "right"
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
SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind
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

BEYOND_THE_QUEUE = """
-- Relations other than the queue's that the worker's role has any right on.
SELECT format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tenantry_jobs')
   AND n.nspname NOT LIKE 'pg\\_toast%'
   AND c.relname <> 'alembic_version'
   AND (has_table_privilege($1::oid, c.oid,
                            'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege($1::oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
 ORDER BY 1
"""

FUNCTIONS = """
-- SECURITY DEFINER functions that the role may call.
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
