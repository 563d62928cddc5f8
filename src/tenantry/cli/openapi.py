"""tenantry openapi"""

import json
from pathlib import Path

import rich_click as click

from tenantry.app import describe
from tenantry.cli.console import load, plain_failures
from tenantry.feature import installed


@click.command("openapi")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
def command(file: Path | None) -> None:
    """Write the OpenAPI document, with the installed features, to FILE or to the terminal.

    It is what the server has at /docs/spec, for generators of clients. Nothing needs to run.
    """
    with plain_failures():
        text = json.dumps(describe(load(), installed()), indent=2, ensure_ascii=False) + "\n"
    if file is None:
        click.echo(text, nl=False)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
