"""`tenantry serve --demo`: two organisations to try Tenantry with, in an embedded database only.

The password of their people is made at random where they are seeded, and kept beside the database:
nowhere is there an account that somebody elsewhere knows the password of.
"""

import asyncio
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from asyncpg import Record
from rich.table import Table

from tenantry.cli.console import out
from tenantry.cli.seeding import rows
from tenantry.cli.seeding.story import BAKERY, ENGINES, PEOPLE, told
from tenantry.db import schema
from tenantry.passwords import Passwords
from tenantry.settings import Settings, SettingsError

FOUND = """
SELECT count(*) FILTER (WHERE id = ANY($1)) AS ours, count(*) AS number FROM organisations
"""
SIGN_INS = """
SELECT organisations.name AS organisation, organisations.subscription_plan AS plan,
       users.name, users.email,
       CASE WHEN memberships.owner THEN 'OWNER'
            ELSE coalesce(roles.name, memberships.role) END AS role
  FROM memberships
  JOIN organisations ON organisations.id = memberships.organisation_id
  JOIN users ON users.id = memberships.user_id
  LEFT JOIN roles ON roles.organisation_id = memberships.organisation_id
                 AND roles.id = memberships.custom_role_id
 WHERE memberships.organisation_id = ANY($1) AND memberships.user_id = ANY($2)
   AND memberships.removed_at IS NULL AND organisations.deleted_at IS NULL
 ORDER BY organisations.id, memberships.owner DESC, memberships.role, memberships.created_at
"""
OURS = [ENGINES, BAKERY]


def require_a_trial(settings: Settings) -> None:
    """Refuse to seed what people may depend on, or reach from outside.

    Raises:
        SettingsError: says what to unset.
    """
    problems = [
        f"--demo is for trying Tenantry out, {why}: unset {name}, or leave --demo out."
        for name, is_set, why in (
            ("DATABASE_URL", settings.database_url, "on its own embedded database"),
            ("PUBLIC_URL", settings.public_url, "not for a server that others reach"),
            ("APP_ENV", settings.production, "not for production"),
            ("TENANTRY_PLANS", settings.plans, "with the plans that it comes with"),
        )
        if is_set
    ]
    if problems:
        raise SettingsError(problems)


def seed(settings: Settings, owner_url: str, address: str) -> None:
    """Seed the database, unless it is seeded already, and print who can sign in.

    Raises:
        SettingsError: it has other organisations, or the password is gone.
    """
    password, sign_ins = asyncio.run(_seed(settings, owner_url))
    _show(address.replace("127.0.0.1", "localhost"), password, sign_ins)


async def _seed(settings: Settings, owner_url: str) -> tuple[str, list[Record]]:
    file = settings.data / "demo-password"
    connection = await schema.connect(owner_url)
    try:
        found = await connection.fetchrow(FOUND, OURS)
        assert found is not None
        if found["ours"]:
            password = _kept(file)
        elif found["number"]:
            raise _refusal(
                f"The database in {settings.data} has organisations of yours, and --demo mixes "
                "nothing into them: choose another folder, as with --data .tenantry-demo."
            )
        else:
            password = _made(file, settings.password_min_length)
            passwords = Passwords(settings.password_min_length)
            await rows.write(connection, told(datetime.now(UTC)), passwords, password)
            passwords.close()
        return password, await connection.fetch(SIGN_INS, OURS, [one.id for one in PEOPLE])
    finally:
        await connection.close()


def _made(file: Path, minimum_length: int) -> str:
    password = f"demo-{secrets.token_hex(max(4, minimum_length // 2))}"
    file.unlink(missing_ok=True)  # of a database that is gone
    with open(file, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as kept:
        kept.write(password)
    return password


def _kept(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        raise _refusal(
            f"{file}, where the demo's password was, is gone: begin anew, with another --data."
        ) from None


def _refusal(sentence: str) -> SettingsError:
    return SettingsError([sentence])


def _show(address: str, password: str, sign_ins: list[Record]) -> None:
    table = Table("name", "role", "address")
    organisation = None
    for row in sign_ins:
        if row["organisation"] != organisation:
            organisation = row["organisation"]
            table.add_section()
            table.add_row(f"[bold]{organisation}[/]", row["plan"])
        table.add_row(f"  {row['name']}", row["role"], row["email"])
    out.print()
    out.print(table)
    out.print(f"Sign in at [bold]{address}/console[/]", soft_wrap=True)
    out.print(f"Everybody's password is [bold]{password}[/]", soft_wrap=True)
    out.print()
