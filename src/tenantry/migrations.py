"""What the migrations of a feature are written with.

A migration runs SQL. `tenant_table` writes that of a table which belongs to organisations, as
text that can be read; whoever would rather write it themselves can begin with what it gives:

    run(tenant_table(
        "tasks",
        {"title": "text NOT NULL", "project_id": "uuid NOT NULL", "assignee_id": "uuid"},
        references=[
            reference("project_id", "projects", on_delete="CASCADE"),
            member("assignee_id"),
        ],
        grants=["SELECT", "INSERT", "UPDATE (title, assignee_id)", "DELETE"],
    ))

A reference is text too: `run(f"ALTER TABLE tasks ADD {member('reviewer_id')}")`.
"""

from tenantry.db.migrations.script import run
from tenantry.db.migrations.tables import Reference, member, reference, tenant_table

__all__ = ["Reference", "member", "reference", "run", "tenant_table"]
