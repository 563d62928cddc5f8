"""People are let through one by one, by the key of memberships.

PostgreSQL would otherwise read every membership of the entered organisation into a hash, once for
each mention of `users`, since the average organisation is small: a page of fifty activities cost an
organisation of a hundred thousand members a hundred thousand rows. With OFFSET 0 it may not.
"""

from tenantry.db.migrations.script import run

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run("""
ALTER POLICY isolation ON users
    USING (EXISTS (
        SELECT FROM memberships
         WHERE memberships.organisation_id = (SELECT tenantry.current_organisation())
           AND memberships.user_id = users.id
        OFFSET 0));
""")
