"""Invites, and the door by which an invited person comes in."""

from tenantry.db.migrations.script import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run("""
CREATE TABLE invites (
    organisation_id uuid NOT NULL REFERENCES organisations,
    id              uuid NOT NULL,
    email           text NOT NULL,
    role            text NOT NULL CHECK (role IN ('ADMIN', 'MEMBER')),
    token_hash      bytea NOT NULL UNIQUE,
    invited_by      uuid NOT NULL,
    expires_at      timestamptz NOT NULL,
    accepted_at     timestamptz,
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, id),
    FOREIGN KEY (organisation_id, invited_by) REFERENCES memberships (organisation_id, user_id)
);
CREATE UNIQUE INDEX invites_pending ON invites (organisation_id, lower(email))
    WHERE accepted_at IS NULL AND revoked_at IS NULL;

ALTER TABLE invites ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON invites
    USING (organisation_id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON invites TO tenantry_door USING (true);
GRANT SELECT (organisation_id, id, email, role, invited_by, expires_at, accepted_at, revoked_at,
              created_at),
      INSERT, UPDATE (accepted_at, revoked_at)
    ON invites TO tenantry_runtime;
GRANT SELECT ON invites TO tenantry_door;

-- enter_by_invite: who holds an open invite's token enters its organisation, for this
-- transaction. Also says what the answer must be where the invite does not open anything.
CREATE FUNCTION tenantry.enter_by_invite(
    _token_hash bytea,
    OUT organisation_id uuid, OUT id uuid, OUT email text, OUT role text,
    OUT state text, OUT account_exists boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT invites.organisation_id, invites.id, invites.email, invites.role,
           CASE WHEN invites.accepted_at IS NOT NULL THEN 'accepted'
                WHEN invites.expires_at <= now() THEN 'expired'
                WHEN invites.revoked_at IS NOT NULL THEN 'revoked'
                ELSE 'pending' END,
           EXISTS (SELECT FROM users
                    WHERE lower(users.email) = lower(invites.email) AND users.closed_at IS NULL)
      INTO enter_by_invite.organisation_id, enter_by_invite.id, enter_by_invite.email,
           enter_by_invite.role, enter_by_invite.state, enter_by_invite.account_exists
      FROM invites
     WHERE invites.token_hash = _token_hash;
    IF state = 'pending' THEN
        PERFORM set_config('tenantry.organisation_id',
                           enter_by_invite.organisation_id::text, true);
    END IF;
END $$;
ALTER FUNCTION tenantry.enter_by_invite(bytea) OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.enter_by_invite(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.enter_by_invite(bytea) TO tenantry_runtime;
""")
