"""A process of its own for each runtime: how long until the first answer, how much memory.

`python fresh.py RUNTIME FOLDER THREADS` prints one JSON object; `fresh_processes` asks all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["RUNTIMES", "fresh_processes"]

BATCH, STEPS, FEATURES, UNITS = 32, 100, 128, 256

Load = Callable[[Path, int], Callable[[Any], Any]]


def _rnnport(folder: Path, threads: int) -> Callable[[Any], Any]:
    import rnnport

    return rnnport.load(folder / "cpu", provider="cpu", threads=threads).run


def _tf2onnx(folder: Path, threads: int) -> Callable[[Any], Any]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    path = str(folder / "tf2onnx.onnx")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})


def _keras(folder: Path, threads: int) -> Callable[[Any], Any]:
    model = _keras_model(folder, threads)
    return lambda x: model.predict(x, batch_size=len(x), verbose=0)


def _tf_function(folder: Path, threads: int) -> Callable[[Any], Any]:
    import tensorflow as tf

    model = _keras_model(folder, threads)
    function = tf.function(lambda x: model(x, training=False))
    return lambda x: function(x).numpy()


def _keras_model(folder: Path, threads: int) -> Any:
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    return keras.models.load_model(folder / "model.keras")


def _openvino(folder: Path, threads: int) -> Callable[[Any], Any]:
    import openvino

    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.compile_model(folder / "tf2onnx.onnx", "CPU", hints)  # type: ignore[no-any-return]


RUNTIMES: dict[str, Load] = {
    "rnnport": _rnnport,
    "tf2onnx": _tf2onnx,
    "Keras predict": _keras,
    "tf.function": _tf_function,
    "OpenVINO": _openvino,
}


def main(runtime: str, folder: str, threads: str) -> None:
    import numpy as np

    x = np.random.default_rng(0).standard_normal((BATCH, STEPS, FEATURES)).astype(np.float32)
    started = time.perf_counter()
    run = RUNTIMES[runtime](Path(folder), int(threads))
    loaded = time.perf_counter()
    run(x)
    first = time.perf_counter()
    told = {"load_s": loaded - started, "first_run_s": first - loaded, "peak_bytes": high_water()}
    print(json.dumps({key: round(value, 4) for key, value in told.items()}))


def high_water() -> int:
    """The most bytes this process had in memory, what started it left out; 0 outside Linux."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(s.split()[1]) * 1024 for s in lines if s.startswith("VmHWM:")), 0)


def fresh_processes(threads: int, known: set[str]) -> Iterator[dict[str, Any]]:
    """The record of each runtime that is not known yet: imports and loading together.

    Args:
        threads: for each of them.
        known: runtimes to leave out.
    """
    from suite.models import build
    from suite.subject import Subject
    from suite.workloads import Model

    wanted = [name for name in RUNTIMES if name not in known]
    if not wanted:
        return
    model = Model("grid", "LSTM", FEATURES, UNITS)
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(model, build(model), Path(folder), threads)
        subject.artifact("cpu")
        assert subject.tf2onnx_file.exists()
        subject.keras.save(Path(folder) / "model.keras")
        for name in wanted:
            yield {"fresh": name, **_ask(name, folder, threads)}


def _ask(runtime: str, folder: str, threads: int) -> dict[str, Any]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, __file__, runtime, folder, str(threads)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **quiet},
    )
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1][:160]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
