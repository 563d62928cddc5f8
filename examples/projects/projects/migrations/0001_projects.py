"""Projects and their tasks."""

from tenantry.migrations import run

revision = "projects_0001"
down_revision = None
branch_labels = ("projects",)
depends_on = "0013"


def upgrade() -> None:
    run("""
CREATE TABLE projects (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id              uuid NOT NULL,
    name            text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, id)
);
ALTER TABLE projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON projects
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT ON projects TO tenantry_runtime;

-- The keys carry the organisation, so a task cannot belong to another's project, nor be given to
-- somebody who was never a member here.
CREATE TABLE tasks (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id              uuid NOT NULL,
    project_id      uuid NOT NULL,
    title           text NOT NULL,
    assignee_id     uuid,
    done            boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, id),
    FOREIGN KEY (organisation_id, project_id) REFERENCES projects (organisation_id, id)
        ON DELETE CASCADE,
    FOREIGN KEY (organisation_id, assignee_id) REFERENCES memberships (organisation_id, user_id)
);
CREATE INDEX tasks_of_project ON tasks (organisation_id, project_id, created_at);
CREATE INDEX tasks_of_assignee ON tasks (organisation_id, assignee_id);
ALTER TABLE tasks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON tasks
    USING (organisation_id = (SELECT tenantry.current_organisation()));
GRANT SELECT, INSERT, UPDATE (done) ON tasks TO tenantry_runtime;
""")
