"""Poolers between here and PostgreSQL, such as PgBouncer, that give each transaction another
connection.

Whoever enters an organisation does so by a setting of the connection. Behind such a pooler their
next statement would run where somebody else has entered, so nothing is served there.
"""

from collections.abc import Callable

import asyncpg

from tenantry.db.branches import SchemaError
from tenantry.db.schema import connect

# Statements without parameters, which need no prepared statement: that fails there in its own ways.
MARK = "SELECT set_config('tenantry.probe', 'first', false)"
REQUIRE = """
DO $$ BEGIN
    IF coalesce(current_setting('tenantry.probe', true), '') <> '{mark}' THEN
        RAISE 'another connection';
    END IF;
END $$
"""


async def require_own_connections(
    url: str,
    *,
    variable: str = "DATABASE_URL",
    say: Callable[[str], None] | None = None,
    patience: float = 0,
) -> None:
    """Check that a setting stays with who made it. A database that is starting is waited for.

    Raises:
        SchemaError: it does not, or there is no database.
    """
    first = await connect(url, variable=variable, say=say, patience=patience)
    second = await connect(url, variable=variable)
    try:
        await first.execute(MARK)
        async with second.transaction():  # takes whatever the first has let go of
            await second.execute(REQUIRE.format(mark=""))
            await first.execute(REQUIRE.format(mark="first"))
    except asyncpg.RaiseError:
        raise SchemaError(
            f"{variable} leads through a pooler that gives each transaction another connection, "
            "where organisations cannot be kept apart. Connect to PostgreSQL itself, or use the "
            "pooler's session mode."
        ) from None
    finally:
        first.terminate()
        second.terminate()
