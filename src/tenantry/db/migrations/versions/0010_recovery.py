"""Links in mails that work once, and counters of guesses at passwords, codes and links."""

from tenantry.db.migrations.script import run

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run("""
GRANT UPDATE (email, name, email_verified_at) ON users TO tenantry_door;

-- A link that was mailed. `email` is where to, and for a change of address the new one: should the
-- account's be another by then, the link is worth nothing. Spent: used, or followed by a newer one.
CREATE TABLE one_time_tokens (
    token_hash bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users,
    purpose    text NOT NULL CHECK (purpose IN ('verify-email', 'change-email', 'reset-password')),
    email      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz
);
CREATE INDEX one_time_tokens_of_user ON one_time_tokens (user_id, purpose, created_at);
ALTER TABLE one_time_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY door ON one_time_tokens TO tenantry_door USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON one_time_tokens TO tenantry_door;

-- What counts guesses: of an account, of an address, and of the pair of them. Keys are hashes of
-- what was entered, so an address without an account counts as any other. `failures` is what it was
-- at `counted_at`; one is forgiven for each quarter of an hour in which a guess would have been let
-- through and there was none. `succeeded_at` is a pair's, `told_at` an account's.
CREATE TABLE auth_attempts (
    key          bytea PRIMARY KEY,
    account      bytea,
    failures     double precision NOT NULL DEFAULT 0,
    counted_at   timestamptz NOT NULL DEFAULT '-infinity',
    succeeded_at timestamptz,
    told_at      timestamptz
) WITH (fillfactor = 70);
CREATE INDEX auth_attempts_of_account ON auth_attempts (account) WHERE account IS NOT NULL;
ALTER TABLE auth_attempts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY door ON auth_attempts TO tenantry_door USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON auth_attempts TO tenantry_door;

CREATE FUNCTION tenantry.attempt_key(_purpose text, _account text, _address text) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp
RETURN sha256(convert_to(
    concat_ws(E'\\n', _purpose, coalesce(lower(_account), ''), coalesce(_address, '')), 'UTF8'));

-- Locks the counter, made where there is none. Whoever locks several takes the account's first,
-- then the pair's, then the address's.
CREATE FUNCTION tenantry.lock_attempts(_key bytea, _account bytea) RETURNS auth_attempts
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    INSERT INTO public.auth_attempts AS counter (key, account) VALUES (_key, _account)
        ON CONFLICT (key) DO UPDATE SET account = counter.account
    RETURNING counter.*;
END;

-- The moment from which the next guess is let through: the first ones at once, then after 1 s,
-- 2 s, 4 s … 15 minutes.
CREATE FUNCTION tenantry.attempts_free_at(_counter auth_attempts, _free integer)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp
RETURN (_counter).counted_at + CASE
    WHEN round((_counter).failures) < _free THEN interval '0'
    ELSE least(interval '1 second' * power(2, least(round((_counter).failures) - _free, 10)),
               interval '15 minutes')
END;

-- What the counter is after one more. Bounded, so that the way back is not longer than that.
CREATE FUNCTION tenantry.attempts_after(
    _counter auth_attempts, _moment timestamptz, _free integer
) RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp
RETURN CASE WHEN (_counter).counted_at = '-infinity' THEN 1 ELSE
    least(_free + 10, 1 + greatest(0, (_counter).failures - greatest(0,
        extract(epoch FROM _moment - tenantry.attempts_free_at(_counter, _free)) / 900))) END;

-- attempt: whether a guess is let through. One that is, is counted, before anybody looks at
-- whether it is right, so that no two can both be the last free one; one that has to wait is not.
-- Free are 5 of a pair of account and address, 10 of an account, 100 of an address. Where the
-- account has got in from this address within 90 days, only what the pair itself did counts.
-- `locked`: the owner should be told, once a day at most.
CREATE FUNCTION tenantry.attempt(
    _purpose text, _account text, _address text, OUT wait integer, OUT locked boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    account_key CONSTANT bytea := tenantry.attempt_key(_purpose, _account, NULL);
    of_account auth_attempts;
    of_pair auth_attempts;
    of_address auth_attempts;
    moment timestamptz;
    free_at timestamptz := '-infinity';
BEGIN
    wait := 0;
    locked := false;
    IF _account IS NOT NULL THEN
        of_account := tenantry.lock_attempts(account_key, account_key);
        of_pair := tenantry.lock_attempts(
            tenantry.attempt_key(_purpose, _account, _address), account_key);
        free_at := tenantry.attempts_free_at(of_pair, 5);
    END IF;
    of_address := tenantry.lock_attempts(tenantry.attempt_key(_purpose, NULL, _address), NULL);
    moment := clock_timestamp();
    IF of_pair.succeeded_at IS NULL OR of_pair.succeeded_at < moment - interval '90 days' THEN
        free_at := greatest(free_at,
                            tenantry.attempts_free_at(of_account, 10),
                            tenantry.attempts_free_at(of_address, 100));
    END IF;
    IF free_at > moment THEN
        wait := ceil(extract(epoch FROM free_at - moment));
        RETURN;
    END IF;
    UPDATE auth_attempts
       SET failures = tenantry.attempts_after(of_address, moment, 100), counted_at = moment
     WHERE key = of_address.key;
    IF _account IS NOT NULL THEN
        UPDATE auth_attempts
           SET failures = tenantry.attempts_after(of_pair, moment, 5), counted_at = moment
         WHERE key = of_pair.key;
        of_account.failures := tenantry.attempts_after(of_account, moment, 10);
        locked := round(of_account.failures) >= 10
                  AND coalesce(of_account.told_at < moment - interval '1 day', true);
        UPDATE auth_attempts
           SET failures = of_account.failures, counted_at = moment,
               told_at = CASE WHEN attempt.locked THEN moment ELSE told_at END
         WHERE key = account_key;
    END IF;
END $$;

-- attempt_succeeded: the guess was right. What the pair had counted is taken back everywhere, and
-- nothing else: who signs in to an account of their own gets no free guesses at another.
CREATE FUNCTION tenantry.attempt_succeeded(_purpose text, _account text, _address text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    account_key CONSTANT bytea := tenantry.attempt_key(_purpose, _account, NULL);
    of_pair auth_attempts;
    counted double precision := 1;
BEGIN
    IF _account IS NOT NULL THEN
        PERFORM tenantry.lock_attempts(account_key, account_key);
        of_pair := tenantry.lock_attempts(
            tenantry.attempt_key(_purpose, _account, _address), account_key);
        counted := of_pair.failures;
        UPDATE auth_attempts SET failures = greatest(0, failures - counted)
         WHERE key = account_key;
        UPDATE auth_attempts SET failures = 0, succeeded_at = clock_timestamp()
         WHERE key = of_pair.key;
    END IF;
    UPDATE auth_attempts SET failures = greatest(0, failures - counted)
     WHERE key = tenantry.attempt_key(_purpose, NULL, _address);
END $$;

-- attempt_login: a guess at a password, and what it must verify against.
CREATE FUNCTION tenantry.attempt_login(
    _email text, _address text,
    OUT wait integer, OUT locked boolean, OUT user_id uuid, OUT password_hash text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT attempt.wait, attempt.locked INTO attempt_login.wait, attempt_login.locked
      FROM tenantry.attempt('password', _email, _address) AS attempt;
    IF wait = 0 THEN
        SELECT found.user_id, found.password_hash
          INTO attempt_login.user_id, attempt_login.password_hash
          FROM tenantry.find_account(_email) AS found;
    END IF;
END $$;

-- login_succeeded: the password was right, and is hashed anew where `_renewed`. False: it has been
-- changed meanwhile. Whoever changes it from here on waits for the session that is about to open.
CREATE FUNCTION tenantry.login_succeeded(
    _user uuid, _known text, _renewed text, _email text, _address text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF _renewed IS NULL THEN
        PERFORM FROM users
          WHERE users.id = _user AND users.password_hash = _known AND users.closed_at IS NULL
            FOR SHARE;
    ELSE
        UPDATE users SET password_hash = _renewed, updated_at = now()
         WHERE users.id = _user AND users.password_hash = _known AND users.closed_at IS NULL;
    END IF;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM tenantry.attempt_succeeded('password', _email, _address);
    RETURN true;
END $$;
DROP FUNCTION tenantry.replace_password_hash(uuid, text, text);

-- issue_token: a link, which the older ones of its purpose give way to. `wait`: the last one was
-- mailed only just now; the pause grows, but not beyond half of a link's life, so that somebody
-- else's requests leave a good one in the mailbox at any time.
CREATE FUNCTION tenantry.issue_token(
    _user uuid, _purpose text, _email text, _token_hash bytea, _lifetime interval,
    OUT wait integer, OUT expires_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    issued integer;
    last timestamptz;
    pause interval;
BEGIN
    PERFORM FROM users WHERE users.id = _user AND users.closed_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT count(*), max(created_at) INTO issued, last
      FROM one_time_tokens
     WHERE user_id = _user AND purpose = _purpose AND created_at > now() - interval '1 day';
    pause := least(interval '1 minute' * power(2, least(issued - 1, 10)), interval '30 minutes');
    IF last + pause > clock_timestamp() THEN
        wait := ceil(extract(epoch FROM last + pause - clock_timestamp()));
        RETURN;
    END IF;
    wait := 0;
    UPDATE one_time_tokens SET spent_at = now()
     WHERE user_id = _user AND purpose = _purpose AND spent_at IS NULL;
    INSERT INTO one_time_tokens (token_hash, user_id, purpose, email, created_at, expires_at)
        VALUES (_token_hash, _user, _purpose, _email, clock_timestamp(),
                clock_timestamp() + _lifetime)
     RETURNING one_time_tokens.expires_at INTO issue_token.expires_at;
END $$;

-- issue_verification: a link that proves somebody's present address. Null: it is proven.
CREATE FUNCTION tenantry.issue_verification(
    _user uuid, _token_hash bytea, _lifetime interval,
    OUT wait integer, OUT name text, OUT email text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT users.name, users.email INTO issue_verification.name, issue_verification.email
      FROM users
     WHERE users.id = _user AND users.closed_at IS NULL AND users.email_verified_at IS NULL;
    IF FOUND THEN
        SELECT issued.wait INTO issue_verification.wait
          FROM tenantry.issue_token(_user, 'verify-email', email, _token_hash, _lifetime)
               AS issued;
    END IF;
END $$;

-- issue_email_change: a link for a new address; and whose it is, where it has an account.
CREATE FUNCTION tenantry.issue_email_change(
    _user uuid, _email text, _token_hash bytea, _lifetime interval,
    OUT wait integer, OUT taken_by text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT issued.wait INTO issue_email_change.wait
      FROM tenantry.issue_token(_user, 'change-email', _email, _token_hash, _lifetime) AS issued;
    SELECT users.name INTO taken_by
      FROM users WHERE lower(users.email) = lower(_email) AND users.closed_at IS NULL;
END $$;

-- issue_password_reset: the same for who has forgotten the password. Nulls: there is no account, or
-- it was mailed one only just now.
CREATE FUNCTION tenantry.issue_password_reset(
    _email text, _token_hash bytea, _lifetime interval,
    OUT name text, OUT email text, OUT expires_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT users.name, users.email, issued.expires_at
      INTO issue_password_reset.name, issue_password_reset.email, issue_password_reset.expires_at
      FROM users,
           tenantry.issue_token(users.id, 'reset-password', users.email, _token_hash, _lifetime)
           AS issued
     WHERE lower(users.email) = lower(_email) AND users.closed_at IS NULL;
END $$;

-- account_of: whom to write to at an address.
CREATE FUNCTION tenantry.account_of(_email text, OUT name text, OUT email text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT users.name, users.email FROM public.users
     WHERE lower(users.email) = lower(_email) AND users.closed_at IS NULL;
END;

-- read_token: what a link is good for: 'open', 'expired', or null. Locks the person, as whoever
-- uses or issues one does, so what it says holds until the transaction's end.
CREATE FUNCTION tenantry.read_token(
    _token_hash bytea, _purposes text[],
    OUT state text, OUT user_id uuid, OUT purpose text, OUT email text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM users
      WHERE users.id = (SELECT one_time_tokens.user_id FROM one_time_tokens
                         WHERE one_time_tokens.token_hash = _token_hash)
        FOR NO KEY UPDATE;
    SELECT CASE WHEN token.expires_at > clock_timestamp() THEN 'open' ELSE 'expired' END,
           token.user_id, token.purpose, token.email
      INTO read_token.state, read_token.user_id, read_token.purpose, read_token.email
      FROM one_time_tokens AS token
      JOIN users ON users.id = token.user_id
     WHERE token.token_hash = _token_hash AND token.purpose = ANY(_purposes)
       AND token.spent_at IS NULL AND users.closed_at IS NULL
       AND (token.purpose = 'change-email' OR lower(token.email) = lower(users.email));
END $$;

-- use_verification: a link that proves the present address or changes it to the new one. `state` as
-- read_token's, or 'taken' where somebody else has the address by now.
CREATE FUNCTION tenantry.use_verification(
    _token_hash bytea,
    OUT state text, OUT user_id uuid, OUT name text, OUT email text, OUT old_email text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    purpose text;
BEGIN
    SELECT token.state, token.user_id, token.purpose, token.email
      INTO use_verification.state, use_verification.user_id, purpose, use_verification.email
      FROM tenantry.read_token(_token_hash, '{verify-email,change-email}') AS token;
    IF state IS DISTINCT FROM 'open' THEN
        RETURN;
    END IF;
    SELECT users.name, users.email INTO use_verification.name, use_verification.old_email
      FROM users WHERE users.id = use_verification.user_id;
    IF purpose = 'verify-email' THEN
        old_email := NULL;
        UPDATE users SET email_verified_at = now(), updated_at = now()
         WHERE users.id = use_verification.user_id;
    ELSE
        BEGIN
            UPDATE users
               SET email = use_verification.email, email_verified_at = now(), updated_at = now()
             WHERE users.id = use_verification.user_id;
        EXCEPTION WHEN unique_violation THEN
            state := 'taken';
            RETURN;
        END;
    END IF;
    UPDATE one_time_tokens SET spent_at = now()
     WHERE one_time_tokens.user_id = use_verification.user_id
       AND one_time_tokens.purpose IN ('verify-email', 'change-email')
       AND one_time_tokens.spent_at IS NULL;
END $$;

-- set_password: a new one. No link that was mailed before it is good any more.
CREATE FUNCTION tenantry.set_password(_user uuid, _password_hash text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.users SET password_hash = _password_hash, updated_at = now()
     WHERE users.id = _user;
    UPDATE public.one_time_tokens SET spent_at = now()
     WHERE one_time_tokens.user_id = _user AND one_time_tokens.spent_at IS NULL
       AND one_time_tokens.purpose IN ('reset-password', 'change-email');
END;

-- reset_password: a new password by a link, which has also proven the address. Guesses at the old
-- password are forgotten, and the address that it was set from is one of the account's. `state` as
-- read_token's.
CREATE FUNCTION tenantry.reset_password(
    _token_hash bytea, _password_hash text, _address text,
    OUT state text, OUT user_id uuid, OUT name text, OUT email text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    account_key bytea;
BEGIN
    SELECT token.state, token.user_id, token.email
      INTO reset_password.state, reset_password.user_id, reset_password.email
      FROM tenantry.read_token(_token_hash, '{reset-password}') AS token;
    IF state IS DISTINCT FROM 'open' THEN
        RETURN;
    END IF;
    PERFORM tenantry.set_password(reset_password.user_id, _password_hash);
    UPDATE users SET email_verified_at = coalesce(users.email_verified_at, now())
     WHERE users.id = reset_password.user_id
    RETURNING users.name INTO reset_password.name;
    account_key := tenantry.attempt_key('password', email, NULL);
    PERFORM tenantry.lock_attempts(account_key, account_key);
    DELETE FROM auth_attempts WHERE auth_attempts.account = account_key;
    PERFORM tenantry.attempt_succeeded('password', email, _address);
END $$;

-- change_password: by who knows the old one. False: it is not that any more.
CREATE FUNCTION tenantry.change_password(_user uuid, _known text, _password_hash text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM users
      WHERE users.id = _user AND users.password_hash = _known AND users.closed_at IS NULL
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM tenantry.set_password(_user, _password_hash);
    RETURN true;
END $$;

-- rename_person: what somebody is called, in every organisation.
CREATE FUNCTION tenantry.rename_person(_user uuid, _name text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.users SET name = _name, updated_at = now()
     WHERE users.id = _user AND users.closed_at IS NULL;
END;

-- email_proven: a member of the entered organisation has shown a token that was mailed to them.
CREATE FUNCTION tenantry.email_proven(_user uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    UPDATE public.users SET email_verified_at = now()
     WHERE users.id = _user AND users.email_verified_at IS NULL
       AND EXISTS (SELECT FROM public.memberships
                    WHERE memberships.organisation_id = tenantry.current_organisation()
                      AND memberships.user_id = _user AND memberships.removed_at IS NULL);
END;

-- reused_session: whose a session was, on what, that ended because its token was used twice.
CREATE FUNCTION tenantry.reused_session(
    _session uuid, OUT name text, OUT email text, OUT device text
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT users.name, users.email, sessions.device
      FROM public.sessions JOIN public.users ON users.id = sessions.user_id
     WHERE sessions.id = _session AND sessions.end_reason = 'token reuse';
END;

-- sweep: as before, and used up links and counters that have come to nothing.
CREATE OR REPLACE FUNCTION tenantry.sweep() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    DELETE FROM public.tickets WHERE tickets.expires_at < now();
    DELETE FROM public.sessions
     WHERE least(sessions.ended_at, sessions.expires_at) < now() - interval '30 days';
    DELETE FROM tenantry_jobs.pgqueuer
     WHERE pgqueuer.status = 'failed' AND pgqueuer.updated < now() - interval '30 days';
    DELETE FROM tenantry_jobs.pgqueuer_log
     WHERE pgqueuer_log.created < now() - interval '30 days'
       AND NOT EXISTS (SELECT FROM tenantry_jobs.pgqueuer
                        WHERE pgqueuer.id = pgqueuer_log.job_id);
    DELETE FROM public.one_time_tokens
     WHERE one_time_tokens.expires_at < now() - interval '1 day';
    DELETE FROM public.auth_attempts
     WHERE auth_attempts.counted_at < now() - interval '2 days'
       AND coalesce(auth_attempts.succeeded_at < now() - interval '90 days', true);
END;

-- What only doors call.
DO $$
DECLARE inner_function text;
BEGIN
    FOREACH inner_function IN ARRAY ARRAY[
        'attempt_key(text, text, text)',
        'lock_attempts(bytea, bytea)',
        'attempts_free_at(auth_attempts, integer)',
        'attempts_after(auth_attempts, timestamptz, integer)',
        'issue_token(uuid, text, text, bytea, interval)',
        'set_password(uuid, text)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', inner_function);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', inner_function);
    END LOOP;
END $$;

DO $$
DECLARE door text; caller text;
BEGIN
    FOR door, caller IN VALUES
        ('attempt(text, text, text)', 'tenantry_runtime'),
        ('attempt_succeeded(text, text, text)', 'tenantry_runtime'),
        ('attempt_login(text, text)', 'tenantry_runtime'),
        ('login_succeeded(uuid, text, text, text, text)', 'tenantry_runtime'),
        ('issue_verification(uuid, bytea, interval)', 'tenantry_runtime'),
        ('issue_email_change(uuid, text, bytea, interval)', 'tenantry_runtime'),
        ('issue_password_reset(text, bytea, interval)', 'tenantry_worker'),
        ('account_of(text)', 'tenantry_worker'),
        ('read_token(bytea, text[])', 'tenantry_runtime'),
        ('use_verification(bytea)', 'tenantry_runtime'),
        ('reset_password(bytea, text, text)', 'tenantry_runtime'),
        ('change_password(uuid, text, text)', 'tenantry_runtime'),
        ('rename_person(uuid, text)', 'tenantry_runtime'),
        ('email_proven(uuid)', 'tenantry_runtime'),
        ('reused_session(uuid)', 'tenantry_runtime')
    LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO %I', door, caller);
    END LOOP;
END $$;
""")
