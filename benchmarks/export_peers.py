"""rnnport's ONNX against tf2onnx's own export and tf.function: one process, equal outputs, medians.

Run it with `./scripts/bench_core [--json FILE]`; how the time is taken: timing.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text
from timing import CORES, QUIET, cpu_model, race

import rnnport
from rnnport.cli.quiet import load_exporter, silent_stderr
from rnnport.versions import library_versions

TOLERANCE = 1e-5
MASKED = -1.0
LIBRARIES = ("tensorflow", "keras", "tf2onnx", "onnxruntime-gpu", "onnxruntime", "numpy")

Floats = NDArray[np.float32]
Run = Callable[[], Floats]


@dataclass(frozen=True)
class Case:
    """One layer at one size.

    Attributes:
        name: what stands in the table.
        features: F of the input (B, T, F).
        layer: makes the Keras layer.
        batch: B.
        time: T.
        aims: how many times faster than tf2onnx's export and tf.function it should be, if said.
        targets: of rnnport.export.
        padded: whether rows are padded on the left to unlike lengths, and masked.
    """

    name: str
    features: int
    layer: Callable[[], Any]
    batch: int
    time: int
    aims: tuple[float, float] | None = None
    targets: tuple[str, ...] = ("portable",)
    padded: bool = False


@dataclass(frozen=True)
class Result:
    """One case at one target; times are medians in microseconds over so many rounds.

    others_share is what other processes took of the cores in the worst of these rounds.
    """

    case: str
    batch: int
    time: int
    target: str
    times_faster_than_tf2onnx: float
    times_faster_than_tf_function: float
    aims: tuple[float, float] | None
    rnnport_us: float
    tf2onnx_us: float
    tf_function_us: float
    rounds: int
    others_share: float
    rnnport_ops: dict[str, int]
    tf2onnx_ops: dict[str, int]
    largest_difference: float

    @property
    def disturbed(self) -> bool:
        """Whether other processes took so much that the figures say little."""
        return self.others_share > QUIET

    @property
    def met(self) -> bool | None:
        """Whether both aims were met; None where there are none, or the cores were not ours."""
        if self.aims is None or self.disturbed:
            return None
        ratios = (self.times_faster_than_tf2onnx, self.times_faster_than_tf_function)
        return all(ratio >= aim for ratio, aim in zip(ratios, self.aims, strict=True))


@dataclass(frozen=True)
class ExportCost:
    """Export of Embedding(1000, 64) → LSTM(128) → Dense(10), TensorFlow imported already."""

    seconds: float
    onnx_bytes: int
    weight_bytes: int


def cases() -> list[Case]:
    from keras import layers

    return [
        Case("GRU 32→64", 32, lambda: layers.GRU(64), 1, 100, (6.0, 6.0)),
        Case("GRU 64→128", 64, lambda: layers.GRU(128), 32, 80, (1.3, 1.3)),
        Case(
            "masked BiLSTM 64→64",
            64,
            lambda: layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            32,
            80,
            (1.5, 2.0),
            ("portable", "cpu"),
            padded=True,
        ),
        Case("LSTM 64→128", 64, lambda: layers.LSTM(128), 32, 80),
        Case(
            "SimpleRNN 64→128",
            64,
            lambda: layers.SimpleRNN(128),
            32,
            80,
            targets=("portable", "cpu"),
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--seconds", type=float, default=20.0, help="at most, for each row")
    parser.add_argument("--threads", type=int, default=CORES, help="for each contender")
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    console = Console(highlight=False)
    with console.status("loading TensorFlow") as status:
        load_exporter()
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        status.update("exporting Embedding → LSTM → Dense")
        cost = export_cost()
    results = []
    with console.status("") as status:
        for case in cases():
            status.update(f"timing {case.name}")
            results += run_case(case, options.threads, options.seconds)
    about = {"cpu": cpu_model(), "cores": CORES, "python": platform.python_version()}
    versions = library_versions(*LIBRARIES)
    show(console, results, cost, {**about, "threads": options.threads}, versions)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "machine": about,
            "threads": options.threads,
            "versions": versions,
            "layers": [asdict(result) for result in results],
            "export": asdict(cost),
        }
        options.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def export_cost() -> ExportCost:
    import keras

    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(1000, 64),
            keras.layers.LSTM(128),
            keras.layers.Dense(10),
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        artifact = rnnport.export(model, Path(folder) / "artifact")
        seconds = time.perf_counter() - started
        size = artifact.forms["model"].stat().st_size
    weights = sum(weight.nbytes for weight in model.get_weights())
    return ExportCost(round(seconds, 2), size, weights)


def run_case(case: Case, threads: int, seconds: float) -> list[Result]:
    """Build, export both ways, compare, time."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(3)
    masking = [keras.layers.Masking(MASKED)] if case.padded else []
    model = keras.Sequential([keras.Input((None, case.features)), *masking, case.layer()])
    spec = tf.TensorSpec((None, None, case.features), tf.float32, name="x")
    function = tf.function(lambda x: model(x, training=False), input_signature=[spec])
    inputs = draw(case)
    tensor = tf.constant(inputs)

    results = []
    with tempfile.TemporaryDirectory() as folder:
        peer, peer_ops = tf2onnx_export(function, spec, Path(folder) / "tf2onnx.onnx", threads)
        for target in case.targets:
            artifact = rnnport.export(model, Path(folder) / target, target=target)
            ours = session(artifact.forms["model"], threads)
            contenders: dict[str, Run] = {
                "rnnport": lambda ours=ours: ours(inputs),  # type: ignore[misc]
                "tf2onnx": lambda: peer(inputs),
                "tf.function": lambda: np.asarray(function(tensor)),
            }
            difference = compare(contenders)
            medians, rounds, share = race(contenders, seconds)
            results.append(
                Result(
                    case=case.name,
                    batch=case.batch,
                    time=case.time,
                    target=target,
                    times_faster_than_tf2onnx=round(medians["tf2onnx"] / medians["rnnport"], 2),
                    times_faster_than_tf_function=round(
                        medians["tf.function"] / medians["rnnport"], 2
                    ),
                    aims=case.aims,
                    rnnport_us=round(medians["rnnport"] * 1e6, 1),
                    tf2onnx_us=round(medians["tf2onnx"] * 1e6, 1),
                    tf_function_us=round(medians["tf.function"] * 1e6, 1),
                    rounds=rounds,
                    others_share=round(share, 3),
                    rnnport_ops=recurrent(artifact.manifest.forms["model"].op_counts),
                    tf2onnx_ops=peer_ops,
                    largest_difference=difference,
                )
            )
    return results


