"""What is held about a person: all of it at once, and its erasure."""

from tenantry.db.migrations.script import run

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run("""
GRANT UPDATE (email, name) ON users TO tenantry_door;
GRANT UPDATE (message, metadata) ON activities TO tenantry_door;
GRANT UPDATE (email) ON invites TO tenantry_door;

-- export_person: everything that is held about somebody, in every organisation that they are or
-- were in, as JSON with the API's names. No secret, nor what is held about others.
CREATE FUNCTION tenantry.export_person(_user uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'account', jsonb_build_object(
            'id', users.id, 'name', users.name, 'email', users.email,
            'emailVerifiedAt', users.email_verified_at,
            'createdAt', users.created_at, 'updatedAt', users.updated_at),
        'secondFactors', jsonb_build_object(
            'totpSince', (SELECT totp_secrets.confirmed_at FROM public.totp_secrets
                           WHERE totp_secrets.user_id = _user),
            'recoveryCodesLeft', (SELECT count(*) FROM public.recovery_codes
                                   WHERE recovery_codes.user_id = _user),
            'passkeys', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                    'name', passkeys.name, 'createdAt', passkeys.created_at,
                                    'usedAt', passkeys.used_at) ORDER BY passkeys.id), '[]')
                           FROM public.passkeys WHERE passkeys.user_id = _user)),
        'sessions', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                'device', sessions.device, 'address', sessions.address,
                                'createdAt', sessions.created_at, 'usedAt', sessions.used_at,
                                'expiresAt', sessions.expires_at, 'endedAt', sessions.ended_at,
                                'endReason', sessions.end_reason) ORDER BY sessions.created_at),
                                '[]')
                       FROM public.sessions WHERE sessions.user_id = _user),
        'mailedLinks', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                   'purpose', token.purpose, 'email', token.email,
                                   'createdAt', token.created_at, 'expiresAt', token.expires_at)
                                   ORDER BY token.created_at), '[]')
                          FROM public.one_time_tokens AS token WHERE token.user_id = _user),
        'memberships', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                   'organisationId', memberships.organisation_id,
                                   'organisationName', organisations.name,
                                   'role', memberships.role, 'owner', memberships.owner,
                                   'customRole', roles.name,
                                   'joinedAt', memberships.created_at,
                                   'leftAt', memberships.removed_at)
                                   ORDER BY memberships.created_at), '[]')
                          FROM public.memberships
                          JOIN public.organisations
                            ON organisations.id = memberships.organisation_id
                          LEFT JOIN public.roles
                                 ON roles.organisation_id = memberships.organisation_id
                                AND roles.id = memberships.custom_role_id
                         WHERE memberships.user_id = _user),
        'activities', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                  'organisationId', activity.organisation_id,
                                  'seq', activity.seq, 'type', activity.type,
                                  'message', activity.message, 'metadata', activity.metadata,
                                  'createdAt', activity.created_at)
                                  ORDER BY activity.created_at), '[]')
                         FROM public.memberships
                        CROSS JOIN LATERAL (
                              SELECT * FROM public.activities
                               WHERE activities.organisation_id = memberships.organisation_id
                                 AND activities.actor_id = _user
                               UNION ALL
                              SELECT * FROM public.activities
                               WHERE activities.organisation_id = memberships.organisation_id
                                 AND activities.target_id = _user
                                 AND activities.actor_id IS DISTINCT FROM _user) AS activity
                        WHERE memberships.user_id = _user))
      FROM public.users
     WHERE users.id = _user AND users.closed_at IS NULL;
END;

-- enter_own: somebody who is signed in enters one of their organisations, a deleted one too, for
-- this transaction. Null: they are no member there.
CREATE FUNCTION tenantry.enter_own(
    _user uuid, _organisation uuid,
    OUT role text, OUT owner boolean, OUT last_seq bigint, OUT deleted boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- The organisation's lock, under which memberships change.
    PERFORM FROM organisations WHERE organisations.id = _organisation FOR NO KEY UPDATE;
    SELECT memberships.role, memberships.owner, organisations.last_seq,
           organisations.deleted_at IS NOT NULL
      INTO enter_own.role, enter_own.owner, enter_own.last_seq, enter_own.deleted
      FROM memberships
      JOIN organisations ON organisations.id = memberships.organisation_id
     WHERE memberships.organisation_id = _organisation
       AND memberships.user_id = _user AND memberships.removed_at IS NULL;
    PERFORM set_config('tenantry.organisation_id',
                       CASE WHEN FOUND THEN _organisation::text ELSE '' END, true);
END $$;

-- own_organisations: where somebody is a member, deleted organisations too.
CREATE FUNCTION tenantry.own_organisations(_user uuid) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT coalesce(array_agg(memberships.organisation_id
                              ORDER BY memberships.organisation_id), '{}')
      FROM public.memberships
     WHERE memberships.user_id = _user AND memberships.removed_at IS NULL;
END;

-- erase_person: forgets who somebody was, who is in no organisation any more. What they did stays
-- in the feeds, as a former member's; what they wrote there themselves, too.
-- False: they are in an organisation still.
CREATE FUNCTION tenantry.erase_person(_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    address text;
    former CONSTANT jsonb := '{"name": "Former member", "email": ""}';
    accepted text[];
BEGIN
    SELECT users.email INTO address FROM users WHERE users.id = _user FOR UPDATE;
    IF EXISTS (SELECT FROM memberships
                WHERE memberships.user_id = _user AND memberships.removed_at IS NULL) THEN
        RETURN false;
    END IF;
    -- What was done to them, or by them as an invited person.
    UPDATE activities
       SET message = regexp_replace(activities.message,
               '^.*( joined the organisation| left the organisation'
               '| was removed from the organisation| accepted the invite| is now .*)$',
               'Former member\\1'),
           metadata = activities.metadata || (
               SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(former)
                WHERE activities.metadata ? key)
      FROM memberships
     WHERE memberships.user_id = _user
       AND activities.organisation_id = memberships.organisation_id
       AND (activities.target_id = _user
            OR activities.actor_id = _user AND activities.type = 'INVITE_ACCEPTED');
    -- The invites by which they came, and others to their address.
    accepted := ARRAY(SELECT activities.metadata ->> 'inviteId'
                        FROM memberships
                        JOIN activities
                          ON activities.organisation_id = memberships.organisation_id
                         AND activities.actor_id = _user AND activities.type = 'INVITE_ACCEPTED'
                       WHERE memberships.user_id = _user);
    UPDATE activities
       SET message = regexp_replace(activities.message, '\\S+@\\S+', 'Former member'),
           metadata = activities.metadata || '{"email": ""}'
      FROM memberships
     WHERE memberships.user_id = _user
       AND activities.organisation_id = memberships.organisation_id
       AND activities.type IN ('INVITE_SENT', 'INVITE_REVOKED')
       AND (activities.metadata ->> 'inviteId' = ANY(accepted)
            OR lower(activities.metadata ->> 'email') = lower(address));
    UPDATE invites SET email = ''
      FROM memberships
     WHERE memberships.user_id = _user
       AND invites.organisation_id = memberships.organisation_id
       AND (invites.id::text = ANY(accepted)
            OR lower(invites.email) = lower(address)
               AND (invites.accepted_at IS NOT NULL OR invites.revoked_at IS NOT NULL));
    PERFORM tenantry.end_sessions(_user, NULL, NULL, 'account closed');
    DELETE FROM sessions WHERE sessions.user_id = _user;
    DELETE FROM one_time_tokens WHERE one_time_tokens.user_id = _user;
    DELETE FROM tenantry_jobs.pgqueuer
     WHERE pgqueuer.entrypoint = 'mail' AND pgqueuer.status = 'failed'
       AND lower(convert_from(pgqueuer.payload, 'UTF8')::jsonb ->> 'to') = lower(address);
    UPDATE users
       SET email = '', name = 'Former member', password_hash = '', email_verified_at = NULL,
           closed_at = coalesce(users.closed_at, now()), updated_at = now()
     WHERE users.id = _user;
    RETURN true;
END $$;

DO $$
DECLARE door text;
BEGIN
    FOREACH door IN ARRAY ARRAY[
        'export_person(uuid)',
        'enter_own(uuid, uuid)',
        'own_organisations(uuid)',
        'erase_person(uuid)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO tenantry_runtime', door);
    END LOOP;
END $$;
""")
