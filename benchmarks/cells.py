"""Cells without a formula of their own: rnnport's Scan against tf2onnx's export of the same layer.

The nested cell of TensorFlow's RNN guide (K9), ConvLSTM2D over six frames of 16×16×3 (K14), and the
cell of Keras's own documentation. Both graphs run on one onnxruntime in one process, after their
outputs were seen to be equal; tf.function beside them. Run it with `./scripts/bench_cells
[--json FILE]`; how the time is taken: timing.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text
from timing import CORES, QUIET, cpu_model, race

import rnnport
from rnnport.cli.quiet import load_exporter
from rnnport.versions import library_versions

LIBRARIES = ("tensorflow", "keras", "tf-keras", "tf2onnx", "onnxruntime-gpu", "onnxruntime")

Array = NDArray[Any]
Run = Callable[[], Any]
OURS, THEIRS, FUNCTION = "rnnport", "tf2onnx", "tf.function"


@dataclass(frozen=True)
class Row:
    """One workload; times are medians of a run, in milliseconds."""

    what: str
    ratio: float
    function_ratio: float
    aim: str
    met: bool
    ours_ms: float
    tf2onnx_ms: float
    function_ms: float
    error: float
    others_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--seconds", type=float, default=40.0, help="at most, for each race")
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    console = Console(highlight=False)
    rows = []
    with tempfile.TemporaryDirectory() as name, console.status("loading TensorFlow") as status:
        load_exporter()
        for what, (build, shapes, aim) in workloads().items():
            status.update(what)
            rows.append(time_one(what, build(), shapes, aim, Path(name), options.seconds))
    about = {"cpu": cpu_model(), "cores": CORES, "python": platform.python_version()}
    versions = library_versions(*LIBRARIES)
    show(console, rows, about, versions)
    if options.json is not None:
        told = {"machine": about, "versions": versions, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


Workload = tuple[Callable[[], Any], list[tuple[int, ...]], float | None]


def workloads() -> dict[str, Workload]:
    """Name to model, input shapes and the aim against tf2onnx."""
    nested = [(64, 50, 32), (64, 50, 64, 32)]
    return {
        "nested cell (K9), 64×50": (nested_model, nested, None),
        "ConvLSTM2D 8 filters, 1×(6,16,16,3)": (conv_lstm, [(1, 6, 16, 16, 3)], 2.0),
        "ConvLSTM2D 8 filters, 8×(6,16,16,3)": (conv_lstm, [(8, 6, 16, 16, 3)], None),
        "the guide's cell 64→128, 1×100": (plain_cell, [(1, 100, 64)], None),
        "the guide's cell 64→128, 32×80": (plain_cell, [(32, 80, 64)], None),
    }


def nested_model() -> Any:
    """The nested cell of TensorFlow's RNN guide."""
    import tensorflow as tf
    import tf_keras

    inputs = namedtuple("inputs", ["feature1", "feature2"])
    states = namedtuple("states", ["state1", "state2"])

    class Nested(tf_keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            self.state_size = states(10, tf.TensorShape([20, 30]))
            self.output_size = (10, tf.TensorShape([20, 30]))
            super().__init__()

        def build(self, shapes: Any) -> None:
            self.flat = self.add_weight(shape=(shapes.feature1[1], 10), name="flat")
            self.grid = self.add_weight(shape=(*shapes.feature2[1:], 20, 30), name="grid")

        def call(self, given: Any, old: Any) -> Any:
            flat = tf.matmul(given.feature1, self.flat)
            grid = tf.einsum("bij,ijkl->bkl", given.feature2, self.grid)
            new = states(old[0] + flat, old[1] + grid)
            return (flat + old[0], grid + old[1]), new

    one, two = tf_keras.Input((None, 32)), tf_keras.Input((None, 64, 32))
    layer = tf_keras.layers.RNN(Nested(), return_sequences=True)
    return tf_keras.Model([one, two], layer(inputs(one, two)))


def conv_lstm() -> Any:
    import keras

    x = keras.Input((None, 16, 16, 3))
    layer = keras.layers.ConvLSTM2D(8, 3, padding="same", return_sequences=True)
    return keras.Model(x, layer(x))


def plain_cell() -> Any:
    """The cell of Keras's documentation of RNN."""
    import keras

    class Minimal(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.units = self.state_size = units

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], self.units))
            self.recurrent = self.add_weight(shape=(self.units, self.units))

        def call(self, x: Any, old: Any) -> Any:
            ops = keras.ops
            y = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(old[0], self.recurrent))
            return y, [y]

    x = keras.Input((None, 64))
    return keras.Model(x, keras.layers.RNN(Minimal(128), return_sequences=True)(x))


