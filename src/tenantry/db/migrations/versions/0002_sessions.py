"""Sessions, and the doors by which people come in: sign-up, login, refresh, logout, enter."""

from tenantry.db.migrations.script import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run("""
-- One login. Its refresh tokens are generations: the row holds the hash of the present one and
-- of the one before, which is enough to tell a lost answer from a stolen token.
CREATE TABLE sessions (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users,
    refresh_hash  bytea NOT NULL,
    previous_hash bytea,
    rotated_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    end_reason    text CHECK (end_reason IN ('logout', 'token reuse', 'account closed')),
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_of_user ON sessions (user_id);

-- The runtime role has no right here at all: sessions are reached through the doors only.
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY door ON sessions TO tenantry_door USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO tenantry_door;

-- enter: the only door into an organisation. Checks that the session lives and that the
-- membership stands, makes the organisation the connection's, and says what holds there.
-- Refused: nulls, and the connection belongs to nobody.
CREATE FUNCTION tenantry.enter(
    _user uuid, _session uuid, _organisation uuid,
    OUT role text, OUT last_seq bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT memberships.role, organisations.last_seq
      INTO enter.role, enter.last_seq
      FROM sessions
      JOIN memberships ON memberships.user_id = sessions.user_id
      JOIN organisations ON organisations.id = memberships.organisation_id
     WHERE sessions.id = _session
       AND sessions.user_id = _user
       AND sessions.ended_at IS NULL
       AND sessions.expires_at > now()
       AND memberships.organisation_id = _organisation
       AND memberships.removed_at IS NULL;
    PERFORM set_config('tenantry.organisation_id',
                       CASE WHEN FOUND THEN _organisation::text ELSE '' END, false);
END $$;

-- found_organisation: a new organisation, entered for this transaction. False: the slug is taken.
CREATE FUNCTION tenantry.found_organisation(_id uuid, _name text, _slug text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO organisations (id, name, slug) VALUES (_id, _name, _slug)
        ON CONFLICT (slug) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM set_config('tenantry.organisation_id', _id::text, true);
    RETURN true;
END $$;

-- create_member: a new account as a member of the entered organisation.
-- False: the address has an account.
CREATE FUNCTION tenantry.create_member(
    _user uuid, _email text, _name text, _password_hash text, _role text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO users (id, email, name, password_hash)
        VALUES (_user, _email, _name, _password_hash)
        ON CONFLICT (lower(email)) WHERE closed_at IS NULL DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO memberships (organisation_id, user_id, role)
        VALUES (tenantry.current_organisation(), _user, _role);
    RETURN true;
END $$;

-- find_account: who logs in with this address, and what the password must verify against.
CREATE FUNCTION tenantry.find_account(_email text, OUT user_id uuid, OUT password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT users.id, users.password_hash FROM public.users
     WHERE lower(users.email) = lower(_email) AND users.closed_at IS NULL;
END;

-- replace_password_hash: the same password, hashed anew. Does nothing if it changed meanwhile.
CREATE FUNCTION tenantry.replace_password_hash(_user uuid, _old text, _new text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.users SET password_hash = _new, updated_at = now()
     WHERE users.id = _user AND users.password_hash = _old;
END;

-- open_session: a login in the person's first organisation. Null: they are in none.
CREATE FUNCTION tenantry.open_session(
    _session uuid, _user uuid, _refresh_hash bytea, _lifetime interval,
    OUT organisation_id uuid, OUT opened_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- The person before the sessions, as whoever closes the account locks them.
    PERFORM FROM users WHERE users.id = _user FOR KEY SHARE;
    SELECT memberships.organisation_id, now()
      INTO open_session.organisation_id, open_session.opened_at
      FROM memberships
     WHERE memberships.user_id = _user AND memberships.removed_at IS NULL
     ORDER BY memberships.created_at
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM sessions
     WHERE sessions.user_id = _user AND sessions.expires_at < now() - interval '30 days';
    INSERT INTO sessions (id, user_id, refresh_hash, expires_at)
        VALUES (_session, _user, _refresh_hash, now() + _lifetime);
    PERFORM set_config('tenantry.organisation_id', open_session.organisation_id::text, true);
END $$;

-- rotate_session: one refresh. The row's lock lets one rotation win; the same token again within
-- the grace (tabs, lost answers) is given the same successor, which its holder can derive; any
-- other token of this family has been used before, so the family ends.
CREATE FUNCTION tenantry.rotate_session(
    _session uuid, _user uuid, _organisation uuid,
    _presented bytea, _successor bytea, _lifetime interval, _grace interval,
    OUT outcome text, OUT rotated_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    session sessions;
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    outcome := 'refused';
    SELECT * INTO session FROM sessions
     WHERE sessions.id = _session AND sessions.user_id = _user
       FOR UPDATE;
    IF NOT FOUND OR session.ended_at IS NOT NULL OR session.expires_at <= moment THEN
        RETURN;
    END IF;
    PERFORM FROM memberships
      WHERE memberships.organisation_id = _organisation
        AND memberships.user_id = _user AND memberships.removed_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF session.refresh_hash = _presented THEN
        outcome := 'rotated';
        rotate_session.rotated_at := moment;
        UPDATE sessions
           SET refresh_hash = _successor, previous_hash = _presented,
               rotated_at = moment, expires_at = moment + _lifetime
         WHERE sessions.id = _session;
    ELSIF session.previous_hash = _presented AND session.refresh_hash = _successor
          AND session.rotated_at > moment - _grace THEN
        outcome := 'rotated';
        rotate_session.rotated_at := session.rotated_at;
    ELSE
        outcome := 'reused';
        UPDATE sessions SET ended_at = moment, end_reason = 'token reuse'
         WHERE sessions.id = _session;
        PERFORM pg_notify('tenantry_session_ended', _session::text);
    END IF;
END $$;

-- close_session: a logout. Whoever listens for ended sessions is told at commit.
CREATE FUNCTION tenantry.close_session(_session uuid, _user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE sessions SET ended_at = now(), end_reason = 'logout'
     WHERE sessions.id = _session AND sessions.user_id = _user AND sessions.ended_at IS NULL;
    IF FOUND THEN
        PERFORM pg_notify('tenantry_session_ended', _session::text);
    END IF;
END $$;

-- close_account_without_organisation: for somebody just removed from the entered organisation.
-- Who is in no other one has no way in any more: the account ends and its address is free.
CREATE FUNCTION tenantry.close_account_without_organisation(_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- Locked first, so that somebody who is joining elsewhere at this moment is waited for.
    PERFORM FROM users
      WHERE users.id = _user
        AND EXISTS (SELECT FROM memberships
                     WHERE memberships.organisation_id = tenantry.current_organisation()
                       AND memberships.user_id = _user
                       AND memberships.removed_at IS NOT NULL)
        FOR UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM memberships
                             WHERE memberships.user_id = _user
                               AND memberships.removed_at IS NULL) THEN
        RETURN;
    END IF;
    UPDATE users SET closed_at = now(), updated_at = now() WHERE users.id = _user;
    UPDATE sessions SET ended_at = now(), end_reason = 'account closed'
     WHERE sessions.user_id = _user AND sessions.ended_at IS NULL;
END $$;

DO $$
DECLARE door text;
BEGIN
    FOREACH door IN ARRAY ARRAY[
        'enter(uuid, uuid, uuid)',
        'found_organisation(uuid, text, text)',
        'create_member(uuid, text, text, text, text)',
        'find_account(text)',
        'replace_password_hash(uuid, text, text)',
        'open_session(uuid, uuid, bytea, interval)',
        'rotate_session(uuid, uuid, uuid, bytea, bytea, interval, interval)',
        'close_session(uuid, uuid)',
        'close_account_without_organisation(uuid)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO tenantry_runtime', door);
    END LOOP;
END $$;
""")
