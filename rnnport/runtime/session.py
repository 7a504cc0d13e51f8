"""An onnxruntime session over a form's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

from rnnport.errors import ArtifactDamaged, InputError, ProviderUnavailable, UsageError
from rnnport.runtime.providers import session_providers

__all__ = ["check_threads", "open_session", "run_refused"]

_FATAL = 4


def check_threads(threads: int | None) -> None:
    """Refuse a thread count that is no positive integer.

    Raises:
        UsageError: threads is neither None nor an integer from 1 up.
    """
    if threads is None or (isinstance(threads, int) and type(threads) is not bool and threads > 0):
        return
    remedy = "pass None to let onnxruntime choose"
    raise UsageError.of("threads", repr(threads), "a whole number from 1 up, or None", remedy)


def open_session(
    path: Path, provider: str = "cpu", threads: int | None = None, *, arena: bool = True
) -> Any:
    """Open a form; by path, since external data lies beside the file.

    Args:
        path: the .onnx file, already checked by open_artifact.
        provider: a resolved provider, "cpu" or "cuda".
        threads: for the work inside one operator; None leaves the choice to onnxruntime.
        arena: keep freed memory at hand; without it very small runs are faster.

    Returns:
        An onnxruntime.InferenceSession; its run may be called from several threads.

    Raises:
        UsageError: threads makes no sense.
        ArtifactDamaged: onnxruntime does not take the file.
        ProviderUnavailable: CUDA works, but not for this session.
    """
    check_threads(threads)
    options = ort.SessionOptions()
    # Its errors come as exceptions; printing them as well would be noise.
    options.log_severity_level = _FATAL
    options.enable_cpu_mem_arena = arena
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = ort.InferenceSession(
            str(path), options, providers=session_providers(provider), enable_fallback=0
        )
    except Exception as error:
        raise ArtifactDamaged.of(
            str(path),
            f"onnxruntime {ort.__version__}: {' '.join(str(error).split())[:500]}",
            "a graph that onnxruntime opens",
            "pip install -U onnxruntime-gpu, or export the model again with a lower opset",
        ) from error
    if provider == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise ProviderUnavailable.of(
            "provider 'cuda'",
            "onnxruntime opened the model on the CPU",
            "a session on CUDA",
            "check that the GPU has free memory",
        )
    return session


def run_refused(file: str, error: Exception) -> InputError:
    """Onnxruntime's refusal of inputs whose shapes and dtypes fit, such as ids out of range."""
    return InputError.of(
        f"run of {file}",
        f"onnxruntime: {' '.join(str(error).split())[:500]}",
        "values the model can take",
        "check that ids are below the vocabulary's size and sequences not too short",
    )
