"""Usage: what organisations have used of their plans' quotas; and the plan that a new one is on."""

from tenantry.db.migrations.script import run

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run("""
-- How much of a quota an organisation has used in a period, which begins at `period`.
CREATE TABLE usage (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name            text NOT NULL,
    period          timestamptz NOT NULL,
    used            bigint NOT NULL CHECK (used >= 0),
    PRIMARY KEY (organisation_id, name, period)
) WITH (fillfactor = 70);
ALTER TABLE usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON usage
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT, UPDATE (used) ON usage TO tenantry_runtime;

-- found_organisation: a new organisation on this plan, entered for this transaction.
-- False: the slug is taken.
DROP FUNCTION tenantry.found_organisation(uuid, text, text);
CREATE FUNCTION tenantry.found_organisation(_id uuid, _name text, _slug text, _plan text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO organisations (id, name, slug, subscription_plan)
        VALUES (_id, _name, _slug, _plan)
        ON CONFLICT (slug) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM set_config('tenantry.organisation_id', _id::text, true);
    RETURN true;
END $$;
ALTER FUNCTION tenantry.found_organisation(uuid, text, text, text) OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.found_organisation(uuid, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.found_organisation(uuid, text, text, text) TO tenantry_runtime;
""")
