"""Reads whose answer PostgreSQL writes as JSON: times as they go over the wire."""

from tenantry.db.migrations.script import run

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run("""
-- wire_time: ISO 8601 in UTC with a Z, where JSON of PostgreSQL has +00:00. It is inlined.
CREATE FUNCTION tenantry.wire_time(_at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (to_json(_at AT TIME ZONE 'UTC') #>> '{}') || 'Z';
""")
