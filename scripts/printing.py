"""What the scripts print: titled blocks and tables of facts in one style."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["duration", "facts", "mark", "section"]


def facts() -> Table:
    """Two columns without lines: what, and its value."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def section(console: Console, title: str, body: RenderableType) -> None:
    """Print a titled block, indented by two."""
    console.print(Text(title, style="bold cyan"))
    console.print(Padding(body, (0, 0, 1, 2), expand=False))


def mark(good: bool) -> Text:
    """A tick or a cross."""
    return Text("✓", style="bold green") if good else Text("✗", style="bold red")


def duration(seconds: float) -> str:
    """E.g. "1.2 s", "3.4 ms", "21 µs"."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
