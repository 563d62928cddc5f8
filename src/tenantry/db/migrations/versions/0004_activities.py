"""Activities: the feed, which is also the stream of events."""

from tenantry.db.migrations.script import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run("""
-- Append-only: seq is given under the organisation's lock, so each feed is gapless and its order
-- is the order of commits. metadata is the event's payload, as sent.
CREATE TABLE activities (
    organisation_id uuid NOT NULL REFERENCES organisations,
    seq             bigint NOT NULL,
    id              uuid NOT NULL,
    type            text NOT NULL,
    actor_id        uuid,
    target_id       uuid,
    message         text NOT NULL,
    metadata        jsonb NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, seq),
    FOREIGN KEY (organisation_id, actor_id) REFERENCES memberships (organisation_id, user_id),
    FOREIGN KEY (organisation_id, target_id) REFERENCES memberships (organisation_id, user_id)
);
CREATE INDEX activities_by_type ON activities (organisation_id, type, seq);
CREATE INDEX activities_by_actor ON activities (organisation_id, actor_id, seq);

ALTER TABLE activities ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON activities
    USING (organisation_id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON activities TO tenantry_door USING (true);
GRANT SELECT, INSERT ON activities TO tenantry_runtime;
GRANT SELECT ON activities TO tenantry_door;

-- events_after: for a server with open sockets, what lies past the last seq that it delivered,
-- for all of its organisations at once.
CREATE FUNCTION tenantry.events_after(
    _organisations uuid[], _seqs bigint[], _most integer,
    OUT organisation_id uuid, OUT seq bigint, OUT type text, OUT payload jsonb, OUT at timestamptz
) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT event.organisation_id, event.seq, event.type, event.metadata, event.created_at
      FROM unnest(_organisations, _seqs) AS cursor (organisation_id, seq)
     CROSS JOIN LATERAL (
         SELECT * FROM public.activities
          WHERE activities.organisation_id = cursor.organisation_id
            AND activities.seq > cursor.seq
          ORDER BY activities.seq
          LIMIT _most
     ) AS event
     ORDER BY event.organisation_id, event.seq;
END;
ALTER FUNCTION tenantry.events_after(uuid[], bigint[], integer) OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.events_after(uuid[], bigint[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.events_after(uuid[], bigint[], integer) TO tenantry_runtime;

-- standing: which of these sessions and memberships, in the order given, would `enter` let in now.
-- For a server with open sockets that may have missed an end.
CREATE FUNCTION tenantry.standing(_users uuid[], _sessions uuid[], _organisations uuid[])
RETURNS boolean[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT coalesce(array_agg(
               sessions.ended_at IS NULL AND sessions.expires_at > now()
               AND memberships.user_id IS NOT NULL AND memberships.removed_at IS NULL
               AND sessions.id IS NOT NULL
               ORDER BY asked.place), '{}')
      FROM unnest(_users, _sessions, _organisations) WITH ORDINALITY
           AS asked (user_id, session_id, organisation_id, place)
      LEFT JOIN public.sessions
             ON sessions.id = asked.session_id AND sessions.user_id = asked.user_id
      LEFT JOIN public.memberships
             ON memberships.organisation_id = asked.organisation_id
            AND memberships.user_id = asked.user_id;
END;
ALTER FUNCTION tenantry.standing(uuid[], uuid[], uuid[]) OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.standing(uuid[], uuid[], uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.standing(uuid[], uuid[], uuid[]) TO tenantry_runtime;
""")
