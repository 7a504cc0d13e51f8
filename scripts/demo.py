"""A published Keras model, exported, checked, run without TensorFlow and timed.

`./scripts/demo` sets up an environment and runs this. The model comes out of a package on the
registry (see subjects.py); where there is no network, a small model is trained instead. It looks
ahead (Bidirectional), so the live part, in demo_stream.py, steps the digits in artifacts/.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from demo_stream import live_digit, live_table
from fetch import Unavailable
from infer import peak_memory
from numpy.typing import NDArray
from printing import duration, facts, mark, section
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from subjects import Subject, digit_images, sleep_stages

import rnnport
from rnnport.cli.quiet import load_exporter, silent_stderr

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact
    from rnnport.parity.report import ParityReport

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(".cache") / "demo" / "artifact"
COUNT = 100
SECONDS_A_BATCH = 6.0
PAUSE = 0.03  # s; threads of the last contender stop spinning

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Footprint:
    """What the first answer cost a fresh process: seconds and bytes of memory."""

    seconds: float
    memory: int


def main() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # both sides on the CPU
    os.chdir(ROOT)
    console = Console(highlight=False)
    console.print(Rule("[bold]rnnport[/]  a Keras RNN to ONNX, proven and without TensorFlow"))
    console.print()
    with progress(console) as report:
        subject = choose(console, report)
        report("loading TensorFlow and the model", 0.0)
        model, inputs, counted, keras_cost = open_keras(subject)
        started = time.perf_counter()
        artifact = rnnport.export(
            model, OUT, overwrite=True, progress=lambda stage, part: report(stage, part)
        )
        seconds = time.perf_counter() - started
    section(console, subject.title, model_facts(subject, model))
    section(console, f"lowered to ONNX in {seconds:.1f} s", layers(model, artifact))

    with progress(console) as report:
        report("comparing with the live model", 0.2)
        golden = rnnport.verify(artifact)
        both = rnnport.verify(artifact, model=model)
        report("running without TensorFlow", 0.7)
        answers, foreign, onnx_cost = run_apart(artifact, inputs)
        expected = np.asarray(model.predict_on_batch(inputs))
    section(console, "equal to TensorFlow", parity(golden, both))
    section(
        console,
        "run without TensorFlow",
        decisions(subject, expected, answers, counted, foreign),
    )

    with progress(console) as report:
        report("reading a digit live", 0.9)
        live = live_digit()
    section(console, "live, row by row: a digit, from artifacts/digits-lstm", live_table(live))

    with progress(console, spinning=False) as report:
        timings = [
            (batch, race(model, artifact, inputs[:batch], report)) for batch in subject.batches
        ]
    section(console, "times faster", speed(subject, inputs, timings))
    section(console, "size", sizes(subject, model, artifact, keras_cost, onnx_cost))
    console.print(Text.assemble(("next  ", "dim"), f".venv/bin/rnnport inspect {OUT}"))
    console.print(Text(f"      .venv/bin/rnnport verify {OUT}"))
    if foreign or not both.passed or not live.good:
        raise SystemExit(1)


def choose(console: Console, report: Report) -> Subject:
    """The published model, or the digits where it cannot be had."""
    try:
        report("fetching the model", 0.0)
        return sleep_stages()
    except Unavailable as error:
        console.print(Text(f"{error}", style="yellow"))
        console.print(Text("Showing a small model of handwritten digits instead.\n", "yellow"))
    report("training on digits", 0.0)
    return digit_images()


def open_keras(subject: Subject) -> tuple[Any, NDArray[Any], NDArray[Any], Footprint]:
    """The model, inputs, which decisions count, and what Keras's first answer cost."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    started = time.perf_counter()
    with silent_stderr():
        import keras
    model = keras.models.load_model(subject.file, compile=False)
    loaded = time.perf_counter() - started
    inputs, counted = subject.draw(model, COUNT)
    started = time.perf_counter()
    model.predict(inputs[:1], verbose=0)
    cost = Footprint(loaded + time.perf_counter() - started, peak_memory())
    load_exporter()
    return model, inputs, counted, cost


