"""What commands print: panels and tables in one style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rnnport.errors import Reason
from rnnport.spec import FileRecord, FixedAxis, Form, LayerReport, Manifest, Port

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact

__all__ = [
    "error_panel",
    "facts",
    "files_table",
    "fixed_axes_lines",
    "layers_table",
    "light_table",
    "op_counts_line",
    "ports_table",
    "section",
    "stderr",
    "stdout",
]

_UNFUSED = ("Scan", "Loop", "tf2onnx")


def stdout() -> Console:
    """A console on standard output; highlighting would colour names at random."""
    return Console(highlight=False, soft_wrap=False)


def stderr() -> Console:
    """A console on standard error."""
    return Console(stderr=True, highlight=False)


def error_panel(kind: str, reasons: Sequence[Reason]) -> Panel:
    """Every reason: its subject, then received, expected and remedy, one line each."""
    blocks: list[RenderableType] = []
    for reason in reasons:
        if blocks:
            blocks.append(Text())
        blocks += [Text(reason.subject, style="bold"), _reason_grid(reason)]
    return Panel(Group(*blocks), title=f"[bold red]{kind}", title_align="left", border_style="red")


def section(title: str, body: RenderableType) -> Group:
    """A titled block, indented by two."""
    return Group(Text(title, style="bold cyan"), Padding(body, (0, 0, 1, 2), expand=False))


def facts(pairs: Mapping[str, str | Text]) -> Table:
    """Two columns without lines: what, and its value; pairs without a value are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for what, value in pairs.items():
        if value:
            grid.add_row(what, value if isinstance(value, Text) else Text(value))
    return grid


def files_table(artifact: Artifact) -> Table:
    """Every file of the artifact and its size."""
    table = light_table("file", "size>")
    total = 0
    for name, size in _file_sizes(artifact):
        table.add_row(Text(name), decimal(size))
        total += size
    table.add_row(Text("total", style="dim"), Text(decimal(total), style="dim"))
    return table


def ports_table(form: Form) -> Table:
    """Inputs and outputs of a form, states last."""
    table = light_table("", "name", "dtype", "shape", "drawn as")
    for side, ports in (("in", form.inputs), ("out", form.outputs)):
        for port in ports:
            label = "fixed" if port.name in form.fixed else side
            table.add_row(label, Text(port.name), port.dtype, _shape(port.shape), _sampling(port))
    for state in form.states:
        name = Text(f"{state.input} → {state.output}")
        start = f"starts from {state.start}" if state.start else ""
        table.add_row("state", name, state.dtype, _shape(state.shape), start)
    return table


def layers_table(layers: Iterable[LayerReport]) -> Table:
    """Recurrent layers and how each was lowered."""
    table = light_table("layer", "kind", "units>", "lowered to", "why")
    for layer in layers:
        units = "+".join(map(str, layer.units))
        style = "yellow" if layer.lowering.startswith(_UNFUSED) else "green"
        lowering = Text(layer.lowering, style=style)
        table.add_row(Text(layer.name), layer.kind, units, lowering, Text(layer.reason))
    return table


def op_counts_line(manifest: Manifest) -> Text:
    """Operators of every form by count, recurrent ones in front."""
    lines = []
    for name, form in manifest.forms.items():
        counts = sorted(form.op_counts.items(), key=lambda item: (-item[1], item[0]))
        ops = ", ".join(f"{op} {count}" for op, count in counts)
        lines.append(f"{name}: {ops}" if len(manifest.forms) > 1 else ops)
    return Text("\n".join(lines))


def fixed_axes_lines(axes: Iterable[FixedAxis]) -> Text:
    """One line for each axis that stays at one size."""
    lines = []
    for axis in axes:
        blame = f" (layer {axis.layer})" if axis.layer else ""
        reason = f": {axis.reason}" if axis.reason else ""
        lines.append(f"{axis.input}, axis {axis.axis} = {axis.size}{blame}{reason}")
    return Text("\n".join(lines))


def _reason_grid(reason: Reason) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("received", Text(reason.received))
    grid.add_row("expected", Text(reason.expected))
    grid.add_row("remedy", Text(reason.remedy, style="green"))
    return grid


def light_table(*columns: str) -> Table:
    """A light table; a column named with a trailing ">" is aligned right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for column in columns:
        right = column.endswith(">")
        table.add_column(
            column.removesuffix(">"), justify="right" if right else "left", overflow="fold"
        )
    return table


def _file_sizes(artifact: Artifact) -> list[tuple[str, int]]:
    from rnnport.artifact.manifest import MANIFEST_FILE

    records: list[FileRecord] = []
    for form in artifact.manifest.forms.values():
        records += [form.record, *form.data]
    records.append(artifact.manifest.golden)
    sizes = [(record.file, record.size) for record in records]
    return [*sizes, (MANIFEST_FILE, (artifact.path / MANIFEST_FILE).stat().st_size)]


def _shape(shape: Sequence[int | str]) -> Text:
    """Axis letters, the dynamic axes, stand out."""
    text = Text(" × ").join(
        Text(str(axis), style="bold magenta" if isinstance(axis, str) else "") for axis in shape
    )
    return text or Text("scalar")


def _sampling(port: Port) -> str:
    hint = port.sampling
    if hint is None:
        return ""
    what = f"ids below {hint.high}" if hint.kind == "ids" else hint.kind
    return what if hint.mask_value is None else f"{what}, {hint.mask_value:g} masks"
