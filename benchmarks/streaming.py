"""One step of a stream, and a pool of 1 024 of them, against the bare kernel, TensorFlow and Keras.

LSTM 64→128, all contenders in one process on the same weights and inputs, after their outputs were
seen to be equal. The bare kernel is an ONNX graph of nothing but the LSTM operator, its inputs,
outputs and states bound once. Run it with `./scripts/bench_stream [--json FILE]`; how the time is
taken: timing.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
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

FEATURES, UNITS = 64, 128
ACTIVE = 1024
OPENED = 20_000
TICKS = 1_000
TOLERANCE = 1e-5
LIBRARIES = ("tensorflow", "keras", "onnxruntime-gpu", "onnxruntime", "numpy")

Array = NDArray[Any]
Run = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """Two contenders; times are medians in microseconds."""

    what: str
    ratio: float
    aim: str
    met: bool
    ours_us: float
    theirs_us: float
    others_share: float


@dataclass(frozen=True)
class Memory:
    """What open streams cost.

    Attributes:
        state_bytes: of one stream's states.
        bytes_per_stream: resident memory gained for each of the streams opened.
        growth: resident memory gained over a million stream-steps, bytes.
    """

    opened: int
    state_bytes: int
    bytes_per_stream: float
    growth: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--seconds", type=float, default=20.0, help="at most, for each race")
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as name, console.status("loading TensorFlow") as status:
        load_exporter()
        model = keras_model()
        rnnport.export(model, Path(name) / "out")
        runner = rnnport.load(Path(name) / "out", provider="cpu")
        status.update("counting memory")
        memory = count_memory(runner)
        status.update("timing one step")
        rows = time_step(model, runner, options.seconds)
        status.update("timing a pool")
        rows += time_pool(model, runner, options.seconds)
    about = {"cpu": cpu_model(), "cores": CORES, "python": platform.python_version()}
    versions = library_versions(*LIBRARIES)
    show(console, rows, memory, about, versions)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "machine": about,
            "versions": versions,
            "layer": f"LSTM {FEATURES}→{UNITS}",
            "rows": [asdict(row) for row in rows],
            "memory": asdict(memory),
        }
        options.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def keras_model() -> Any:
    import keras

    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input(batch_shape=(1, None, FEATURES)),
            keras.layers.LSTM(UNITS, return_sequences=True, stateful=True),
        ]
    )


def time_step(model: Any, runner: Any, seconds: float) -> list[Row]:
    """One step of one stream."""
    x = np.random.default_rng(1).standard_normal((1, FEATURES)).astype(np.float32)
    stepper = runner.stepper()
    contenders: dict[str, Run] = {
        "rnnport": lambda: stepper.step(x),
        "bare kernel": bare_kernel(model, x, threads=1),
        "bare kernel, threads as onnxruntime likes": bare_kernel(model, x, threads=0),
        "tf.function": tf_step(model, x),
        "predict": lambda: model.predict(x[:, None], verbose=0)[:, 0],
    }
    assert_equal(model, contenders)
    medians, _, share = race(contenders, seconds)
    ours = medians["rnnport"]
    bare = min(t for name, t in medians.items() if name.startswith("bare"))
    aims = [("bare kernel", bare, 1.5), ("tf.function", medians["tf.function"], 10.0)]
    aims.append(("predict", medians["predict"], 50.0))
    rows = []
    for name, theirs, aim in aims:
        bare_one = name == "bare kernel"
        ratio = ours / theirs if bare_one else theirs / ours
        text = f"at most {aim}×" if bare_one else f"at least {aim:g}×"
        what = "one step takes … of the bare kernel" if bare_one else f"one step against {name}"
        met = ratio <= aim if bare_one else ratio >= aim
        rows.append(row(what, ratio, text, met, ours, theirs, share))
    return rows


def time_pool(model: Any, runner: Any, seconds: float) -> list[Row]:
    """1 024 streams at once."""
    xs = np.random.default_rng(2).standard_normal((ACTIVE, FEATURES)).astype(np.float32)
    pool, alone = runner.pool(capacity=ACTIVE), runner.stepper()
    ids = [pool.open() for _ in range(ACTIVE)]
    shuffled = list(np.random.default_rng(3).permutation(ids))
    rows_of = [x[None] for x in xs]
    contenders: dict[str, Run] = {
        "pool": lambda: pool.step(ids, xs),
        "pool, any order": lambda: pool.step(shuffled, xs),
        "bare kernel": bare_kernel(model, xs, threads=0),
        "one at a time in the pool": lambda: [
            pool.step([i], x) for i, x in zip(ids, rows_of, strict=True)
        ],
        "one stepper after another": lambda: [alone.step(x) for x in rows_of],
    }
    medians, _, share = race(contenders, seconds)
    ours = medians["pool"]
    bare = medians["bare kernel"]
    shuffle = medians["pool, any order"]
    single, steppers = medians["one at a time in the pool"], medians["one stepper after another"]
    speed = f"{ACTIVE / ours:,.0f} stream-steps a second"
    return [
        row(f"pool of {ACTIVE}, of the bare kernel's speed ({speed})", bare / ours,
            "at least 0.75×", bare / ours >= 0.75, ours, bare, share),
        row("the same in another order each time it was opened", bare / shuffle,
            "at least 0.75×", bare / shuffle >= 0.75, shuffle, bare, share),
        row("pool against one stream at a time in it", single / ours,
            "at least 15×", single / ours >= 15, ours, single, share),
        row("pool against a stepper for each stream", steppers / ours,
            "", True, ours, steppers, share),
    ]  # fmt: skip


def row(
    what: str, ratio: float, aim: str, met: bool, ours: float, theirs: float, share: float
) -> Row:
    return Row(
        what,
        round(ratio, 2),
        aim,
        met,
        round(ours * 1e6, 1),
        round(theirs * 1e6, 1),
        round(share, 3),
    )


def bare_kernel(model: Any, x: Array, *, threads: int) -> Run:
    """The LSTM operator alone, (1, B, F) bound once, two sets of states in turn."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(lstm_graph(model), options, providers=["CPUExecutionProvider"])
    batch = len(x)
    state = (1, batch, UNITS)
    buffers = {name: np.zeros(state, np.float32) for name in ("h0", "c0", "h1", "c1")}
    buffers |= {"x": x[None].copy(), "y": np.zeros((1, 1, batch, UNITS), np.float32)}
    bindings = [
        bind(session, buffers, {"x": "x", "h": f"h{a}", "c": f"c{a}"},
             {"y": "y", "h_out": f"h{b}", "c_out": f"c{b}"})
        for a, b in ((0, 1), (1, 0))
    ]  # fmt: skip
    turn = 0

    def run() -> Array:
        nonlocal turn
        session.run_with_iobinding(bindings[turn])
        turn = 1 - turn
        return buffers["y"][0, 0]

    return run


