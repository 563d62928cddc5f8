"""Members: invites with a custom role that are sent again; organisations deleted and restored."""

from tenantry.db.migrations.script import run

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run("""
CREATE INDEX memberships_owners ON memberships (organisation_id) WHERE owner AND removed_at IS NULL;

-- An invite is sent again with a new token; how often, and when last, bounds how much mail an
-- address gets. One whose custom role is deleted makes a plain member.
ALTER TABLE invites
    ADD COLUMN custom_role_id uuid CHECK (custom_role_id IS NULL OR role = 'MEMBER'),
    ADD COLUMN sent_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN sends integer NOT NULL DEFAULT 1,
    ADD FOREIGN KEY (organisation_id, custom_role_id) REFERENCES roles (organisation_id, id)
        ON DELETE SET NULL (custom_role_id);
CREATE INDEX invites_open ON invites (organisation_id, id)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invites_sent ON invites (organisation_id, sent_at);
CREATE INDEX invites_of_role ON invites (organisation_id, custom_role_id)
    WHERE custom_role_id IS NOT NULL;
GRANT SELECT (custom_role_id, sent_at, sends),
      UPDATE (token_hash, expires_at, sent_at, sends)
    ON invites TO tenantry_runtime;

-- enter_by_invite: as before; a deleted organisation's invites are unknown.
DROP FUNCTION tenantry.enter_by_invite(bytea);
CREATE FUNCTION tenantry.enter_by_invite(
    _token_hash bytea,
    OUT organisation_id uuid, OUT id uuid, OUT email text, OUT role text, OUT custom_role_id uuid,
    OUT state text, OUT account_exists boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT invites.organisation_id, invites.id, invites.email, invites.role,
           invites.custom_role_id,
           CASE WHEN invites.accepted_at IS NOT NULL THEN 'accepted'
                WHEN invites.expires_at <= now() THEN 'expired'
                WHEN invites.revoked_at IS NOT NULL THEN 'revoked'
                ELSE 'pending' END,
           EXISTS (SELECT FROM users
                    WHERE lower(users.email) = lower(invites.email) AND users.closed_at IS NULL)
      INTO enter_by_invite.organisation_id, enter_by_invite.id, enter_by_invite.email,
           enter_by_invite.role, enter_by_invite.custom_role_id, enter_by_invite.state,
           enter_by_invite.account_exists
      FROM invites
      JOIN organisations ON organisations.id = invites.organisation_id
     WHERE invites.token_hash = _token_hash AND organisations.deleted_at IS NULL;
    IF state = 'pending' THEN
        PERFORM set_config('tenantry.organisation_id',
                           enter_by_invite.organisation_id::text, true);
    END IF;
END $$;

-- Each time that an organisation was deleted, and what restores it: a token that works once, for
-- 30 days. Then the organisation is purged, and whatever is its own goes with it.
CREATE INDEX organisations_deleted ON organisations (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE TABLE deletions (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id              uuid NOT NULL,
    token_hash      bytea NOT NULL UNIQUE,
    deleted_by      uuid NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    restored_at     timestamptz,
    PRIMARY KEY (organisation_id, id),
    FOREIGN KEY (organisation_id, deleted_by) REFERENCES memberships (organisation_id, user_id)
);
ALTER TABLE deletions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON deletions
    USING (organisation_id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON deletions TO tenantry_door USING (true);
GRANT SELECT (organisation_id, id, deleted_by, created_at, restored_at), INSERT
    ON deletions TO tenantry_runtime;
GRANT SELECT, UPDATE (restored_at) ON deletions TO tenantry_door;
GRANT UPDATE (deleted_at, updated_at), DELETE ON organisations TO tenantry_door;

-- What is an organisation's own goes with it. The keys between those tables are checked at the end
-- of the statement, when all of it is gone.
ALTER TABLE memberships
    DROP CONSTRAINT memberships_organisation_id_fkey,
    ADD FOREIGN KEY (organisation_id) REFERENCES organisations ON DELETE CASCADE;
ALTER TABLE roles
    DROP CONSTRAINT roles_organisation_id_fkey,
    ADD FOREIGN KEY (organisation_id) REFERENCES organisations ON DELETE CASCADE;
ALTER TABLE invites
    DROP CONSTRAINT invites_organisation_id_fkey,
    ADD FOREIGN KEY (organisation_id) REFERENCES organisations ON DELETE CASCADE;
ALTER TABLE activities
    DROP CONSTRAINT activities_organisation_id_fkey,
    ADD FOREIGN KEY (organisation_id) REFERENCES organisations ON DELETE CASCADE;
ALTER TABLE tickets
    DROP CONSTRAINT tickets_organisation_id_fkey,
    ADD FOREIGN KEY (organisation_id) REFERENCES organisations ON DELETE CASCADE;
-- Or each membership that goes would have the whole feed searched for its target.
CREATE INDEX activities_by_target ON activities (organisation_id, target_id)
    WHERE target_id IS NOT NULL;

-- restore_organisation: who holds the token of its deletion enters the organisation, for this
-- transaction, and it is no longer deleted. Null: unknown, used, or the 30 days are over.
CREATE FUNCTION tenantry.restore_organisation(
    _token_hash bytea, OUT organisation_id uuid, OUT deleted_by uuid
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    deleted uuid;
BEGIN
    SELECT deletions.organisation_id INTO deleted
      FROM deletions WHERE deletions.token_hash = _token_hash;
    PERFORM FROM organisations
      WHERE organisations.id = deleted
        AND organisations.deleted_at > now() - interval '30 days'
        FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE deletions SET restored_at = now()
     WHERE deletions.token_hash = _token_hash AND deletions.restored_at IS NULL
 RETURNING deletions.organisation_id, deletions.deleted_by
      INTO restore_organisation.organisation_id, restore_organisation.deleted_by;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE organisations SET deleted_at = NULL, updated_at = now()
     WHERE organisations.id = deleted;
    PERFORM set_config('tenantry.organisation_id', deleted::text, true);
END $$;

-- close_account_if_nowhere: an account that belongs to no organisation ends, and its address is
-- free. For the doors; its row is locked first, so that somebody who is joining an organisation at
-- this moment is waited for.
CREATE FUNCTION tenantry.close_account_if_nowhere(_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM users WHERE users.id = _user AND users.closed_at IS NULL FOR UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM memberships
                             WHERE memberships.user_id = _user
                               AND memberships.removed_at IS NULL) THEN
        RETURN;
    END IF;
    UPDATE users SET closed_at = now(), updated_at = now() WHERE users.id = _user;
    UPDATE sessions SET ended_at = now(), end_reason = 'account closed'
     WHERE sessions.user_id = _user AND sessions.ended_at IS NULL;
END $$;

-- close_account_without_organisation: for somebody just removed from the entered organisation.
CREATE OR REPLACE FUNCTION tenantry.close_account_without_organisation(_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM memberships
                WHERE memberships.organisation_id = tenantry.current_organisation()
                  AND memberships.user_id = _user
                  AND memberships.removed_at IS NOT NULL) THEN
        PERFORM tenantry.close_account_if_nowhere(_user);
    END IF;
END $$;

-- purge_organisations: those that were deleted 30 days ago, a few at a time, with everything that
-- is theirs; gives how many. The worker calls it once a day, until it gives 0.
CREATE FUNCTION tenantry.purge_organisations() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    purged uuid;
    people uuid[];
    person uuid;
    number integer := 0;
BEGIN
    FOR purged IN
        SELECT organisations.id FROM organisations
         WHERE organisations.deleted_at <= now() - interval '30 days'
         ORDER BY organisations.deleted_at
         LIMIT 10
           FOR UPDATE SKIP LOCKED
    LOOP
        people := ARRAY(SELECT memberships.user_id FROM memberships
                         WHERE memberships.organisation_id = purged
                           AND memberships.removed_at IS NULL
                         ORDER BY memberships.user_id);
        DELETE FROM organisations WHERE organisations.id = purged;
        FOREACH person IN ARRAY people LOOP
            PERFORM tenantry.close_account_if_nowhere(person);
        END LOOP;
        number := number + 1;
    END LOOP;
    RETURN number;
END $$;

DO $$
DECLARE door text; caller text;
BEGIN
    FOR door, caller IN VALUES
        ('enter_by_invite(bytea)', 'tenantry_runtime'),
        ('restore_organisation(bytea)', 'tenantry_runtime'),
        ('close_account_if_nowhere(uuid)', 'tenantry_door'),
        ('purge_organisations()', 'tenantry_worker')
    LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO %I', door, caller);
    END LOOP;
END $$;
""")
