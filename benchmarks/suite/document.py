"""The text of docs/performance.md and docs/performance-rows.md, from the results alone."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from suite.growth import AXES, points
from suite.peers.registry import FLOORS, ON_OUR_GRAPH, OURS, PORTABLE, RIVALS
from suite.rows import TOLERANCE
from suite.store import Results, disturbed
from suite.verdicts import Aim, Row, aims, behind, exponent, finished, groups, lost, share_ahead
from suite.workloads import every_workload

__all__ = ["main_page", "rows_page"]

HEAD = """# Performance

Made by `./scripts/bench` from artifacts/bench/grid.jsonl; nothing is entered by hand. Every ratio
is the peer's median over rnnport's: above 1 rnnport is faster. *rnnport* is `runner.run` of an
artifact exported with `target="cpu"`, its checks of the inputs included.

"""


def main_page(results: Results, pictures: str, rows_file: str) -> str:
    """The document.

    Args:
        results: of one run.
        pictures: the folder of ratios.png, floor.png and growth.png, relative to the document.
        rows_file: where rows_page goes, relative to the document.
    """
    rows = finished(results)
    parts = [
        HEAD + _measured_with(results),
        "## What was wanted\n\n" + _aims_table(aims(results)),
        f"![ratios]({pictures}/ratios.png)",
        "## Against each peer\n\n" + _peer_table(rows),
        "## By batch\n\n" + _batch_table(rows),
        "## Where a peer is ahead\n\n" + _behind_table(rows, results),
        "## Where rnnport is faster on OpenVINO\n\n" + _openvino_table(rows),
        "## Distance to the floor\n\n" + _FLOOR + f"\n\n![floor]({pictures}/floor.png)",
        "## Growth\n\n" + _growth_table(rows) + f"\n\n![growth]({pictures}/growth.png)",
        "## Export, size, loading\n\n" + _cost_table(results),
        "## A process of its own\n\n" + _fresh_table(results),
        "## Who did not take part\n\n" + _absent_table(rows),
        "## How it was measured\n\n" + _how(results, rows, rows_file),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


_FLOOR = (
    "The share of the rate at which NumPy's BLAS does the matrix products alone: one product for "
    "all inputs, then one a step. No layer can do without them, and they leave out activations, "
    "gates, copies and the loop. Above 1: the kernel's packed products beat plain BLAS, or short "
    "rows took fewer steps."
)


def _measured_with(results: Results) -> str:
    head = results.header
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    return (
        f"**{head['cpu']}, {head['cores']} cores, {head['system']}; {head['threads']} threads for "
        f"each contender; Python {head['python']}; {versions}.**"
    )


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]], right: int = 1) -> str:
    """A Markdown table; columns from number `right` on are aligned right."""
    marks = ["---" if n < right else "--:" for n in range(len(columns))]
    cells = [columns, marks, *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _aims_table(found: Sequence[Aim]) -> str:
    lines = [
        (
            aim.what,
            aim.wanted,
            "–" if aim.value is None else _figure(aim),
            "✓" if aim.met else "✗",
            aim.note,
        )
        for aim in found
    ]
    return _table(("aim", "wanted", "measured", "met", ""), lines, 9)


def _figure(aim: Aim) -> str:
    assert aim.value is not None
    return f"{aim.value:.1%}" if "%" in aim.wanted else f"{aim.value:.2f}"


def _peer_table(rows: Sequence[Row]) -> str:
    lines = []
    for name in RIVALS:
        found = [(ratio, row) for row in rows if (ratio := row.ratio(name)) is not None]
        if not found:
            lines.append((name, "0", "–", "–", "–", ""))
            continue
        ratios = [ratio for ratio, _ in found]
        worst, row = min(found, key=lambda entry: entry[0])
        ahead = sum(ratio >= 1 for ratio in ratios) / len(ratios)
        median = f"**{statistics.median(ratios):.2f}×**"
        lines.append((name, str(len(found)), median, f"{ahead:.1%}", f"{worst:.2f}×", row.key))
    columns = ("peer", "rows", "median", "rows ahead", "worst", "which")
    return _table(columns, lines)


def _batch_table(rows: Sequence[Row]) -> str:
    """Median ratio by workload and batch: against the fastest peer of each row, and two others."""
    lines = []
    for name, members in groups(rows).items():
        for batch in sorted({row.facts["batch"] for row in members}):
            chosen = [row for row in members if row.facts["batch"] == batch]
            told = [_median(row.closest[1] for row in chosen if row.ratios)]
            told += [_median(r for row in chosen if (r := row.ratio(p)) is not None) for p in _MAIN]
            ahead = share_ahead(chosen)
            lines.append((name, str(batch), *told, "–" if ahead is None else f"{ahead:.0%}"))
    return _table(("workload", "batch", "fastest peer", *_MAIN, "ahead of all"), lines)


_MAIN = ("tf2onnx", "tf.function", "XLA", "torch.nn")


def _median(values: Iterable[float]) -> str:
    found = list(values)
    return f"{statistics.median(found):.2f}×" if found else "–"


def _behind_table(rows: Sequence[Row], results: Results) -> str:
    lines = []
    for row in behind(rows):
        name, ratio = row.closest
        mark = " (disturbed)" if _disturbed(row, results) else ""
        ours, theirs = row.us(OURS) or 0.0, row.us(name) or 0.0
        lines.append((row.key, name, f"{ratio:.2f}×{mark}", f"{ours:,.0f}", f"{theirs:,.0f}"))
    failed = [f"- {key}: rnnport failed, {why}" for key, why in lost(results).items()]
    told = (
        _table(("row", "peer", "ratio", "rnnport, µs", "peer, µs"), lines, 2) if lines else "None."
    )
    return "\n\n".join([told, *(["\n".join(failed)] if failed else [])])


def _openvino_table(rows: Sequence[Row]) -> str:
    """For the choice of a runtime: rnnport's own graph on its other one."""
    found = [(r, row) for row in rows if (r := row.on_openvino) is not None and r < 1]
    lines = [
        (row.key, f"{ratio:.2f}×", f"{row.us(OURS) or 0:,.0f}", f"{row.us(ON_OUR_GRAPH) or 0:,.0f}")
        for ratio, row in sorted(found, key=lambda entry: entry[0])
    ]
    if not lines:
        return "Nowhere."
    columns = ("row", "ratio", "on onnxruntime, µs", "on OpenVINO, µs")
    return _ON_OPENVINO + "\n\n" + _table(columns, lines)


