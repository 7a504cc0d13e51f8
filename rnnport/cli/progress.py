"""How far a long command has come, on a terminal alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

__all__ = ["Report", "progress"]

Report = Callable[[str, float], None]
"""Told a stage's name and the fraction done."""


@contextlib.contextmanager
def progress(shown: bool) -> Iterator[Report]:
    """A bar on stderr that is gone when the work is done; nothing where stderr is no terminal."""
    if not (shown and sys.stderr.isatty()):
        yield lambda stage, fraction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=32),
        TimeElapsedColumn(),
    )
    # A descriptor of its own, since 2 is silenced while TensorFlow loads.
    with open(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as screen:
        console = Console(file=screen)
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=1.0)

            def report(stage: str, fraction: float) -> None:
                bar.update(task, description=stage, completed=fraction, refresh=True)

            yield report
