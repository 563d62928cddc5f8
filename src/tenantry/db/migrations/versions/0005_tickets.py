"""Tickets: single-use passes for a WebSocket, so that no access token stands in an address."""

from tenantry.db.migrations.script import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run("""
CREATE TABLE tickets (
    organisation_id uuid NOT NULL REFERENCES organisations,
    token_hash      bytea NOT NULL UNIQUE,
    user_id         uuid NOT NULL,
    session_id      uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, token_hash),
    FOREIGN KEY (organisation_id, user_id) REFERENCES memberships (organisation_id, user_id)
);
CREATE INDEX tickets_of_session ON tickets (session_id);

ALTER TABLE tickets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON tickets
    USING (organisation_id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON tickets TO tenantry_door USING (true);
GRANT SELECT (organisation_id, session_id, expires_at), INSERT, DELETE
    ON tickets TO tenantry_runtime;
GRANT SELECT, DELETE ON tickets TO tenantry_door;

-- enter_by_ticket: who holds a ticket enters as who it was issued to, once. The ticket is spent
-- even where `enter` then refuses.
CREATE FUNCTION tenantry.enter_by_ticket(
    _token_hash bytea,
    OUT user_id uuid, OUT session_id uuid, OUT organisation_id uuid,
    OUT role text, OUT last_seq bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM tickets
     WHERE tickets.token_hash = _token_hash AND tickets.expires_at > now()
 RETURNING tickets.user_id, tickets.session_id, tickets.organisation_id
      INTO enter_by_ticket.user_id, enter_by_ticket.session_id, enter_by_ticket.organisation_id;
    SELECT entered.role, entered.last_seq INTO enter_by_ticket.role, enter_by_ticket.last_seq
      FROM tenantry.enter(enter_by_ticket.user_id, enter_by_ticket.session_id,
                          enter_by_ticket.organisation_id) AS entered;
END $$;
ALTER FUNCTION tenantry.enter_by_ticket(bytea) OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.enter_by_ticket(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.enter_by_ticket(bytea) TO tenantry_runtime;
""")
