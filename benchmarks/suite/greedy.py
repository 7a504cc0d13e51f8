"""Greedy decoding, source to tokens: rnnport against loops over Keras. Models: generation.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from suite.peers.base import Run
from suite.workloads import Workload

__all__ = ["greedy_field"]

_ABSENT = {
    "rnnport, portable": "generate.onnx and the decoder are the same for both targets",
    "tf2onnx": "exports a step, not the loop",
    "torch.nn": "would need a loop of its own",
    "OpenVINO": "no loop to run",
    "OpenVINO on rnnport's graph": "see docs/backends.md",
    "BLAS products": "not matrix products alone",
    "one-op graph": "not one operator",
}

Binds = dict[str, Callable[[Workload], Run]]


def greedy_field(kind: str, folder: Path, threads: int) -> tuple[Binds, dict[str, str]]:
    """Contenders of one encoder-decoder model, and why others do not take part.

    Args:
        kind: "LSTM", or "GRU with attention".
        folder: exports go there.
        threads: for generate.onnx; runner.generate and TensorFlow choose for themselves.
    """
    import generation

    build = generation.lstm_models if kind == "LSTM" else generation.attention_models
    one = build(folder)

    def source(work: Workload) -> generation.Array:
        return np.asarray(generation.sources(work.batch))

    binds: Binds = {
        "rnnport": lambda work: lambda: generation.generate(one.greedy, source(work), 1),
        "rnnport, generate.onnx": lambda work: generation.session_run(
            one.greedy, source(work), threads=threads
        ),
        "Keras predict": lambda work: lambda: generation.predict_loop(one, source(work)),
        "tf.function": lambda work: generation.compiled_loop(one, source(work)),
        "XLA": lambda work: generation.compiled_loop(one, source(work), xla=True),
    }
    return binds, dict(_ABSENT)
