"""Comments."""

from tenantry.migrations import run

revision = "projects_0002"
down_revision = "projects_0001"


def upgrade() -> None:
    run("""
CREATE TABLE comments (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id              uuid NOT NULL,
    task_id         uuid NOT NULL,
    author_id       uuid NOT NULL,
    text            text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, id),
    FOREIGN KEY (organisation_id, task_id) REFERENCES tasks (organisation_id, id)
        ON DELETE CASCADE,
    FOREIGN KEY (organisation_id, author_id) REFERENCES memberships (organisation_id, user_id)
);
CREATE INDEX comments_of_task ON comments (organisation_id, task_id, created_at);
ALTER TABLE comments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON comments
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT ON comments TO tenantry_runtime;
""")
