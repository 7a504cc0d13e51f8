"""CUDA in one go: parity, bound buffers, CUDA graphs, and speed against torch's cuDNN layers.

On a machine with TensorFlow:   scripts/gpu_check --prepare .cache/gpu
On the machine with the GPU:    python scripts/gpu_check.py --artifacts .cache/gpu --json out.json
Parity there needs no TensorFlow: golden.npz holds its answers. `--provider cpu` tries the script
where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import rnnport  # noqa: E402

SIZES = ((64, 128), (128, 256), (256, 512))
SHAPES = ((1, 1), (1, 100), (32, 100))
KINDS = ("LSTM", "GRU")
ROUNDS = 30

Row = dict[str, Any]


def prepare(folder: Path) -> None:
    """Export the layers to be timed and some masked models to be compared."""
    import keras

    layers = keras.layers
    for kind in KINDS:
        for features, units in SIZES:
            layer = getattr(layers, kind)(units, return_sequences=True)
            model = keras.Sequential([keras.Input((None, features)), layer])
            rnnport.export(model, folder / f"{kind}-{features}-{units}", overwrite=True)
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        inner = getattr(layers, kind)(24, return_sequences=True)
        masked = keras.Sequential(
            [keras.Input((None, 7)), layers.Masking(), layers.Bidirectional(inner), layers.Dense(3)]
        )
        rnnport.export(masked, folder / f"masked-{kind}", overwrite=True, target="cuda")


def parity(path: Path, provider: str) -> Row:
    report = rnnport.verify(path, provider=provider)
    worst = max((c.error / c.bound for c in report.checks if c.error is not None), default=None)
    return {"artifact": path.name, "passed": report.passed, "worst_of_bound": worst}


def session(path: Path, provider: str, **options: str) -> Any:
    import onnxruntime as ort

    if provider == "cpu":
        return ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {"use_tf32": "0", **options}
    return ort.InferenceSession(path, providers=[("CUDAExecutionProvider", given)])


def bound(run: Any, x: np.ndarray, y: np.ndarray, device: str) -> tuple[Callable[[], None], Any]:
    """A call over buffers that stay on the device, and the output buffer."""
    import onnxruntime as ort

    binding = run.io_binding()
    source = ort.OrtValue.ortvalue_from_numpy(x, device, 0)
    target = ort.OrtValue.ortvalue_from_numpy(y, device, 0)
    binding.bind_ortvalue_input(run.get_inputs()[0].name, source)
    binding.bind_ortvalue_output(run.get_outputs()[0].name, target)

    def call() -> None:
        run.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call, target


def plain_call(run: Any, x: np.ndarray) -> Callable[[], None]:
    name = run.get_inputs()[0].name

    def call() -> None:
        run.run(None, {name: x})

    return call


def torch_call(kind: str, features: int, units: int, x: np.ndarray) -> Callable[[], None]:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    layer = getattr(torch.nn, kind)(features, units, batch_first=True).cuda()
    tensor = torch.from_numpy(x).cuda()

    def call() -> None:
        with torch.no_grad():
            layer(tensor)
        torch.cuda.synchronize()

    return call


def medians(calls: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Median microseconds of each, interleaved round by round after a warm-up."""
    seen: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 5):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number >= 5:
                seen[name].append(1e6 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in seen.items()}


def speed(folder: Path, provider: str) -> list[Row]:
    rows: list[Row] = []
    device = "cuda" if provider == "cuda" else "cpu"
    for kind in KINDS:
        for features, units in SIZES:
            path = folder / f"{kind}-{features}-{units}" / "model.onnx"
            plain = session(path, provider)
            for batch, steps in SHAPES:
                x = np.random.default_rng(0).standard_normal((batch, steps, features))
                x = x.astype(np.float32)
                (expected,) = plain.run(None, {plain.get_inputs()[0].name: x})
                call, target = bound(plain, x, np.zeros_like(expected), device)
                call()
                same = bool(np.array_equal(target.numpy(), expected))
                calls = {"run": plain_call(plain, x), "bound": call}
                row: Row = {"kind": kind, "features": features, "units": units}
                row |= {"batch": batch, "steps": steps, "bound_equals_run": same}
                if provider == "cuda":
                    graph, error = cuda_graph(path, x, expected)
                    row["cuda_graph"] = error or "equal"
                    if graph is not None:
                        calls["cuda graph"] = graph
                    calls["torch"] = torch_call(kind, features, units, x)
                rows.append(row | {"median_us": medians(calls)})
    return rows


def cuda_graph(path: Path, x: np.ndarray, expected: np.ndarray) -> tuple[Any, str]:
    """A captured graph's call, or why there is none."""
    try:
        run = session(path, "cuda", enable_cuda_graph="1")
        call, target = bound(run, x, np.zeros_like(expected), "cuda")
        for _ in range(3):
            call()
    except Exception as error:
        return None, f"{type(error).__name__}: {str(error)[:200]}"
    if not np.allclose(target.numpy(), expected, atol=1e-6):
        return None, "differs from the plain run"
    return call, ""


def machine(provider: str) -> Row:
    import onnxruntime as ort

    found: Row = {"python": platform.python_version(), "onnxruntime": ort.__version__}
    found |= {"numpy": np.__version__, "rnnport": rnnport.__version__, "provider": provider}
    if provider == "cuda":
        import torch

        found["gpu"] = torch.cuda.get_device_name(0)
        found["torch"] = torch.__version__
        found["cudnn"] = torch.backends.cudnn.version()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", type=Path, help="export the artifacts into this folder")
    parser.add_argument("--artifacts", type=Path, help="folder made by --prepare")
    parser.add_argument("--provider", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--json", type=Path, help="write the results here")
    given = parser.parse_args()
    if given.prepare is not None:
        prepare(given.prepare)
        return 0
    if given.artifacts is None:
        parser.error("give --prepare or --artifacts")
    folders = sorted(p for p in given.artifacts.iterdir() if (p / "rnnport.json").exists())
    result = {
        "machine": machine(given.provider),
        "parity": [parity(p, given.provider) for p in folders],
        "speed": speed(given.artifacts, given.provider),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n")
    return 0 if all(row["passed"] for row in result["parity"]) else 1


if __name__ == "__main__":
    sys.exit(main())
