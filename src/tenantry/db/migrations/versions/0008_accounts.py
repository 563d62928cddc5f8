"""Accounts in several organisations: owners, custom roles, sessions with a device, families."""

from tenantry.db.migrations.script import run

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run("""
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;
GRANT SELECT (email_verified_at) ON users TO tenantry_runtime;

-- A deleted organisation can be entered by nobody; it is purged after 30 days.
ALTER TABLE organisations
    ADD COLUMN requires_second_factor boolean NOT NULL DEFAULT false,
    ADD COLUMN deleted_at timestamptz;
GRANT UPDATE (name, slug, requires_second_factor, deleted_at) ON organisations TO tenantry_runtime;

-- What an organisation defines beside the roles that everybody has.
CREATE TABLE roles (
    organisation_id uuid NOT NULL REFERENCES organisations,
    id              uuid NOT NULL,
    name            text NOT NULL,
    permissions     text[] NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, id)
);
CREATE UNIQUE INDEX roles_name ON roles (organisation_id, lower(name));
ALTER TABLE roles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON roles
    USING (organisation_id = (SELECT tenantry.current_organisation()));
CREATE POLICY door ON roles TO tenantry_door USING (true);
GRANT SELECT, INSERT, UPDATE (name, permissions, updated_at), DELETE ON roles TO tenantry_runtime;
GRANT SELECT ON roles TO tenantry_door;

-- An owner is an admin who may do more; a custom role is a member who may do more.
ALTER TABLE memberships
    ADD COLUMN owner boolean NOT NULL DEFAULT false CHECK (NOT owner OR role = 'ADMIN'),
    ADD COLUMN custom_role_id uuid CHECK (custom_role_id IS NULL OR role = 'MEMBER'),
    ADD FOREIGN KEY (organisation_id, custom_role_id) REFERENCES roles (organisation_id, id);
CREATE INDEX memberships_of_role ON memberships (organisation_id, custom_role_id)
    WHERE custom_role_id IS NOT NULL;
GRANT UPDATE (role, owner, custom_role_id) ON memberships TO tenantry_runtime;
GRANT UPDATE (role, owner, custom_role_id, removed_at, created_at, updated_at)
    ON memberships TO tenantry_door;

-- Whoever founded an organisation owns it. Forced row-level security binds us too, but not here.
ALTER TABLE memberships NO FORCE ROW LEVEL SECURITY;
UPDATE memberships SET owner = true
  FROM (SELECT DISTINCT ON (organisation_id) organisation_id, user_id
          FROM memberships
         WHERE role = 'ADMIN' AND removed_at IS NULL
         ORDER BY organisation_id, created_at, user_id) AS founder
 WHERE memberships.organisation_id = founder.organisation_id
   AND memberships.user_id = founder.user_id;
ALTER TABLE memberships FORCE ROW LEVEL SECURITY;

-- A session is one login on one device. Its refresh tokens are generations of families: one of the
-- login, and one of each change to another organisation, so that tabs do not disturb each other.
-- The row holds the hash of the present token and of the one before, which is enough to tell a
-- lost answer from a stolen token.
CREATE TABLE refresh_families (
    id            uuid PRIMARY KEY,
    session_id    uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    refresh_hash  bytea NOT NULL,
    previous_hash bytea,
    rotated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refresh_families_of_session ON refresh_families (session_id);
ALTER TABLE refresh_families ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY door ON refresh_families TO tenantry_door USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON refresh_families TO tenantry_door;

ALTER TABLE sessions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE refresh_families NO FORCE ROW LEVEL SECURITY;
INSERT INTO refresh_families (id, session_id, refresh_hash, previous_hash, rotated_at)
    SELECT id, id, refresh_hash, previous_hash, rotated_at FROM sessions;
ALTER TABLE refresh_families FORCE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE sessions
    DROP COLUMN refresh_hash,
    DROP COLUMN previous_hash,
    DROP CONSTRAINT sessions_end_reason_check,
    ADD CHECK (end_reason IN ('logout', 'token reuse', 'account closed', 'revoked',
                              'password changed', 'password reset')),
    ADD COLUMN device text NOT NULL DEFAULT '',
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN second_factor boolean NOT NULL DEFAULT false,
    ADD COLUMN last_organisation_id uuid;
ALTER TABLE sessions RENAME COLUMN rotated_at TO used_at;

-- enter: the only door into an organisation. Checks that the session lives and that the
-- membership stands, makes the organisation the connection's, and says what holds there.
-- Refused: nulls, or weak where the organisation asks for a second factor that this session has
-- not given; the connection then belongs to nobody.
DROP FUNCTION tenantry.enter(uuid, uuid, uuid);
CREATE FUNCTION tenantry.enter(
    _user uuid, _session uuid, _organisation uuid,
    OUT role text, OUT owner boolean, OUT permissions text[], OUT last_seq bigint, OUT weak boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT memberships.role, memberships.owner,
           CASE WHEN memberships.custom_role_id IS NOT NULL THEN
               (SELECT roles.permissions FROM roles
                 WHERE roles.organisation_id = memberships.organisation_id
                   AND roles.id = memberships.custom_role_id) END,
           organisations.last_seq,
           organisations.requires_second_factor AND NOT sessions.second_factor
      INTO enter.role, enter.owner, enter.permissions, enter.last_seq, enter.weak
      FROM sessions
      JOIN memberships ON memberships.user_id = sessions.user_id
      JOIN organisations ON organisations.id = memberships.organisation_id
     WHERE sessions.id = _session
       AND sessions.user_id = _user
       AND sessions.ended_at IS NULL
       AND sessions.expires_at > now()
       AND memberships.organisation_id = _organisation
       AND memberships.removed_at IS NULL
       AND organisations.deleted_at IS NULL;
    PERFORM set_config('tenantry.organisation_id',
                       CASE WHEN FOUND AND NOT weak THEN _organisation::text ELSE '' END, false);
END $$;

-- enter_by_ticket: as before, with what enter says now.
DROP FUNCTION tenantry.enter_by_ticket(bytea);
CREATE FUNCTION tenantry.enter_by_ticket(
    _token_hash bytea,
    OUT user_id uuid, OUT session_id uuid, OUT organisation_id uuid,
    OUT role text, OUT owner boolean, OUT permissions text[], OUT last_seq bigint, OUT weak boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM tickets
     WHERE tickets.token_hash = _token_hash AND tickets.expires_at > now()
 RETURNING tickets.user_id, tickets.session_id, tickets.organisation_id
      INTO enter_by_ticket.user_id, enter_by_ticket.session_id, enter_by_ticket.organisation_id;
    SELECT entered.role, entered.owner, entered.permissions, entered.last_seq, entered.weak
      INTO enter_by_ticket.role, enter_by_ticket.owner, enter_by_ticket.permissions,
           enter_by_ticket.last_seq, enter_by_ticket.weak
      FROM tenantry.enter(enter_by_ticket.user_id, enter_by_ticket.session_id,
                          enter_by_ticket.organisation_id) AS entered;
END $$;

-- standing: which of these sessions and memberships, in the order given, would `enter` let in now.
CREATE OR REPLACE FUNCTION tenantry.standing(
    _users uuid[], _sessions uuid[], _organisations uuid[]
) RETURNS boolean[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT coalesce(array_agg(
               sessions.id IS NOT NULL
               AND sessions.ended_at IS NULL AND sessions.expires_at > now()
               AND memberships.user_id IS NOT NULL AND memberships.removed_at IS NULL
               AND organisations.deleted_at IS NULL
               AND (sessions.second_factor OR NOT organisations.requires_second_factor)
               ORDER BY asked.place), '{}')
      FROM unnest(_users, _sessions, _organisations) WITH ORDINALITY
           AS asked (user_id, session_id, organisation_id, place)
      LEFT JOIN public.sessions
             ON sessions.id = asked.session_id AND sessions.user_id = asked.user_id
      LEFT JOIN public.memberships
             ON memberships.organisation_id = asked.organisation_id
            AND memberships.user_id = asked.user_id
      LEFT JOIN public.organisations
             ON organisations.id = asked.organisation_id;
END;

-- enter_person: somebody who is signed in, in no organisation. Null: the session is over.
CREATE FUNCTION tenantry.enter_person(_user uuid, _session uuid, OUT second_factor boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT sessions.second_factor INTO enter_person.second_factor
      FROM sessions
     WHERE sessions.id = _session AND sessions.user_id = _user
       AND sessions.ended_at IS NULL AND sessions.expires_at > now();
    PERFORM set_config('tenantry.organisation_id', '', false);
END $$;

-- create_member: a new account as a member of the entered organisation.
-- False: the address has an account.
DROP FUNCTION tenantry.create_member(uuid, text, text, text, text);
CREATE FUNCTION tenantry.create_member(
    _user uuid, _email text, _name text, _password_hash text, _role text, _owner boolean
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO users (id, email, name, password_hash)
        VALUES (_user, _email, _name, _password_hash)
        ON CONFLICT (lower(email)) WHERE closed_at IS NULL DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO memberships (organisation_id, user_id, role, owner)
        VALUES (tenantry.current_organisation(), _user, _role, _owner);
    RETURN true;
END $$;

-- add_member: an account as a member of the entered organisation, which has just been founded or
-- has an open invite for the account's address. Null: neither, or they are a member already.
CREATE FUNCTION tenantry.add_member(
    _user uuid, _role text, _owner boolean, OUT name text, OUT email text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    entered CONSTANT uuid := tenantry.current_organisation();
BEGIN
    -- Locked, so that whoever closes the account at this moment is waited for.
    SELECT users.name, users.email INTO add_member.name, add_member.email
      FROM users
     WHERE users.id = _user AND users.closed_at IS NULL
       AND (EXISTS (SELECT FROM organisations
                     WHERE organisations.id = entered AND organisations.member_count = 0)
            OR EXISTS (SELECT FROM invites
                        WHERE invites.organisation_id = entered
                          AND lower(invites.email) = lower(users.email)
                          AND invites.accepted_at IS NULL AND invites.revoked_at IS NULL
                          AND invites.expires_at > now()))
       FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO memberships (organisation_id, user_id, role, owner)
        VALUES (entered, _user, _role, _owner)
        ON CONFLICT (organisation_id, user_id) DO UPDATE
           SET role = excluded.role, owner = excluded.owner, custom_role_id = NULL,
               removed_at = NULL, created_at = now(), updated_at = now()
         WHERE memberships.removed_at IS NOT NULL;
    IF NOT FOUND THEN
        name := NULL;
        email := NULL;
    END IF;
END $$;

-- memberships_of: where somebody belongs, in the order of joining.
CREATE FUNCTION tenantry.memberships_of(
    _user uuid,
    OUT organisation_id uuid, OUT organisation_name text, OUT slug text,
    OUT subscription_plan text, OUT requires_second_factor boolean,
    OUT role text, OUT owner boolean, OUT custom_role text, OUT joined_at timestamptz
) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT organisations.id, organisations.name, organisations.slug,
           organisations.subscription_plan, organisations.requires_second_factor,
           memberships.role, memberships.owner, roles.name, memberships.created_at
      FROM public.memberships
      JOIN public.organisations ON organisations.id = memberships.organisation_id
      LEFT JOIN public.roles ON roles.organisation_id = memberships.organisation_id
                            AND roles.id = memberships.custom_role_id
     WHERE memberships.user_id = _user AND memberships.removed_at IS NULL
       AND organisations.deleted_at IS NULL
     ORDER BY memberships.created_at, organisations.id;
END;

-- person: somebody's own account.
CREATE FUNCTION tenantry.person(
    _user uuid,
    OUT id uuid, OUT name text, OUT email text, OUT password_hash text,
    OUT email_verified_at timestamptz, OUT created_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT users.id, users.name, users.email, users.password_hash, users.email_verified_at,
           users.created_at
      FROM public.users WHERE users.id = _user AND users.closed_at IS NULL;
END;

-- open_session: a login, in the organisation that the person last worked in, or else the first
-- that they joined. Null: they are in none. Of more than a hundred the longest unused end.
DROP FUNCTION tenantry.open_session(uuid, uuid, bytea, interval);
CREATE FUNCTION tenantry.open_session(
    _session uuid, _user uuid, _refresh_hash bytea, _lifetime interval, _longest interval,
    _device text, _address text, _second_factor boolean,
    OUT organisation_id uuid, OUT opened_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- The person before the sessions, as whoever closes the account locks them.
    PERFORM FROM users WHERE users.id = _user FOR KEY SHARE;
    SELECT memberships.organisation_id, now()
      INTO open_session.organisation_id, open_session.opened_at
      FROM memberships
      JOIN organisations ON organisations.id = memberships.organisation_id
     WHERE memberships.user_id = _user AND memberships.removed_at IS NULL
       AND organisations.deleted_at IS NULL
     ORDER BY (SELECT max(sessions.used_at) FROM sessions
                WHERE sessions.user_id = _user
                  AND sessions.last_organisation_id = memberships.organisation_id)
              DESC NULLS LAST,
              memberships.created_at
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM sessions
     WHERE sessions.user_id = _user AND sessions.expires_at < now() - interval '30 days';
    INSERT INTO sessions (id, user_id, expires_at, device, address, second_factor,
                          last_organisation_id)
        VALUES (_session, _user, now() + least(_lifetime, _longest), _device, _address,
                _second_factor, open_session.organisation_id);
    PERFORM tenantry.end_sessions(
        _user,
        ARRAY(SELECT sessions.id FROM sessions
               WHERE sessions.user_id = _user
                 AND sessions.ended_at IS NULL AND sessions.expires_at > now()
               ORDER BY sessions.used_at DESC, sessions.id DESC
              OFFSET 100),
        NULL, 'revoked');
    INSERT INTO refresh_families (id, session_id, refresh_hash)
        VALUES (_session, _session, _refresh_hash);
    PERFORM set_config('tenantry.organisation_id', open_session.organisation_id::text, true);
END $$;

-- open_family: a living session goes on in another organisation of the same person as well.
-- Null: the session is over, or they are no member there.
CREATE FUNCTION tenantry.open_family(
    _family uuid, _session uuid, _user uuid, _organisation uuid, _refresh_hash bytea,
    _lifetime interval, _longest interval, OUT opened_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE sessions
       SET last_organisation_id = _organisation, used_at = now(),
           expires_at = least(now() + _lifetime, created_at + _longest)
     WHERE sessions.id = _session AND sessions.user_id = _user
       AND sessions.ended_at IS NULL AND sessions.expires_at > now()
       AND EXISTS (SELECT FROM memberships
                     JOIN organisations ON organisations.id = memberships.organisation_id
                    WHERE memberships.organisation_id = _organisation
                      AND memberships.user_id = _user AND memberships.removed_at IS NULL
                      AND organisations.deleted_at IS NULL);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    opened_at := now();
    DELETE FROM refresh_families
     WHERE refresh_families.session_id = _session
       AND refresh_families.rotated_at < now() - _lifetime;
    INSERT INTO refresh_families (id, session_id, refresh_hash)
        VALUES (_family, _session, _refresh_hash);
    PERFORM set_config('tenantry.organisation_id', _organisation::text, true);
END $$;

-- rotate_session: one refresh. The row's lock lets one rotation win; the same token again within
-- the grace (tabs, lost answers) is given the same successor, which its holder can derive; any
-- other token of this family has been used before, so the whole session ends.
DROP FUNCTION tenantry.rotate_session(uuid, uuid, uuid, bytea, bytea, interval, interval);
CREATE FUNCTION tenantry.rotate_session(
    _session uuid, _family uuid, _user uuid, _organisation uuid,
    _presented bytea, _successor bytea, _lifetime interval, _longest interval, _grace interval,
    _device text, _address text,
    OUT outcome text, OUT rotated_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    session sessions;
    family refresh_families;
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
       JOIN organisations ON organisations.id = memberships.organisation_id
      WHERE memberships.organisation_id = _organisation
        AND memberships.user_id = _user AND memberships.removed_at IS NULL
        AND organisations.deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO family FROM refresh_families
     WHERE refresh_families.id = _family AND refresh_families.session_id = _session;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF family.refresh_hash = _presented THEN
        outcome := 'rotated';
        rotate_session.rotated_at := moment;
        UPDATE refresh_families
           SET refresh_hash = _successor, previous_hash = _presented, rotated_at = moment
         WHERE refresh_families.id = _family;
        UPDATE sessions
           SET used_at = moment, expires_at = least(moment + _lifetime, created_at + _longest),
               device = _device, address = _address, last_organisation_id = _organisation
         WHERE sessions.id = _session;
    ELSIF family.previous_hash = _presented AND family.refresh_hash = _successor
          AND family.rotated_at > moment - _grace THEN
        outcome := 'rotated';
        rotate_session.rotated_at := family.rotated_at;
    ELSE
        outcome := 'reused';
        UPDATE sessions SET ended_at = moment, end_reason = 'token reuse'
         WHERE sessions.id = _session;
        PERFORM pg_notify('tenantry_session_ended', _session::text);
    END IF;
END $$;

-- sessions_of: the living sessions of somebody, the last used first.
CREATE FUNCTION tenantry.sessions_of(
    _user uuid,
    OUT id uuid, OUT device text, OUT address text, OUT second_factor boolean,
    OUT created_at timestamptz, OUT used_at timestamptz
) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT sessions.id, sessions.device, sessions.address, sessions.second_factor,
           sessions.created_at, sessions.used_at
      FROM public.sessions
     WHERE sessions.user_id = _user
       AND sessions.ended_at IS NULL AND sessions.expires_at > now()
     ORDER BY sessions.used_at DESC, sessions.id;
END;

-- end_sessions: of somebody, these, or where null all but one. Whoever listens for ended sessions
-- is told at commit. Gives how many ended.
DROP FUNCTION tenantry.close_session(uuid, uuid);
CREATE FUNCTION tenantry.end_sessions(
    _user uuid, _sessions uuid[], _except uuid, _reason text
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    ended uuid;
    number integer := 0;
BEGIN
    FOR ended IN
        UPDATE sessions SET ended_at = now(), end_reason = _reason
         WHERE sessions.user_id = _user
           AND (_sessions IS NULL OR sessions.id = ANY(_sessions))
           AND (_except IS NULL OR sessions.id <> _except)
           AND sessions.ended_at IS NULL AND sessions.expires_at > now()
     RETURNING sessions.id
    LOOP
        number := number + 1;
        PERFORM pg_notify('tenantry_session_ended', ended::text);
    END LOOP;
    RETURN number;
END $$;

DO $$
DECLARE door text;
BEGIN
    FOREACH door IN ARRAY ARRAY[
        'enter(uuid, uuid, uuid)',
        'enter_by_ticket(bytea)',
        'enter_person(uuid, uuid)',
        'create_member(uuid, text, text, text, text, boolean)',
        'add_member(uuid, text, boolean)',
        'memberships_of(uuid)',
        'person(uuid)',
        'open_session(uuid, uuid, bytea, interval, interval, text, text, boolean)',
        'open_family(uuid, uuid, uuid, uuid, bytea, interval, interval)',
        'rotate_session(uuid, uuid, uuid, uuid, bytea, bytea, interval, interval, interval,
            text, text)',
        'sessions_of(uuid)',
        'end_sessions(uuid, uuid[], uuid, text)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO tenantry_runtime', door);
    END LOOP;
END $$;
""")
