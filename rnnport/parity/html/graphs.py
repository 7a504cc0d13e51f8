"""What the graphs are made of, and how each recurrent layer was lowered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnport.parity.facts import FormFacts
from rnnport.parity.figures import bytes_text
from rnnport.parity.html.blocks import section, table
from rnnport.parity.html.markup import Markup, join, tag
from rnnport.spec import LayerReport

__all__ = ["graphs"]

_FUSED = ("LSTM", "GRU", "RNN")
_LOOPS = ("Scan", "Loop")
_COLUMNS = ("layer", "kind", "units>", "lowered to", "why")


def graphs(forms: Mapping[str, FormFacts], layers: Sequence[LayerReport]) -> Markup | None:
    """The section."""
    if not forms and not layers:
        return None
    cards = tag("div", *(_form(name, form) for name, form in forms.items()), class_="charts")
    rows = table(_COLUMNS, [_layer(one) for one in layers], class_="layers stack")
    title = tag("h3", "Recurrent layers")
    return section("graphs", "Graphs", cards, *((title, rows) if layers else ()))


def _form(name: str, form: FormFacts) -> Markup:
    title = tag("figcaption", tag("b", name), f" {form.file}, {bytes_text(form.size)}")
    ops = sorted(form.op_counts.items(), key=_rank)
    chips = [tag("li", op, tag("b", f"{count:,}"), class_=_role(op)) for op, count in ops]
    return tag("figure", title, tag("ul", *chips, class_="chips"))


def _rank(item: tuple[str, int]) -> tuple[int, int, str]:
    """Recurrent operators in front, then the most frequent."""
    op, count = item
    return (0 if op in _FUSED else 1 if op in _LOOPS else 2, -count, op)


def _role(op: str) -> str | None:
    return "fused" if op in _FUSED else "loop" if op in _LOOPS else None


def _layer(one: LayerReport) -> list[str]:
    units = " + ".join(map(str, one.units))
    return [one.name, one.kind, units, join(tag("b", one.lowering)), one.reason]
