"""Second factors: authenticator codes, recovery codes, passkeys, and sign-ins of two steps."""

from tenantry.db.migrations.script import run

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run("""
-- All of it belongs to people, not to organisations, and is reached through the doors only.
-- The secret is sealed by the server, with a key that the database has not. A code is good for
-- one time step, and only for one after `last_step`.
CREATE TABLE totp_secrets (
    user_id      uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    secret       bytea NOT NULL,
    confirmed_at timestamptz,
    last_step    bigint NOT NULL DEFAULT 0,
    tries        integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- Those that have not been used.
CREATE TABLE recovery_codes (
    user_id   uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE passkeys (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    credential_id bytea NOT NULL UNIQUE,
    public_key    bytea NOT NULL,
    sign_count    bigint NOT NULL,
    transports    text[] NOT NULL,
    name          text NOT NULL,
    user_verified boolean NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    used_at       timestamptz
);
CREATE INDEX passkeys_of_user ON passkeys (user_id);

-- What has to be answered, once and soon: the second step of a sign-in, or a passkey's signature.
-- Nobody's is the one of signing in with a passkey alone.
CREATE TABLE challenges (
    token_hash bytea PRIMARY KEY,
    purpose    text NOT NULL
               CHECK (purpose IN ('sign in', 'passkey sign in', 'new passkey', 'step up')),
    user_id    uuid REFERENCES users ON DELETE CASCADE,
    session_id uuid REFERENCES sessions ON DELETE CASCADE,
    device     text NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    CHECK ((user_id IS NULL) = (purpose = 'passkey sign in')),
    CHECK ((session_id IS NULL) = (purpose IN ('sign in', 'passkey sign in')))
);
CREATE INDEX challenges_of_user ON challenges (user_id);
CREATE INDEX challenges_of_session ON challenges (session_id);
CREATE INDEX challenges_expiry ON challenges (expires_at);

ALTER TABLE totp_secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE passkeys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE challenges ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY door ON totp_secrets TO tenantry_door USING (true);
CREATE POLICY door ON recovery_codes TO tenantry_door USING (true);
CREATE POLICY door ON passkeys TO tenantry_door USING (true);
CREATE POLICY door ON challenges TO tenantry_door USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE
    ON totp_secrets, recovery_codes, passkeys, challenges TO tenantry_door;

-- factors_of: what somebody has to prove themselves with beside the password.
CREATE FUNCTION tenantry.factors_of(
    _user uuid, OUT totp_since timestamptz, OUT passkeys integer, OUT recovery_codes integer
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT (SELECT confirmed_at FROM public.totp_secrets WHERE user_id = _user),
           (SELECT count(*) FROM public.passkeys WHERE user_id = _user)::integer,
           (SELECT count(*) FROM public.recovery_codes WHERE user_id = _user)::integer;
END;

-- lock_factors: the same for whoever is about to change them, with whether the session has given
-- a factor, and whether an organisation asks for one. Holds until the transaction's end.
CREATE FUNCTION tenantry.lock_factors(
    _user uuid, _session uuid,
    OUT totp_since timestamptz, OUT passkeys integer, OUT recovery_codes integer,
    OUT strong boolean, OUT required boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM users WHERE users.id = _user FOR NO KEY UPDATE;
    SELECT found.totp_since, found.passkeys, found.recovery_codes
      INTO lock_factors.totp_since, lock_factors.passkeys, lock_factors.recovery_codes
      FROM tenantry.factors_of(_user) AS found;
    strong := EXISTS (SELECT FROM sessions
                       WHERE sessions.id = _session AND sessions.user_id = _user
                         AND sessions.second_factor AND sessions.ended_at IS NULL);
    required := EXISTS (SELECT FROM memberships
                          JOIN organisations ON organisations.id = memberships.organisation_id
                         WHERE memberships.user_id = _user AND memberships.removed_at IS NULL
                           AND organisations.requires_second_factor
                           AND organisations.deleted_at IS NULL);
END $$;

-- start_totp: a secret that is yet to be confirmed. False: there is a confirmed one.
CREATE FUNCTION tenantry.start_totp(_user uuid, _secret bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO totp_secrets (user_id, secret) VALUES (_user, _secret)
        ON CONFLICT (user_id) DO UPDATE
           SET secret = excluded.secret, tries = 0, last_step = 0, created_at = now()
         WHERE totp_secrets.confirmed_at IS NULL;
    RETURN FOUND;
END $$;

-- try_totp: the secret that waits for its first code, and counts one try at it.
-- Null: there is none, or it has waited or been tried too often.
CREATE FUNCTION tenantry.try_totp(_user uuid, _lifetime interval, _most integer) RETURNS bytea
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.totp_secrets SET tries = tries + 1
     WHERE user_id = _user AND confirmed_at IS NULL
       AND tries < _most AND created_at > now() - _lifetime
 RETURNING secret;
END;

-- confirm_totp: its first code was right. False: it is another secret by now, or none.
CREATE FUNCTION tenantry.confirm_totp(_user uuid, _secret bytea, _step bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE totp_secrets SET confirmed_at = now(), last_step = _step
     WHERE totp_secrets.user_id = _user AND totp_secrets.secret = _secret
       AND totp_secrets.confirmed_at IS NULL;
    RETURN FOUND;
END $$;

-- totp_secret: what codes are compared with.
CREATE FUNCTION tenantry.totp_secret(_user uuid) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT secret FROM public.totp_secrets WHERE user_id = _user AND confirmed_at IS NOT NULL;
END;

-- use_totp: the code of this step, once. False: it or a later one has been used.
CREATE FUNCTION tenantry.use_totp(_user uuid, _step bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- The person first, as whoever changes their factors or closes the account locks them.
    PERFORM FROM users WHERE users.id = _user FOR KEY SHARE;
    UPDATE totp_secrets SET last_step = _step
     WHERE totp_secrets.user_id = _user AND totp_secrets.confirmed_at IS NOT NULL
       AND totp_secrets.last_step < _step;
    RETURN FOUND;
END $$;

-- remove_totp: confirmed or not. False: there was none.
CREATE FUNCTION tenantry.remove_totp(_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM totp_secrets WHERE totp_secrets.user_id = _user;
    RETURN FOUND;
END $$;

-- replace_recovery_codes: these, and no other any more.
CREATE FUNCTION tenantry.replace_recovery_codes(_user uuid, _hashes bytea[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    DELETE FROM public.recovery_codes WHERE user_id = _user;
    INSERT INTO public.recovery_codes (user_id, code_hash)
        SELECT _user, code_hash FROM unnest(_hashes) AS code_hash;
END;

-- use_recovery_code: once. False: it is none of theirs, or has been used.
CREATE FUNCTION tenantry.use_recovery_code(_user uuid, _hash bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM users WHERE users.id = _user FOR KEY SHARE;
    DELETE FROM recovery_codes
     WHERE recovery_codes.user_id = _user AND recovery_codes.code_hash = _hash;
    RETURN FOUND;
END $$;

-- add_passkey: false where somebody has this credential already.
CREATE FUNCTION tenantry.add_passkey(
    _id uuid, _user uuid, _credential_id bytea, _public_key bytea, _sign_count bigint,
    _transports text[], _name text, _user_verified boolean
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, transports, name,
                          user_verified)
        VALUES (_id, _user, _credential_id, _public_key, _sign_count, _transports, _name,
                _user_verified)
        ON CONFLICT (credential_id) DO NOTHING;
    RETURN FOUND;
END $$;

-- passkeys_of: somebody's, the oldest first.
CREATE FUNCTION tenantry.passkeys_of(
    _user uuid,
    OUT id uuid, OUT credential_id bytea, OUT transports text[], OUT name text,
    OUT user_verified boolean, OUT created_at timestamptz, OUT used_at timestamptz
) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT passkeys.id, passkeys.credential_id, passkeys.transports, passkeys.name,
           passkeys.user_verified, passkeys.created_at, passkeys.used_at
      FROM public.passkeys WHERE passkeys.user_id = _user ORDER BY passkeys.id;
END;

-- find_passkey: whose a credential is, and the key that its signatures are verified with.
CREATE FUNCTION tenantry.find_passkey(
    _credential_id bytea, OUT id uuid, OUT user_id uuid, OUT public_key bytea
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT passkeys.id, passkeys.user_id, passkeys.public_key
      FROM public.passkeys WHERE passkeys.credential_id = _credential_id;
END;

-- use_passkey: a signature with this count was right. False: the count did not grow, so that there
-- are two of this authenticator. Many do not count, and say 0 for ever.
CREATE FUNCTION tenantry.use_passkey(_id uuid, _user uuid, _sign_count bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM users WHERE users.id = _user FOR KEY SHARE;
    UPDATE passkeys SET sign_count = _sign_count, used_at = now()
     WHERE passkeys.id = _id AND passkeys.user_id = _user
       AND (passkeys.sign_count < _sign_count
            OR (passkeys.sign_count = 0 AND _sign_count = 0));
    RETURN FOUND;
END $$;

-- rename_passkey: one's own. False: there is none of this id.
CREATE FUNCTION tenantry.rename_passkey(_user uuid, _id uuid, _name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE passkeys SET name = _name WHERE passkeys.id = _id AND passkeys.user_id = _user;
    RETURN FOUND;
END $$;

-- remove_passkey: one's own; gives its name. Null: there is none of this id.
CREATE FUNCTION tenantry.remove_passkey(_user uuid, _id uuid) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    DELETE FROM public.passkeys WHERE id = _id AND user_id = _user RETURNING name;
END;

-- strengthen_session: it has given a second factor. weaken_sessions: there is none any more.
CREATE FUNCTION tenantry.strengthen_session(_user uuid, _session uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.sessions SET second_factor = true WHERE id = _session AND user_id = _user;
END;

CREATE FUNCTION tenantry.weaken_sessions(_user uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.sessions SET second_factor = false WHERE user_id = _user AND second_factor;
END;

-- open_challenge: gives when it expires. Expired ones are swept at the same time, those that
-- nobody else is sweeping.
CREATE FUNCTION tenantry.open_challenge(
    _token_hash bytea, _purpose text, _user uuid, _session uuid, _device text, _lifetime interval
) RETURNS timestamptz
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    DELETE FROM public.challenges
     WHERE token_hash IN (SELECT expired.token_hash FROM public.challenges AS expired
                           WHERE expired.expires_at < now()
                           ORDER BY expired.expires_at LIMIT 100 FOR UPDATE SKIP LOCKED);
    INSERT INTO public.challenges (token_hash, purpose, user_id, session_id, device, expires_at)
        VALUES (_token_hash, _purpose, _user, _session, _device, now() + _lifetime)
     RETURNING expires_at;
END;

-- try_challenge: counts one try at it. Null: there is none for this purpose, session and device,
-- or it has expired or been tried too often.
CREATE FUNCTION tenantry.try_challenge(
    _token_hash bytea, _purpose text, _session uuid, _device text, _most integer,
    OUT user_id uuid, OUT tries integer
)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.challenges SET tries = challenges.tries + 1
     WHERE challenges.token_hash = _token_hash AND challenges.purpose = _purpose
       AND challenges.session_id IS NOT DISTINCT FROM _session
       AND challenges.device = _device
       AND challenges.tries < _most AND challenges.expires_at > now()
 RETURNING challenges.user_id, challenges.tries;
END;

-- close_challenge: it has been answered. False: somebody else was first.
CREATE FUNCTION tenantry.close_challenge(_token_hash bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM challenges WHERE challenges.token_hash = _token_hash;
    RETURN FOUND;
END $$;

-- forget_factors: a closed account keeps none, and a new password ends what the old one began.
CREATE FUNCTION tenantry.forget_factors() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM challenges WHERE challenges.user_id = NEW.id;
    IF NEW.closed_at IS NOT NULL THEN
        DELETE FROM totp_secrets WHERE totp_secrets.user_id = NEW.id;
        DELETE FROM recovery_codes WHERE recovery_codes.user_id = NEW.id;
        DELETE FROM passkeys WHERE passkeys.user_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_factors AFTER UPDATE OF password_hash, closed_at ON users
    FOR EACH ROW EXECUTE FUNCTION tenantry.forget_factors();

DO $$
DECLARE door text;
BEGIN
    FOREACH door IN ARRAY ARRAY[
        'factors_of(uuid)',
        'lock_factors(uuid, uuid)',
        'start_totp(uuid, bytea)',
        'try_totp(uuid, interval, integer)',
        'confirm_totp(uuid, bytea, bigint)',
        'totp_secret(uuid)',
        'use_totp(uuid, bigint)',
        'remove_totp(uuid)',
        'replace_recovery_codes(uuid, bytea[])',
        'use_recovery_code(uuid, bytea)',
        'add_passkey(uuid, uuid, bytea, bytea, bigint, text[], text, boolean)',
        'passkeys_of(uuid)',
        'find_passkey(bytea)',
        'use_passkey(uuid, uuid, bigint)',
        'rename_passkey(uuid, uuid, text)',
        'remove_passkey(uuid, uuid)',
        'strengthen_session(uuid, uuid)',
        'weaken_sessions(uuid)',
        'open_challenge(bytea, text, uuid, uuid, text, interval)',
        'try_challenge(bytea, text, uuid, text, integer)',
        'close_challenge(bytea)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO tenantry_runtime', door);
    END LOOP;
END $$;
ALTER FUNCTION tenantry.forget_factors() OWNER TO tenantry_door;
REVOKE ALL ON FUNCTION tenantry.forget_factors() FROM PUBLIC;
""")
