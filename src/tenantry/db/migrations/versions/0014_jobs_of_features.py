"""Jobs of features: each is enqueued from within an organisation, and entered into it again."""

from tenantry.db.migrations.script import run

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run("""
-- enqueue_job: a feature's job in the entered organisation. Which that is stands beside the
-- payload, where `enqueue` cannot write it.
CREATE FUNCTION tenantry.enqueue_job(_name text, _payload bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    WITH job AS (
        INSERT INTO tenantry_jobs.pgqueuer (priority, entrypoint, payload, headers, status)
             VALUES (0, _name, _payload,
                     jsonb_build_object('organisation', tenantry.current_organisation()), 'queued')
          RETURNING id, status, entrypoint, priority
    )
    INSERT INTO tenantry_jobs.pgqueuer_log (job_id, status, entrypoint, priority)
    SELECT job.id, job.status, job.entrypoint, job.priority FROM job;
END;

-- enter_job: the connection in the organisation, as `enter` does it, for a job: nobody asks, so
-- there is no session to be looked at. Null: the organisation is deleted.
CREATE FUNCTION tenantry.enter_job(_organisation uuid, OUT last_seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT organisations.last_seq INTO enter_job.last_seq
      FROM organisations
     WHERE organisations.id = _organisation AND organisations.deleted_at IS NULL;
    PERFORM set_config('tenantry.organisation_id',
                       CASE WHEN FOUND THEN _organisation::text ELSE '' END, false);
END $$;

DO $$
DECLARE door text;
BEGIN
    FOREACH door IN ARRAY ARRAY['enqueue_job(text, bytea)', 'enter_job(uuid)'] LOOP
        EXECUTE format('ALTER FUNCTION tenantry.%s OWNER TO tenantry_door', door);
        EXECUTE format('REVOKE ALL ON FUNCTION tenantry.%s FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenantry.%s TO tenantry_runtime', door);
    END LOOP;
END $$;
""")
