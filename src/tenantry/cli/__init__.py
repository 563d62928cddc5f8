"""The command line, a file for each command."""

import importlib

import rich_click as click

from tenantry import __version__

COMMANDS = ("serve", "work", "mail", "migrate", "check", "openapi", "logout", "new", "demo")


class Commands(click.RichGroup):
    """Imports a command when it is used: a start should not pay for what it does not need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tenantry.cli.{cmd_name}").command
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="Tenantry %(version)s")
def main() -> None:
    """The multi-tenant SaaS backend, isolated by PostgreSQL.

    Settings come from the environment; see .env.example for all of them.
    """
