"""What all parts of a tuning share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnport.artifact.load import Artifact
from rnnport.progress import Progress
from rnnport.runtime.crew import cores
from rnnport.runtime.layout import WHOLE, Layout
from rnnport.runtime.layout_runs import LayoutRuns, layouts, named
from rnnport.tuning.contest import Contest
from rnnport.tuning.graphs import Graphs, Variant
from rnnport.tuning.report import Switched, TuneReport
from rnnport.tuning.sizes import Point

if TYPE_CHECKING:
    from rnnport.graph.retune import Switch

__all__ = ["Setting"]


@dataclass(frozen=True, eq=False)
class Setting:
    """One tuning.

    Attributes:
        artifact: as it is.
        graphs: the best so far.
        threads: as load(threads=) will say.
        contest: measures.
        progress: told a stage and the fraction done.
        report: filled on the way.
    """

    artifact: Artifact
    graphs: Graphs
    threads: int | None
    contest: Contest
    progress: Progress
    report: TuneReport

    @property
    def cores(self) -> int:
        """Threads that whole sequences use."""
        return self.threads or cores()

    def runs(self, variant: Variant | None = None) -> LayoutRuns:
        """A graph, ready: the best so far, or a variant of it."""
        facts = self.artifact.manifest
        chosen = variant or self.graphs.best("model")
        # Points of the manifest were measured on the graph as it was.
        tuned = () if chosen.switched else facts.tuned
        return LayoutRuns(
            chosen.path,
            chosen.form,
            self.cores,
            mixes_rows=facts.mixes_rows,
            session_threads=self.threads,
            tuned=tuned,
        )

    def settle(self, form: str, wish: Switch, variant: Variant, gain: float, *, won: bool) -> None:
        """Make a variant that won the best graph of its form, remove one that lost; report it."""
        if won:
            self.graphs.keep(form, variant)
        else:
            self.graphs.drop(variant)
        tried = Switched(form, wish.layer, wish.now, wish.then, gain)
        (self.report.switched if won else self.report.stayed).append(tried)

    def before(self) -> LayoutRuns:
        """The graph as it was."""
        return self.runs(self.graphs.original("model"))

    def layouts(self, point: Point, runs: LayoutRuns) -> dict[str, Layout]:
        """Those worth a try, and the present one, by name."""
        may_cut = runs.spread.may_cut and runs.foresees_outputs(point.inputs)
        usual = layouts(point.size.batch, self.cores, may_cut=may_cut)
        return {named(one): one for one in (*usual, self.present(point, runs))}

    def present(self, point: Point, runs: LayoutRuns) -> Layout:
        """What a runner would use; it cuts nothing where it cannot foresee outputs."""
        layout = runs.spread.layout(point.sizes)
        return layout if runs.foresees_outputs(point.inputs) or not layout.parts else WHOLE
