"""Which layers of model.onnx run faster on another operator, over all sizes together."""

from __future__ import annotations

from collections.abc import Sequence

from rnnport.runtime.layout_runs import LayoutRuns
from rnnport.tuning.contest import better, mean
from rnnport.tuning.report import Trial
from rnnport.tuning.setting import Setting
from rnnport.tuning.sizes import Point

__all__ = ["switch_operators"]

_SIDES = ("now", "then")


def switch_operators(setting: Setting, points: Sequence[Point]) -> None:
    """Try every layer in turn; what is faster is the graph that the next is tried in."""
    graphs = setting.graphs
    candidates = graphs.switches("model")
    now = setting.runs()
    for number, wish in enumerate(candidates):
        setting.progress(f"{wish.layer}: {wish.then}", 0.4 * number / len(candidates))
        variant = graphs.switched("model", wish)
        if variant is None:
            continue
        then = setting.runs(variant)
        won, gain = _gain(setting, points, now, then, wish.then)
        setting.settle("model", wish, variant, gain, won=won)
        now = then if won else now


def _gain(
    setting: Setting, points: Sequence[Point], now: LayoutRuns, then: LayoutRuns, label: str
) -> tuple[bool, float]:
    """Whether the candidate wins both races, and by how much, each side in its best layout."""
    ratios, finals = [], []
    for point in points:
        calls = {}
        for side, runs in zip(_SIDES, (now, then), strict=True):
            for name, layout in setting.layouts(point, runs).items():
                calls[f"{side}, {name}"] = runs.call(point.inputs, layout)
        found = setting.contest.race(calls)
        best = {side: _fastest(found, side) for side in _SIDES}
        setting.report.trials.append(Trial("model", point.size, label, found[best["then"]] * 1e6))
        ratios.append(found[best["now"]] / found[best["then"]])
        finals.append({side: calls[best[side]] for side in _SIDES})
    if not better(ratios):
        return False, mean(ratios)
    again = [setting.contest.race(calls) for calls in finals]
    confirmed = [found["now"] / found["then"] for found in again]
    return better(confirmed), min(mean(ratios), mean(confirmed))


def _fastest(found: dict[str, float], side: str) -> str:
    return min((n for n in found if n.startswith(f"{side}, ")), key=found.__getitem__)
