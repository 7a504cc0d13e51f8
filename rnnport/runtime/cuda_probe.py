"""Whether CUDA really works: asked step by step, so that onnxruntime never has to complain.

onnxruntime-gpu names CUDA among its providers on machines that have none, prints errors when it
is asked for there, and goes on with the CPU. So each thing it needs is tried before it, and its
own log is silent while it is tried.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import functools
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

__all__ = ["Probe", "probe_cuda"]

# y = LSTM(x) with one unit, W = 0.5 and R = 0 for all gates; x and y hold one number. Made with
# onnx.helper (IR 8, opset 14); tests/runtime/test_cuda_probe.py makes it again and compares.
TINY_LSTM = base64.b64decode(
    "CAg6owEKJgoBeAoBVwoBUhIBeSIETFNUTSoSCgtoaWRkZW5fc2l6ZRgBoAECEgVwcm9iZSodCAEIBAgBEAEiEAAA"
    "AD8AAAA/AAAAPwAAAD9CAVcqHQgBCAQIARABIhAAAAAAAAAAAAAAAAAAAAAAQgFSWhcKAXgSEgoQCAESDAoCCAEK"
    "AggBCgIIAWIbCgF5EhYKFAgBEhAKAggBCgIIAQoCCAEKAggBQgQKABAO"
)
TINY_ANSWER = 0.1742697
"""sigmoid(½) · tanh(sigmoid(½) · tanh(½)), TINY_LSTM's output for x = 1."""

_DRIVER = "install the NVIDIA driver (580 or newer), and give the container access to the GPU"
_LIBRARIES = "pip install 'rnnport[cuda]'"
_FATAL, _WARNING = 4, 2


@dataclass(frozen=True)
class Probe:
    """The verdict; where works is False, the step that failed, its detail and the remedy."""

    works: bool
    step: str = ""
    detail: str = ""
    remedy: str = ""


class _Failed(Exception):
    """A step's detail and remedy."""

    def __init__(self, detail: str, remedy: str) -> None:
        self.detail, self.remedy = detail, remedy
        super().__init__(detail)


@functools.cache
def probe_cuda() -> Probe:
    """Try CUDA once in the life of the process, printing nothing."""
    steps: list[tuple[str, Callable[[], None]]] = [
        ("looking for CUDA in onnxruntime", _built_with_cuda),
        ("asking the driver for a GPU", _driver_sees_a_gpu),
        ("running a small LSTM on CUDA", _runs_an_lstm),
    ]
    for name, step in steps:
        try:
            step()
        except _Failed as failure:
            return Probe(False, name, failure.detail, failure.remedy)
    return Probe(True)


def _built_with_cuda() -> None:
    available = ort.get_available_providers()
    if "CUDAExecutionProvider" not in available:
        raise _Failed(
            f"this onnxruntime {ort.__version__} has {', '.join(available)}",
            "pip uninstall onnxruntime onnxruntime-gpu, then pip install onnxruntime-gpu",
        )


def _driver_sees_a_gpu() -> None:
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError as error:
        raise _Failed(f"{library} cannot be loaded", _DRIVER) from error
    if code := driver.cuInit(0):
        raise _Failed(f"cuInit returned error {code}", _DRIVER)
    count = ctypes.c_int()
    if code := driver.cuDeviceGetCount(ctypes.byref(count)):
        raise _Failed(f"cuDeviceGetCount returned error {code}", _DRIVER)
    if count.value < 1:
        remedy = f"{_DRIVER}; CUDA_VISIBLE_DEVICES may hide it"
        raise _Failed("the driver sees no GPU", remedy)


def _runs_an_lstm() -> None:
    complaints = _preload()
    ort.set_default_logger_severity(_FATAL)
    try:
        value = _tiny_lstm_on_cuda()
    except _Failed as failure:
        raise _Failed(failure.detail + complaints, failure.remedy) from failure
    except Exception as error:
        raise _Failed(f"{_first_line(error)}{complaints}", _LIBRARIES) from error
    finally:
        ort.set_default_logger_severity(_WARNING)
    if not abs(value - TINY_ANSWER) < 1e-3:
        raise _Failed(f"it gave {value}, not {TINY_ANSWER}", "update the NVIDIA driver")


def _preload() -> str:
    """Load the CUDA libraries of the nvidia wheels; return what could not be, which it prints."""
    if not hasattr(ort, "preload_dlls"):
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(Exception):
        ort.preload_dlls()
    lines = [line for line in printed.getvalue().splitlines() if line.startswith("Failed")]
    return f" ({lines[0]})" if lines else ""


def _tiny_lstm_on_cuda() -> float:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    providers = [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    session = ort.InferenceSession(TINY_LSTM, options, providers=providers, enable_fallback=0)
    if "CUDAExecutionProvider" not in session.get_providers():
        raise _Failed("onnxruntime could not load its CUDA libraries", _LIBRARIES)
    (y,) = session.run(None, {"x": np.ones((1, 1, 1), np.float32)})
    return float(y.item())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
