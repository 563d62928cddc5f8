"""Times in JSON of PostgreSQL have as many digits as those that Python writes."""

from tenantry.db.migrations.script import run

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run("""
-- wire_time: ISO 8601 in UTC with a Z; six digits of the second, or none where it is whole.
CREATE OR REPLACE FUNCTION tenantry.wire_time(_at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN replace(
    to_char(_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000', '');
""")
