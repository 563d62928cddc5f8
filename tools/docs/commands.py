"""The page of commands, from `tenantry.cli`."""

import inspect
from collections.abc import Iterator

import click

from tenantry.cli import main

INTRODUCTION = """# Commands

`tenantry` is in `.venv/bin` after `make setup`, and wherever the package is installed. Every
command reads its [settings](settings.md) from the environment; what can be mended is said in a
sentence, with the exit status 1.
"""


def page() -> str:
    context = click.Context(main, info_name="tenantry")
    return "\n".join([INTRODUCTION, *_of_group(main, context)])


def _of_group(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        inside = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _of_group(command, inside)
        else:
            yield _of_command(command, inside)


def _of_command(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}\n", f"    {usage}\n", f"{_text(command.help)}\n"]
    options = [one for one in command.params if isinstance(one, click.Option)]
    rows = [f"| {_names(option)} | {_about(option)} |" for option in options]
    if rows:
        parts += ["| option | what it does |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def _names(option: click.Option) -> str:
    return ", ".join(f"`{name}`" for name in option.opts)


def _about(option: click.Option) -> str:
    default = f" [{option.default}]" if option.show_default else ""
    return _text(f"{option.help}{default}")


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("[", "\\[")
