"""The roles, and organisations with their people."""

from tenantry.db.migrations.script import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    run("""
-- Roles belong to the whole cluster, so another database may have made them already.
DO $$ BEGIN
    CREATE ROLE tenantry_runtime NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    CREATE ROLE tenantry_door NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- An owner who is no superuser must be a member to hand the doors over.
GRANT tenantry_door TO CURRENT_USER;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tenantry_runtime, tenantry_door;
GRANT SELECT ON alembic_version TO tenantry_runtime;

CREATE SCHEMA tenantry;
GRANT USAGE ON SCHEMA tenantry TO tenantry_runtime, tenantry_door;
GRANT CREATE ON SCHEMA tenantry TO tenantry_door;

-- The organisation whose rows this connection sees. Unset, it is null and matches nothing.
-- Policies call it as (SELECT ...), so that it is read once a statement, not once a row.
CREATE FUNCTION tenantry.current_organisation() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('tenantry.organisation_id', true), '')::uuid;

CREATE TABLE organisations (
    id                uuid PRIMARY KEY,
    name              text NOT NULL,
    slug              text NOT NULL UNIQUE,
    subscription_plan text NOT NULL DEFAULT 'FREE',
    member_count      integer NOT NULL DEFAULT 0 CHECK (member_count >= 0),
    last_seq          bigint NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);  -- last_seq changes with every activity: leave room for HOT updates

ALTER TABLE organisations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON organisations
    USING (id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON organisations TO tenantry_door USING (true);
GRANT SELECT, UPDATE (subscription_plan, member_count, last_seq, updated_at)
    ON organisations TO tenantry_runtime;
GRANT SELECT, INSERT ON organisations TO tenantry_door;

-- People are global: one person may be in several organisations. An account that belongs to no
-- organisation any more is closed, and its address is free again; the row stays for the feeds.
CREATE TABLE users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL,
    name          text NOT NULL,
    password_hash text NOT NULL,
    closed_at     timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE closed_at IS NULL;

-- A removed member's row stays, with the time: the feed's actors and targets point to it.
CREATE TABLE memberships (
    organisation_id uuid NOT NULL REFERENCES organisations,
    user_id         uuid NOT NULL REFERENCES users,
    role            text NOT NULL CHECK (role IN ('ADMIN', 'MEMBER')),
    removed_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, user_id)
);
CREATE INDEX memberships_of_user ON memberships (user_id, created_at) WHERE removed_at IS NULL;

ALTER TABLE memberships ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memberships
    USING (organisation_id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON memberships TO tenantry_door USING (true);
GRANT SELECT, UPDATE (removed_at, updated_at) ON memberships TO tenantry_runtime;
GRANT SELECT, INSERT ON memberships TO tenantry_door;

-- The runtime role sees the people of its organisation, former ones too, and never a hash.
ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON users FOR SELECT
    USING (EXISTS (
        SELECT FROM memberships
        WHERE memberships.organisation_id = (SELECT tenantry.current_organisation())
          AND memberships.user_id = users.id));
CREATE POLICY door ON users TO tenantry_door USING (true);
GRANT SELECT (id, email, name, created_at, updated_at) ON users TO tenantry_runtime;
GRANT SELECT, INSERT, UPDATE (password_hash, closed_at, updated_at) ON users TO tenantry_door;
""")
