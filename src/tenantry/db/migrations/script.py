"""How a migration runs its SQL."""

from alembic import op


def run(sql: str) -> None:
    """Run a script of several statements as it stands, in the migration's transaction.

    Through the driver's own connection: SQLAlchemy prepares each statement, and PostgreSQL
    prepares only one at a time.
    """
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    connection.run_async(lambda driver: driver.execute(sql))
