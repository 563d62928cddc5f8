"""Accepting an invite takes its lock, and what stands under it, in one round trip."""

from tenantry.db.migrations.script import run

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run("""
-- lock_by_invite: enter_by_invite, the lock of its organisation's row, and what the invite is now
-- that we hold it.
CREATE FUNCTION tenantry.lock_by_invite(
    _token_hash bytea, OUT organisation_id uuid, OUT id uuid, OUT email text, OUT role text,
    OUT custom_role_id uuid, OUT state text, OUT subscription_plan text, OUT member_count integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    invite record;
BEGIN
    SELECT * INTO invite FROM tenantry.enter_by_invite(_token_hash);
    IF invite.state = 'pending' THEN
        SELECT organisations.subscription_plan, organisations.member_count
          INTO lock_by_invite.subscription_plan, lock_by_invite.member_count
          FROM organisations
         WHERE organisations.id = invite.organisation_id
           FOR NO KEY UPDATE;
        SELECT * INTO invite FROM tenantry.enter_by_invite(_token_hash);
    END IF;
    organisation_id := invite.organisation_id;
    id := invite.id;
    email := invite.email;
    role := invite.role;
    custom_role_id := invite.custom_role_id;
    state := invite.state;
END $$;

ALTER FUNCTION tenantry.lock_by_invite(bytea) OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.lock_by_invite(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.lock_by_invite(bytea) TO tenantry_runtime;
""")
