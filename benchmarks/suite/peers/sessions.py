"""An onnxruntime session as anybody would open it."""

from __future__ import annotations

from typing import Any

__all__ = ["open_session"]


def open_session(model: Any, threads: int) -> Any:
    """A session over a file or the bytes of a graph.

    Args:
        model: a path or bytes.
        threads: inside one operator.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
