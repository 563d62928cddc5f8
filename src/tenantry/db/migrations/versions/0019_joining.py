"""Who joins with an address that has an account is refused by its index, and all with them."""

from tenantry.db.migrations.script import run

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run("""
-- create_member: an account, as a member of the entered organisation. Violates users_email where
-- the address has one, so that what goes out together with it fails too.
CREATE OR REPLACE FUNCTION tenantry.create_member(
    _user uuid, _email text, _name text, _password_hash text, _role text, _owner boolean
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO users (id, email, name, password_hash)
        VALUES (_user, _email, _name, _password_hash);
    INSERT INTO memberships (organisation_id, user_id, role, owner)
        VALUES (tenantry.current_organisation(), _user, _role, _owner);
    RETURN true;
END $$;
""")
