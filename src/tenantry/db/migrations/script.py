"""How a migration runs its SQL."""

from alembic import op


def run(sql: str) -> None:
    """Run a script of several statements as it stands, in the migration's transaction.

    Through the driver's own connection: SQLAlchemy prepares each statement, and PostgreSQL
    prepares only one at a time. Under `tenantry migrate --sql` it is printed.
    """
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(f"{sql.strip().removesuffix(';')};")
        return
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    connection.run_async(lambda driver: driver.execute(sql))
