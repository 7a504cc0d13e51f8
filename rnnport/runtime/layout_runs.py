"""Runs of one graph in any layout, for measuring; what `rnnport tune` times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnport.runtime.layout import Layout, Spread, cut
from rnnport.runtime.row_runs import RowRuns
from rnnport.runtime.session import open_session
from rnnport.spec import Form, Tuned

__all__ = ["LayoutRuns", "layouts", "named"]


class LayoutRuns:
    """A graph, its sessions open.

    Args:
        path: the graph.
        form: what it is.
        threads: there are to use.
        session_threads: for the whole batch, as load(threads=) says; None is onnxruntime's choice.
        mixes_rows: rows of a batch influence one another.
        tuned: layouts measured before.

    Attributes:
        spread: chooses the layout that a runner would use.
    """

    def __init__(
        self,
        path: Path,
        form: Form,
        threads: int,
        *,
        mixes_rows: bool,
        session_threads: int | None = None,
        tuned: Sequence[Tuned] = (),
    ) -> None:
        self.spread = Spread(form, threads, mixes_rows=mixes_rows, tuned=tuned)
        single = partial(open_session, path, "cpu", 1)
        session = open_session(path, "cpu", session_threads)
        self._names = [port.name for port in form.outputs]
        self._rows = RowRuns(session, single, form, self.spread)

    def takes(self, inputs: Mapping[str, NDArray[Any]]) -> bool:
        """Whether the graph runs on inputs of these sizes."""
        try:
            self._rows.sessions(Layout())[0].run(self._names, inputs)
        except Exception:  # onnxruntime raises many types
            return False
        return True

    def call(self, inputs: Mapping[str, NDArray[Any]], layout: Layout) -> Callable[[], Any]:
        """A run in this layout, over and over; uncut where outputs are not foreseen."""
        outputs = self._rows.outputs(inputs)
        if outputs is None:
            session = self._rows.sessions(Layout() if layout.parts else layout)[0]
            return lambda: session.run(self._names, inputs)
        bound = self._rows.bind(inputs, outputs, layout)
        bound.point(inputs)
        return bound.go

    def foresees_outputs(self, inputs: Mapping[str, NDArray[Any]]) -> bool:
        """Whether shapes of outputs follow from those of inputs, which parts need."""
        return self._rows.outputs(inputs) is not None


def layouts(batch: int, threads: int, *, may_cut: bool) -> list[Layout]:
    """Layouts worth a try: the whole batch, one thread, and 2, 4, … parts up to one a thread."""
    found = [Layout()]
    if threads > 1:
        found.append(Layout(one_thread=True))
    counts = {threads, *(2**k for k in range(1, threads.bit_length()))}
    for count in sorted(counts if may_cut else ()):
        if 1 < count <= min(threads, batch):
            found.append(Layout(cut(batch, count), one_thread=True))
    return found


def named(layout: Layout) -> str:
    """What to call it: "whole batch", "one thread", "4 parts", or "4 parts in turn"."""
    if layout.parts:
        return f"{len(layout.parts)} parts" + ("" if layout.one_thread else " in turn")
    return "one thread" if layout.one_thread else "whole batch"