_ON_OPENVINO = (
    'rnnport\'s graph, target="portable", on OpenVINO itself, as `rnnport.load(…, '
    'provider="openvino")` runs it. Nobody has it without rnnport: it is not counted as a peer, '
    "and stands beside them in the tables."
)


def _disturbed(row: Row, results: Results) -> bool:
    return disturbed(row.facts, results.header)


def _growth_table(rows: Sequence[Row]) -> str:
    lines = []
    for axis in AXES:
        told = [points(rows, axis, name) for name in (OURS, "BLAS products")]
        slopes = [exponent(found) for found in told]
        cells = ["–" if slope is None else f"{slope:.2f}" for slope in slopes]
        lines.append((f"{axis.name}: {axis.title}", *cells))
    columns = ("what grows", "steepest exponent, rnnport", "BLAS products")
    intro = (
        "Between neighbouring sizes, the first step left out, which holds the cost of a call. 1 is "
        "linear; the arithmetic grows linearly with steps, batch and depth, with the square of the "
        "units.\n\n"
    )
    return intro + _table(columns, lines)


def _cost_table(results: Results) -> str:
    lines = []
    for name, model in results.models.items():
        export, load, first = model["export_s"], model["load_s"], model["first_run_s"]
        lines.append(
            (
                name,
                _seconds(export.get("rnnport export, cpu")),
                _seconds(export.get("tf2onnx export")),
                f"{model['bytes']['rnnport'] / 1e3:,.0f}",
                f"{model['bytes']['weights'] / 1e3:,.0f}",
                *(_milli(load.get(side)) for side in _SIDES),
                *(_milli(first.get(side)) for side in _SIDES),
            )
        )
    columns = ("model", "export, s", "tf2onnx, s", "kB", "weights, kB", "load, ms", "tf2onnx, ms")
    intro = (
        "Export by rnnport holds its verification against TensorFlow; loading holds the check of "
        "every hash.\n\n"
    )
    return intro + _table((*columns, "first run, ms", "tf2onnx, ms"), lines)


_SIDES = ("rnnport", "tf2onnx")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _milli(value: float | None) -> str:
    return "–" if value is None else f"{value * 1e3:.2f}"


def _fresh_table(results: Results) -> str:
    lines = []
    for name, one in results.fresh.items():
        if "failed" in one:
            lines.append((name, one["failed"], "", ""))
            continue
        peak = f"{one['peak_bytes'] / 1e6:,.0f}"
        lines.append((name, f"{one['load_s']:.2f}", f"{one['first_run_s'] * 1e3:,.1f}", peak))
    columns = ("runtime", "import and load, s", "first run, ms", "peak memory, MB")
    return "LSTM 128→256, 32×100, nothing loaded before.\n\n" + _table(columns, lines)


