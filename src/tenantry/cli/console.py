"""How commands speak and fail."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click
from rich.console import Console

from tenantry import settings
from tenantry.db.branches import SchemaError
from tenantry.db.embedded import EmbeddedError
from tenantry.server import AddressError
from tenantry.settings import Settings, SettingsError
from tenantry.tenancy.plans import PlansError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def plain_failures() -> Iterator[None]:
    """Errors that a person can mend are sentences, and exit with 1."""
    try:
        yield
    except (SettingsError, PlansError) as error:
        for problem in error.problems:
            err.print(f"[bold red]✗[/] {problem}", soft_wrap=True)
        sys.exit(1)
    except (AddressError, EmbeddedError, SchemaError) as error:
        err.print(f"[bold red]✗[/] {error}", soft_wrap=True)
        sys.exit(1)


data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the embedded database. [TENANTRY_DATA, .tenantry]",
)


def load(**overrides: Any) -> Settings:
    return settings.load(os.environ, **overrides)


def say(text: str) -> None:
    out.print(f"[bold cyan]tenantry[/] {text}", soft_wrap=True)
