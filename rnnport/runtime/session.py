"""An onnxruntime session over a form's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

from rnnport.errors import ArtifactDamaged, ProviderUnavailable, UsageError
from rnnport.runtime.providers import session_providers

__all__ = ["check_threads", "open_session"]

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


def open_session(path: Path, provider: str = "cpu", threads: int | None = None) -> Any:
    """Open a form; by path, since external data lies beside the file.

    Args:
        path: the .onnx file, already checked by open_artifact.
        provider: a resolved provider, "cpu" or "cuda".
        threads: for the work inside one operator; None leaves the choice to onnxruntime.

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