def run_apart(
    artifact: Artifact, inputs: NDArray[Any]
) -> tuple[NDArray[Any], list[str], Footprint]:
    """Run infer.py on inputs: its outputs, what it should not have imported, what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npy", Path(folder) / "out.npy"
        np.save(source, inputs)
        script = [sys.executable, str(ROOT / "scripts" / "infer.py")]
        started = time.time()
        done = subprocess.run(
            [*script, str(artifact.path), str(source), str(target)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = json.loads(done.stdout)
        cost = Footprint(told["answered"] - started, told["memory"])
        return np.load(target, allow_pickle=False), told["foreign"], cost


def race(model: Any, artifact: Artifact, inputs: NDArray[Any], report: Report) -> dict[str, float]:
    """Median seconds of predict, predict_on_batch and the artifact, taking turns."""
    runner = rnnport.load(artifact, provider="cpu")
    contenders: dict[str, Callable[[], Any]] = {
        "predict": lambda: model.predict(inputs, batch_size=len(inputs), verbose=0),
        "predict_on_batch": lambda: model.predict_on_batch(inputs),
        "rnnport": lambda: runner.run(inputs),
    }
    for run in contenders.values():
        run()
        run()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    started = time.perf_counter()
    while (spent := time.perf_counter() - started) < SECONDS_A_BATCH or len(taken["rnnport"]) < 5:
        report(f"timing, batch {len(inputs)}", min(1.0, spent / SECONDS_A_BATCH))
        for name, run in contenders.items():
            time.sleep(PAUSE)
            before = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - before)
    return {name: statistics.median(times) for name, times in taken.items()}


def model_facts(subject: Subject, model: Any) -> Table:
    grid = facts()
    grid.add_row("from", subject.origin)
    grid.add_row("file", f"{subject.file.name}, {decimal(subject.file.stat().st_size)}")
    grid.add_row("model", f"{len(model.layers)} layers, {model.count_params():,} parameters")
    grid.add_row("does", subject.inputs)
    return grid


def layers(model: Any, artifact: Artifact) -> Table:
    """Every layer and what became of it."""
    lowered = {layer.name.split("/")[-1]: layer for layer in artifact.manifest.layers}
    grid = Table.grid(padding=(0, 2))
    for layer in model.layers:
        inner = getattr(layer, "forward_layer", layer)
        found = lowered.get(inner.name)
        if found is None:
            grid.add_row(Text(kind(layer)), Text("as it is, by tf2onnx", style="dim"))
        else:
            became = Text(found.lowering, style="bold green")
            if found.reason:
                became.append(f" ({found.reason})", style="not bold dim")
            grid.add_row(Text(kind(layer)), became)
    ops = artifact.manifest.forms["model"].op_counts
    names = ("LSTM", "GRU", "RNN", "Scan", "Loop")
    counts = ", ".join(f"{name} {ops.get(name, 0)}" for name in names)
    grid.add_row(Text("ops", style="dim"), Text(counts, style="dim"))
    return grid


def kind(layer: Any) -> str:
    """E.g. "Bidirectional GRU(8)", "Dense(64)", "Masking(-1)"."""
    name = type(layer).__name__
    if inner := getattr(layer, "forward_layer", None):
        return f"{name} {kind(inner)}"
    size = getattr(layer, "units", getattr(layer, "mask_value", None))
    return name if size is None else f"{name}({np.asarray(size).item():g})"


def parity(golden: ParityReport, both: ParityReport) -> Table:
    """Worst errors, against the stored outputs and against the live model."""
    grid = Table.grid(padding=(0, 2))
    fresh = both.checks[len(golden.checks) :]
    masks = " and masks" * any("mask" in check.name for check in fresh)
    rows = (
        ("golden outputs in the artifact", golden.checks),
        (f"live model, untraced sizes{masks}", fresh),
    )
    for what, checks in rows:
        worst = max(check.error for check in checks if check.error is not None)
        passed = all(check.passed for check in checks)
        grid.add_row(
            mark(passed),
            what,
            f"{len(checks)} runs",
            Text.assemble(
                "worst error ", (f"{worst:.1e}", "bold"), (f" of {checks[0].bound:.0e}", "dim")
            ),
        )
    return grid


def decisions(
    subject: Subject,
    expected: NDArray[Any],
    answers: NDArray[Any],
    counted: NDArray[np.bool_],
    foreign: list[str],
) -> Table:
    """Whether both sides decide alike, and that TensorFlow had no part in it."""
    ours, theirs = answers.argmax(-1)[counted], expected.argmax(-1)[counted]
    same = int((ours == theirs).sum())
    share = np.bincount(ours, minlength=len(subject.classes)) / len(ours)
    spread = ", ".join(
        f"{name} {part:.0%}" for name, part in zip(subject.classes, share, strict=True) if part
    )
    grid = facts()
    grid.add_row("imported", ", ".join(foreign) or "neither TensorFlow nor Keras (sys.modules)")
    grid.add_row("input", f"{len(answers)} {subject.drawn}")
    good = "bold green" if same == len(ours) else "bold red"
    grid.add_row("as Keras", Text(f"{same:,} of {len(ours):,} {subject.decisions} the same", good))
    grid.add_row("they are", spread)
    return grid


def speed(
    subject: Subject, inputs: NDArray[Any], timings: list[tuple[int, dict[str, float]]]
) -> Table:
    """Ratios first, then the medians behind them."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("batch × time", no_wrap=True)
    table.add_column("than predict", justify="right", no_wrap=True)
    table.add_column("than predict_on_batch", justify="right", no_wrap=True)
    table.add_column("rnnport, predict, on_batch", no_wrap=True)
    for batch, times in timings:
        ours = times["rnnport"]
        rest = (times["predict"], times["predict_on_batch"])
        ratios = [Text(f"{theirs / ours:.1f}×", style="bold green") for theirs in rest]
        medians = Text(", ".join(duration(t) for t in (ours, *rest)), style="dim")
        table.add_row(f"{batch} × {inputs.shape[1]}", *ratios, medians)
    return table


