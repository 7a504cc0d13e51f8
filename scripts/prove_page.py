"""docs/parity.md and its picture, from what scripts/prove saw."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["draw", "page"]

PARITY = Path(__file__).resolve().parents[1] / "artifacts" / "parity"
ACCURACY, MUTATIONS = PARITY / "accuracy.json", PARITY / "mutations.json"

Found = Mapping[str, Sequence[Mapping[str, Any]]]

HEAD = """# Proven on every runtime

Made by `scripts/prove`: every model that the tests of the mission's rows export, and the published
models, verified by `rnnport verify` on every backend that ran on this machine. Nothing is entered
by hand; artifacts/parity/ holds what each figure is made of.

A cell says how many models passed every check, of how many; then the worst error as a share of its
bound, over all checks of all of them. *Lacks*: the runtime was found, before it ran, not to do what
the graph needs, and nothing is claimed of it. The bounds: 1e-5 of the largest magnitude against
TensorFlow on onnxruntime's CPU kernels, the web build and the reference evaluator, 1e-4 on OpenVINO
and CUDA; 1e-6 between a whole run and chunks or steps; whatever TensorFlow itself is away from
float64, three times, where that is more.

![errors](parity.png)

"""


def page(
    found: Found, facts: Mapping[str, Any], names: Sequence[str], titles: Mapping[str, str]
) -> str:
    """The document."""
    lines = [HEAD, f"| row | what | models | {' | '.join(names)} | error ÷ TensorFlow's |"]
    lines.append(f"|{'---|' * (4 + len(names))}")
    for row, models in found.items():
        cells = [_cell([m["backends"][name] for m in models]) for name in names]
        ratio = _ratio([m["backends"].get("cpu", {}) for m in models])
        what = titles.get(row, "published, from their authors' files")
        lines.append(f"| {row} | {what} | {len(models)} | {' | '.join(cells)} | {ratio} |")
    everything = [model for models in found.values() for model in models]
    cells = [_cell([m["backends"][name] for m in everything]) for name in names]
    ratio = _ratio([m["backends"].get("cpu", {}) for m in everything])
    lines.append(f"| **all** | | {len(everything)} | {' | '.join(cells)} | {ratio} |")
    lines += ["", _RATIOS, "", *_lacking(found, names), *_beside(), *_around(facts)]
    return "\n".join(lines) + "\n"


def _beside() -> list[str]:
    """What scripts/mutate and scripts/accuracy measured, where they have run."""
    lines = []
    if ACCURACY.exists():
        seen = json.loads(ACCURACY.read_text())
        lines += [
            f"- `scripts/accuracy`: {len(seen['models'])} random models against float64: rnnport's "
            f"error is {seen['median']:.2f} times TensorFlow's in the median, "
            f"{seen['worst']:.2f} times at worst."
        ]
    if MUTATIONS.exists():
        seen = json.loads(MUTATIONS.read_text())
        caught = sum(row["caught"] for row in seen["mutants"])
        faults = len({row["fault"] for row in seen["mutants"]})
        lines += [
            f"- `scripts/mutate`: {faults} kinds of faults planted {len(seen['mutants'])} times: "
            f"{caught} caught by the right check; {len(seen['alarms'])} false alarms on clean "
            f"artifacts at {seen['seeds']} seeds."
        ]
    return ["## Is the proof any good?", "", *lines, ""] if lines else []


_RATIOS = (
    "The last column is rnnport's distance from a float64 run over TensorFlow's own, on the CPU: "
    "median and worst over all outputs of all golden runs, both errors counted as at least half a "
    "unit in the last place. Single runs scatter: a worst value is the luckiest of TensorFlow's "
    "roundings against the unluckiest of rnnport's."
)


def _cell(results: Sequence[Mapping[str, Any]]) -> str:
    verdicts = Counter(result["verdict"] for result in results)
    worst = max((max(r.get("worst", {}).values(), default=0.0) for r in results), default=0.0)
    ran = len(results) - verdicts["lacks"]
    told = f"{verdicts['passed']} of {ran}" if ran else "none ran"
    told += f", {worst:.2g}" if ran else ""
    if verdicts["lacks"]:
        told += f"; {verdicts['lacks']} lack"
    bad = verdicts["failed"] + verdicts["crashed"]
    return f"**{told}**" if bad else told


def _ratio(results: Sequence[Mapping[str, Any]]) -> str:
    ratios = [ratio for result in results for ratio in result.get("ratios", [])]
    return f"{statistics.median(ratios):.2f}, worst {max(ratios):.1f}" if ratios else "–"


def _lacking(found: Found, names: Sequence[str]) -> list[str]:
    lines = []
    for name in names:
        reasons: Counter[str] = Counter()
        for models in found.values():
            for model in models:
                told = {
                    f"{k['op']}: {k['reason']}" for k in model["backends"][name].get("lacks", [])
                }
                reasons.update(told)
        if reasons:
            lines += [f"## What {name} lacks", "", "| operator and reason | models |", "|---|---|"]
            lines += [f"| {reason} | {count} |" for reason, count in reasons.most_common()]
            lines.append("")
    return lines


def _around(facts: Mapping[str, Any]) -> list[str]:
    machine = facts["machine"]
    lines = [
        "## Where",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}.",
    ]
    for name, versions in facts["versions"].items():
        lines.append(f"- {name}: {', '.join(f'{k} {v}' for k, v in versions.items())}")
    for name, why in facts["left out"].items():
        lines.append(f"- {name} was not measured{f': {why}' if why else ''}")
    return lines


def draw(found: Found, names: Sequence[str], path: Path) -> None:
    """Every model a dot: its worst error as a share of the bound, by row and backend."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    colours = ("#1b6ca8", "#d1603d", "#3c8d5a", "#7b5ea7", "#8a8a3c")
    figure, axes = plt.subplots(figsize=(9, 0.27 * len(found) + 1.6), dpi=120)
    for number, name in enumerate(names):
        xs, ys = [], []
        for place, models in enumerate(found.values()):
            for model in models:
                worst = model["backends"][name].get("worst", {})
                if worst:
                    xs.append(max(max(worst.values()), 1e-4))
                    ys.append(place + 0.16 * (number - (len(names) - 1) / 2))
        axes.scatter(xs, ys, s=11, alpha=0.6, color=colours[number % 5], label=name, linewidths=0)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.text(1.06, -0.4, "bound", va="bottom", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(8e-5, 3)
    axes.set_yticks(range(len(found)), list(found), fontsize=8)
    axes.set_ylim(len(found) - 0.4, -0.9)
    axes.set_xlabel("worst error of a model over all its checks, as a share of its bound")
    axes.grid(axis="x", linewidth=0.4, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names), frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
