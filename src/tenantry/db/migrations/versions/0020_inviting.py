"""Inviting asks for the addresses by their index, however many members and invites there are.

Row-level security keeps `lower(email)` from using an index, as it is not leakproof: an invite read
every member of the organisation.
"""

from tenantry.db.migrations.script import run

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run("""
CREATE INDEX invites_expiring ON invites (organisation_id, expires_at)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;

-- standing_of: which of the addresses, in lower case, are members of the entered organisation, or
-- have an invite there that is open, or one that has expired.
CREATE FUNCTION tenantry.standing_of(
    _emails text[], OUT members text[], OUT invited text[], OUT expired text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    entered CONSTANT uuid := tenantry.current_organisation();
BEGIN
    SELECT array_agg(lower(users.email)) INTO members
      FROM users
      JOIN memberships ON memberships.user_id = users.id
     WHERE lower(users.email) = ANY(_emails) AND users.closed_at IS NULL
       AND memberships.organisation_id = entered AND memberships.removed_at IS NULL;
    SELECT array_agg(lower(email)) FILTER (WHERE expires_at > now()),
           array_agg(lower(email)) FILTER (WHERE expires_at <= now())
      INTO invited, expired
      FROM invites
     WHERE organisation_id = entered AND lower(email) = ANY(_emails)
       AND accepted_at IS NULL AND revoked_at IS NULL;
END $$;

ALTER FUNCTION tenantry.standing_of(text[]) OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.standing_of(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.standing_of(text[]) TO tenantry_runtime;
""")