def sizes(
    subject: Subject,
    model: Any,
    artifact: Artifact,
    keras_cost: Footprint,
    onnx_cost: Footprint,
) -> Table:
    """Files, and what a process needs to its first answer."""
    files = sorted(artifact.path.iterdir(), key=lambda path: path.name != "model.onnx")
    grid = facts()
    weights = decimal(sum(weight.nbytes for weight in model.get_weights()))
    grid.add_row("Keras", f"{size_of(subject.file)}, {weights} of it weights")
    grid.add_row("rnnport", ", ".join(map(size_of, files)))
    grid.add_row("", "")
    for name, cost in (("Keras", keras_cost), ("rnnport", onnx_cost)):
        memory = f" and {decimal(cost.memory)} of memory" if cost.memory else ""
        grid.add_row(name, f"{duration(cost.seconds)}{memory} to a process's first answer")
    return grid


def size_of(file: Path) -> str:
    return f"{file.name} {decimal(file.stat().st_size)}"


@contextmanager
def progress(console: Console, spinning: bool = True) -> Iterator[Report]:
    """A bar that is gone when the work is done; where not spinning, it takes no time between."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<36}"), BarColumn(bar_width=32))
    hidden = not console.is_terminal
    with Progress(
        *columns, console=console, transient=True, disable=hidden, auto_refresh=spinning
    ) as bar:
        task = bar.add_task("starting", total=1.0)

        def report(stage: str, fraction: float) -> None:
            bar.update(task, description=stage, completed=fraction, refresh=not spinning)

        yield report


if __name__ == "__main__":
    main()