def bind(
    session: Any,
    buffers: Mapping[str, Array],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
) -> Any:
    binding = session.io_binding()
    for name, source in inputs.items():
        array = buffers[source]
        binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
    for name, target in outputs.items():
        array = buffers[target]
        binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
    return binding


def lstm_graph(model: Any) -> bytes:
    """One LSTM operator with the model's weights, gates in ONNX's order i o f c."""
    from onnx import TensorProto, helper, numpy_helper

    kernel, recurrent, bias = model.get_weights()

    def gates(array: Array) -> Array:
        i, f, c, o = np.split(array, 4, axis=-1)
        return np.concatenate([i, o, f, c], axis=-1)

    weights = {
        "W": gates(kernel).T[None],
        "R": gates(recurrent).T[None],
        "b": np.concatenate([gates(bias), np.zeros_like(bias)])[None],
    }
    node = helper.make_node(
        "LSTM", ["x", "W", "R", "b", "", "h", "c"], ["y", "h_out", "c_out"], hidden_size=UNITS
    )
    state, float32 = [1, "B", UNITS], TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "bare",
        [
            helper.make_tensor_value_info("x", float32, [1, "B", FEATURES]),
            helper.make_tensor_value_info("h", float32, state),
            helper.make_tensor_value_info("c", float32, state),
        ],
        [
            helper.make_tensor_value_info("y", float32, [1, 1, "B", UNITS]),
            helper.make_tensor_value_info("h_out", float32, state),
            helper.make_tensor_value_info("c_out", float32, state),
        ],
        [numpy_helper.from_array(np.ascontiguousarray(w), n) for n, w in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(made.SerializeToString())


def tf_step(model: Any, x: Array) -> Run:
    """A compiled step of the stateful Keras model."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 1, FEATURES), tf.float32)])
    def step(given: Any) -> Any:
        return model(given)[:, 0]

    tensor = tf.constant(x[:, None])
    return lambda: step(tensor).numpy()


def assert_equal(model: Any, contenders: Mapping[str, Run]) -> None:
    """The third step of every contender, each from its start."""
    expected = None
    for name, run in contenders.items():
        model.layers[0].reset_state()
        outputs = [np.array(run()) for _ in range(3)]
        expected = outputs[-1] if expected is None else expected
        worst = float(np.abs(outputs[-1].reshape(expected.shape) - expected).max())
        if not (worst <= TOLERANCE and np.ptp(expected) > 0):
            raise SystemExit(f"{name} differs by {worst:.2g}")


def count_memory(runner: Any) -> Memory:
    """Resident memory of open streams, and its growth over a million stream-steps."""
    pool = runner.pool(capacity=OPENED)
    before = resident()
    ids = [pool.open() for _ in range(OPENED)]
    each = (resident() - before) / OPENED
    states = runner.manifest.forms["stream"].states
    size = sum(np.dtype(s.dtype).itemsize * int(np.prod(s.shape[1:])) for s in states)
    active = ids[:ACTIVE]
    xs = np.zeros((ACTIVE, FEATURES), np.float32)
    for _ in range(20):
        pool.step(active, xs)
    before = resident()
    for _ in range(TICKS):
        pool.step(active, xs)
    return Memory(OPENED, size, round(each, 1), resident() - before)


def resident() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def show(
    console: Console,
    rows: list[Row],
    memory: Memory,
    about: Mapping[str, Any],
    versions: Mapping[str, str],
) -> None:
    """Ratios first."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(f"LSTM {FEATURES}→{UNITS}")
    for column in ("ratio", "aim"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("medians, µs", justify="right", no_wrap=True)
    for entry in rows:
        disturbed = entry.others_share > QUIET
        style = "bold yellow" if disturbed else "bold green" if entry.met else "bold red"
        table.add_row(
            entry.what,
            Text(f"{entry.ratio:.2f}×", style=style),
            Text(entry.aim + (" disturbed" if disturbed else ""), style="dim"),
            Text(f"{entry.ours_us:,.1f} {entry.theirs_us:,.1f}", style="dim"),
        )
    console.print(table)
    over = memory.bytes_per_stream - memory.state_bytes
    console.print(
        f"{memory.opened:,} open streams: {memory.bytes_per_stream:,.0f} B each, states "
        f"{memory.state_bytes:,} B and {over:+,.0f} B (aim 200); "
        f"{memory.growth / 1024:+,.0f} KiB over {TICKS * ACTIVE:,} stream-steps"
    )
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    console.print(Text(f"{about['cpu']}, {about['cores']} cores; {made}", style="dim"))


if __name__ == "__main__":
    main()
