"""What is under way, shown on the terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

console = Console()


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives the function that is told each step, before it is done."""
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stdout.isatty()
    ) as bar:
        task = bar.add_task("starting PostgreSQL")
        yield lambda text: bar.update(task, description=text)
