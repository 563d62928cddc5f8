"""Presences: who is connected, as the nodes tell it."""

from tenantry.db.migrations.script import run

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run("""
-- How many connections a person has open on a node. A node is a server process; it is alive while
-- it holds its advisory lock, and rows of dead nodes count for nothing. Unlogged: after a crash of
-- the database every node says it all again.
CREATE UNLOGGED TABLE presences (
    organisation_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    node            integer NOT NULL,
    connections     integer NOT NULL CHECK (connections > 0),
    since           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, user_id, node),
    FOREIGN KEY (organisation_id, user_id) REFERENCES memberships (organisation_id, user_id)
        ON DELETE CASCADE
) WITH (fillfactor = 70);
CREATE INDEX presences_of_node ON presences (node);

ALTER TABLE presences ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON presences
    USING (organisation_id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON presences TO tenantry_door USING (true);
GRANT SELECT ON presences TO tenantry_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON presences TO tenantry_door;

-- The nodes that are alive: those that hold the lock (1413830740, node).
CREATE FUNCTION tenantry.live_nodes() RETURNS SETOF integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_locks.objid::bigint::integer FROM pg_locks
     WHERE pg_locks.locktype = 'advisory' AND pg_locks.classid = 1413830740
       AND pg_locks.objsubid = 2 AND pg_locks.granted
       AND pg_locks.database = (SELECT pg_database.oid FROM pg_database
                                 WHERE pg_database.datname = current_database());
END;
REVOKE ALL ON FUNCTION tenantry.live_nodes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.live_nodes() TO tenantry_runtime, tenantry_door;

-- become_node: this connection, for as long as it lasts, is a node; gives its number.
-- What dead nodes have left is cleared away.
CREATE FUNCTION tenantry.become_node() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    node integer;
BEGIN
    LOOP
        node := floor(random() * 2147483647)::integer;
        EXIT WHEN pg_try_advisory_lock(1413830740, node);
    END LOOP;
    DELETE FROM presences WHERE presences.node NOT IN (SELECT tenantry.live_nodes());
    RETURN node;
END $$;

-- tell_presence: how many connections these people now have open on the node; 0 for none.
CREATE FUNCTION tenantry.tell_presence(
    _node integer, _organisations uuid[], _users uuid[], _connections integer[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    DELETE FROM public.presences
     USING unnest(_organisations, _users, _connections)
           AS told (organisation_id, user_id, connections)
     WHERE presences.organisation_id = told.organisation_id
       AND presences.user_id = told.user_id
       AND presences.node = _node
       AND told.connections = 0;
    INSERT INTO public.presences (organisation_id, user_id, node, connections)
    SELECT memberships.organisation_id, memberships.user_id, _node, told.connections
      FROM unnest(_organisations, _users, _connections)
           AS told (organisation_id, user_id, connections)
      JOIN public.memberships
        ON memberships.organisation_id = told.organisation_id
       AND memberships.user_id = told.user_id
     WHERE told.connections > 0
        ON CONFLICT (organisation_id, user_id, node)
        DO UPDATE SET connections = excluded.connections;
END;

DO $$
DECLARE door text;
BEGIN
    FOREACH door IN ARRAY ARRAY[
        'become_node()',
        'tell_presence(integer, uuid[], uuid[], integer[])'
    ] LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO tenantry_runtime', door);
    END LOOP;
END $$;
""")