def draw(case: Case) -> Floats:
    """Standard normal values (B, T, F); padded rows keep a quarter to all of their steps."""
    rng = np.random.default_rng(5)
    inputs = rng.standard_normal((case.batch, case.time, case.features)).astype(np.float32)
    if case.padded:
        lengths = rng.integers(case.time // 4, case.time + 1, (case.batch, 1))
        inputs[np.arange(case.time) < case.time - lengths] = MASKED
    return inputs


def tf2onnx_export(
    function: Any, spec: Any, path: Path, threads: int
) -> tuple[Callable[[Floats], Floats], dict[str, int]]:
    """What tf2onnx makes of the function by itself, and its recurrent ops."""
    import onnx
    import tf2onnx

    with silent_stderr():
        model, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=18)
    onnx.save(model, path)
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return session(path, threads), recurrent(counts)


def session(path: Path, threads: int) -> Callable[[Floats], Floats]:
    """An onnxruntime session; the same options for every contender."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    opened = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = opened.get_inputs()[0].name
    return lambda inputs: np.asarray(opened.run(None, {name: inputs})[0])


def compare(contenders: dict[str, Run]) -> float:
    """The largest difference between contenders; raises where it is too large."""
    expected = contenders["tf.function"]()
    bound = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    worst = max(float(np.abs(run() - expected).max()) for run in contenders.values())
    if not (worst <= bound and np.ptp(expected) > 0):
        raise SystemExit(f"outputs differ by {worst:.2g}, more than {bound:.2g}")
    return worst


def recurrent(counts: dict[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in ("LSTM", "GRU", "RNN", "Scan", "Loop") if name in counts}


def show(
    console: Console,
    results: list[Result],
    cost: ExportCost,
    about: dict[str, Any],
    versions: dict[str, str],
) -> None:
    """Ratios first."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("layer", "target"):
        table.add_column(column, no_wrap=True)
    for column in ("vs tf2onnx", "vs tf.function", "aims"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("medians, µs", justify="right")
    table.add_column("ops")
    for result in results:
        style = {True: "bold green", False: "bold red", None: "bold"}[result.met]
        table.add_row(
            f"{result.case}, {result.batch} × {result.time}",
            result.target,
            Text(f"{result.times_faster_than_tf2onnx:.1f}×", style=style),
            Text(f"{result.times_faster_than_tf_function:.1f}×", style=style),
            Text("disturbed", style="yellow")
            if result.disturbed
            else Text(" ".join(f"{aim}×" for aim in result.aims or ()), style="dim"),
            Text(
                f"{result.rnnport_us:,.0f} {result.tf2onnx_us:,.0f} {result.tf_function_us:,.0f}",
                style="dim",
            ),
            Text(f"{ops(result.rnnport_ops)} | {ops(result.tf2onnx_ops)}", style="dim"),
        )
    console.print()
    console.print(table)
    console.print()
    console.print(
        f"export of Embedding(1000,64) → LSTM(128) → Dense(10): {cost.seconds:.1f} s (aim 3); "
        f"{decimal(cost.onnx_bytes)}, weights and {decimal(cost.onnx_bytes - cost.weight_bytes)}"
        " (aim 100 kB)"
    )
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    console.print(
        Text(
            f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads; {made}",
            style="dim",
        )
    )


def ops(counts: dict[str, int]) -> str:
    return " ".join(f"{name} {count}" for name, count in counts.items()) or "none"


if __name__ == "__main__":
    main()