def _absent_table(rows: Sequence[Row]) -> str:
    reasons: Counter[tuple[str, str]] = Counter()
    for row in rows:
        reasons.update((name, why) for name, why in row.facts["absent"].items())
    lines = [(name, why, str(count)) for (name, why), count in sorted(reasons.items())]
    return _table(("contender", "why", "rows"), lines, 2)


def _how(results: Results, rows: Sequence[Row], rows_file: str) -> str:
    head = results.header
    marked = sum(_disturbed(row, results) for row in rows)
    block, pause = (f"{head[name] * 1e3:.0f} ms" for name in ("block_s", "pause_s"))
    watched = "neighbours" in head
    return _HOW.format(
        tolerance=f"{TOLERANCE:g}",
        block=block,
        waits=(_WAITED if "waits" in head else _PAUSED).format(pause=pause),
        seconds=f"{head['seconds']:g} s",
        quiet=f"{head['quiet']:.0%}",
        two=_TWO + (_AND_FAR if watched else ""),
        guests=_GUESTS.format(head["neighbours"]) if watched else "",
        done=_AGREED if watched else _STEADY,
        counted=_FASTEST if watched else "all calls that count",
        disturbed=marked,
        finished=len(rows),
        floors=" and ".join(FLOORS),
        measured=len(results.rows),
        every=len(every_workload()),
        rows_file=rows_file,
    )


_WAITED = """Before each block this process's threads are waited for until they sleep: those of
onnxruntime spin on for 50 ms and more after a call, and would slow the next one down."""
_PAUSED = """There is a pause of {pause} before each block, which was **too short**: threads of
onnxruntime spin on for 50 ms and more after a call, and slowed whoever came next: rnnport came
after the one-op graph, target="portable" after rnnport, torch.nn after tf2onnx. Rows within some
10 % of one another may stand the other way round; since then the suite waits until all threads
sleep."""

_TWO = "Keras predict and XLA, which take long to call or to compile"
_AND_FAR = ", and whoever is 1.6 times as fast or as slow as rnnport"
_GUESTS = """, or in which other guests of the host slowed a core down (a loop of fixed length,
timed on every core before and after, took more than {:g} of that core's usual best),"""

_STEADY = "its running median is steady to 2 % over three rounds"
_AGREED = "it had three blocks that count and the two fastest agree to 2 %"
_FASTEST = """the calls of its fastest third of blocks: on virtual machines two threads that have
slept may begin on one core, and stay there for up to 0.3 s"""

_HOW = """All contenders run in one process on the same weights and inputs, after their outputs were
seen to agree with tf.function's to {tolerance} of the largest magnitude; whoever differs is left
out and says so above. After two more calls each that do not count, they take turns in blocks of
{block}, in an order that turns with each round. {waits} A contender is
done when {done}, at the latest after {seconds} for
a row; {two}, have two rounds; calls of over
0.6 s have one. Medians and quartiles are over {counted}. Blocks in which other
processes took more than {quiet} of the cores{guests} do not count where quieter
ones exist; {disturbed} of {finished} rows had a contender without any, and are marked.

{floors} do only a part of the work. Padded rows keep a quarter to all of their steps; a random mask
leaves 60 % valid, the last always. OpenVINO gets float32 by name, since bfloat16 is its own choice
where the processor has it; its converter refuses Keras's recurrent layers, so it runs tf2onnx's
graph, and rnnport's. Rows measured: {measured} of {every}; each of them, with medians, quartiles
and the distance to the floors, stands in [{rows_file}]({rows_file})."""


def rows_page(results: Results) -> str:
    """Every row: ratio to each peer, the floors, rnnport's own time."""
    rows = finished(results)
    head = "# Every row\n\nRatios are the peer's median over rnnport's; floors are shares of "
    head += "rnnport's time: 0.80 means that the floor takes 0.80 of it. Quartiles in brackets. "
    head += "A ° marks rows that other processes disturbed.\n\n" + _measured_with(results) + "\n\n"
    lines = []
    for row in rows:
        median, low, high, _ = row.facts["us"][OURS]
        mark = "°" if _disturbed(row, results) else ""
        others = [
            "–" if (ratio := row.ratio(name)) is None else f"{ratio:.2f}"
            for name in (PORTABLE, *RIVALS, *FLOORS)
        ]
        lines.append((row.key + mark, f"{median:,.1f} [{low:,.1f}, {high:,.1f}]", *others))
    columns = ("row", "rnnport, µs", "portable", *RIVALS, *(f"floor: {name}" for name in FLOORS))
    return head + _table(columns, lines) + "\n"
