"""Small Keras models for tests, and what they are held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from rnnport.artifact.load import Artifact
from rnnport.errors import RnnportError
from rnnport.parity.tolerance import TOLERANCES

LOOPS = {"Loop", "Scan", "If"}


def lively(model: Any, seed: int = 0) -> Any:
    """The model with random weights and biases: nothing is zero by chance."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        fan = max(1, int(np.prod(weight.shape[:-1])))
        wide = len(weight.shape) > 1
        value = rng.standard_normal(weight.shape) * (1.2 / np.sqrt(fan) if wide else 0.3)
        weight.assign(value.astype("float32"))
    return model


def normal(*shape: int, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def assert_same(expected: Any, received: Any, tolerance: float = TOLERANCES["cpu"]) -> None:
    """Nested arrays agree in dtype, shape and value, and are not all one number."""
    expected = [np.asarray(e) for e in keras.tree.flatten(expected)]
    received = [np.asarray(r) for r in keras.tree.flatten(received)]
    assert len(expected) == len(received)
    for e, r in zip(expected, received, strict=True):
        assert (e.dtype, e.shape) == (r.dtype, r.shape)
        assert np.isfinite(e).all()
        assert np.abs(e - r).max() <= tolerance * max(1.0, np.abs(e).max())


def bits(nest: Any) -> list[bytes]:
    """Exact content of nested arrays."""
    return [np.asarray(a).tobytes() for a in keras.tree.flatten(nest)]


def ops(artifact: Artifact) -> Counter[str]:
    return Counter(artifact.manifest.forms["model"].op_counts)


def shapes(artifact: Artifact) -> list[list[int | str]]:
    return [port.shape for port in artifact.manifest.forms["model"].inputs]


def output_shapes(artifact: Artifact) -> list[list[int | str]]:
    return [port.shape for port in artifact.manifest.forms["model"].outputs]


def lowerings(artifact: Artifact) -> list[str]:
    return [layer.lowering for layer in artifact.manifest.layers]


def nodes(path: Path, kind: str) -> list[onnx.NodeProto]:
    """Nodes of one type in the main graph."""
    return [n for n in onnx.load(path).graph.node if n.op_type == kind]


def reasons(error: RnnportError) -> Iterable[tuple[str, str, str, str]]:
    return [(r.subject, r.received, r.expected, r.remedy) for r in error.reasons]