def time_one(
    what: str,
    model: Any,
    shapes: list[tuple[int, ...]],
    aim: float | None,
    folder: Path,
    seconds: float,
) -> Row:
    rng = np.random.default_rng(0)
    given = [rng.standard_normal(shape).astype("float32") for shape in shapes]
    artifact = rnnport.export(model, folder / "out", overwrite=True)
    contenders = {
        OURS: session_run(artifact.forms["model"], given),
        THEIRS: session_run(their_export(model, shapes, folder / "theirs.onnx"), given),
        FUNCTION: function_run(model, given),
    }
    error = check_equal(what, contenders)
    medians, _, share = race(contenders, seconds)
    ratio = medians[THEIRS] / medians[OURS]
    return Row(
        what,
        round(ratio, 2),
        round(medians[FUNCTION] / medians[OURS], 2),
        "" if aim is None else f"at least {aim:g}×",
        aim is None or ratio >= aim,
        *(round(medians[name] * 1e3, 3) for name in contenders),
        error,
        round(share, 3),
    )


def their_export(model: Any, shapes: list[tuple[int, ...]], path: Path) -> Path:
    """What tf2onnx makes of the model."""
    import tensorflow as tf
    import tf2onnx

    specs = [
        tf.TensorSpec((None, None, *shape[2:]), tf.float32, name=f"x{n}")
        for n, shape in enumerate(shapes)
    ]
    function = tf.function(lambda *x: model(x[0] if len(x) == 1 else list(x)))
    tf2onnx.convert.from_function(function, input_signature=specs, opset=18, output_path=str(path))
    return path


def session_run(path: Path, given: list[Array]) -> Run:
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    feed = dict(zip(names, given, strict=True))
    return lambda: session.run(None, feed)


def function_run(model: Any, given: list[Array]) -> Run:
    import tensorflow as tf

    tensors = [tf.constant(x) for x in given]

    @tf.function
    def run() -> Any:
        return model(tensors[0] if len(tensors) == 1 else tensors)

    return lambda: [y.numpy() for y in tf.nest.flatten(run())]


def check_equal(what: str, contenders: Mapping[str, Run]) -> float:
    """The largest difference from ours, over max(1, the largest magnitude)."""
    ours, worst = contenders[OURS](), 0.0
    for name, run in contenders.items():
        for mine, theirs in zip(ours, run(), strict=True):
            error = float(np.abs(mine - theirs).max()) / max(1.0, float(np.abs(theirs).max()))
            worst = max(worst, error)
            if mine.shape != theirs.shape or not error <= 1e-5 or not np.ptp(theirs):
                sys.exit(f"{what}: {name} gives other outputs ({error:.1e})")
    return worst


def show(
    console: Console, rows: list[Row], about: Mapping[str, Any], versions: Mapping[str, str]
) -> None:
    """Ratios first."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("rnnport against")
    for column in (THEIRS, FUNCTION, "aim", "medians, ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        disturbed = row.others_share > QUIET
        style = "bold yellow" if disturbed else "bold green" if row.met else "bold red"
        table.add_row(
            row.what,
            Text(f"{row.ratio:.2f}×", style=style),
            f"{row.function_ratio:.2f}×",
            Text(row.aim + (" disturbed" if disturbed else ""), style="dim"),
            Text(f"{row.ours_ms:,.2f} {row.tf2onnx_ms:,.2f} {row.function_ms:,.2f}", style="dim"),
        )
    console.print(table)
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    console.print(Text(f"{about['cpu']}, {about['cores']} cores; {made}", style="dim"))


if __name__ == "__main__":
    main()
