"""One model made ready for all peers: Keras, its exports, and what they cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.cli.quiet import silent_stderr
from rnnport.samples import draw
from rnnport.spec import Port
from suite.workloads import Model, Workload

__all__ = ["MASKED", "Array", "Subject", "draw_inputs"]

MASKED = -1.0
SHORTEST = 4  # padded rows keep a quarter of the steps at least
VALID = 0.6  # the share of valid steps under a random mask

Array = NDArray[Any]


@dataclass
class Subject:
    """A Keras model with random or published weights.

    Attributes:
        model: what it is.
        keras: the live model.
        folder: exports go there.
        threads: for every contender.
        seconds: what took how long: exports by name.
    """

    model: Model
    keras: Any
    folder: Path
    threads: int
    seconds: dict[str, float] = field(default_factory=dict)
    _artifacts: dict[str, Artifact] = field(default_factory=dict)

    def artifact(self, target: str) -> Artifact:
        """Rnnport's export, verified."""
        if target not in self._artifacts:
            started = time.perf_counter()
            with silent_stderr():
                made = rnnport.export(self.keras, self.folder / target, target=target)
            self.seconds[f"rnnport export, {target}"] = time.perf_counter() - started
            self._artifacts[target] = made
        return self._artifacts[target]

    @property
    def ports(self) -> list[Port]:
        """The inputs, in Keras's order."""
        return self.artifact("portable").manifest.forms["model"].inputs

    @cached_property
    def signature(self) -> list[Any]:
        """tf.TensorSpecs of the inputs, open where the export is."""
        import tensorflow as tf

        return [
            tf.TensorSpec([a if isinstance(a, int) else None for a in port.shape], port.dtype)
            for port in self.ports
        ]

    def call(self, *tensors: Any) -> list[Any]:
        """The Keras model at inference, flat."""
        import tensorflow as tf

        given = tensors[0] if len(tensors) == 1 else list(tensors)
        return list(tf.nest.flatten(self.keras(given, training=False)))

    @cached_property
    def tf2onnx_file(self) -> Path:
        """What tf2onnx makes of the model by itself."""
        import onnx
        import tensorflow as tf
        import tf2onnx

        path = self.folder / "tf2onnx.onnx"
        started = time.perf_counter()
        with silent_stderr():
            function = tf.function(self.call, input_signature=self.signature)
            made, _ = tf2onnx.convert.from_function(
                function, input_signature=self.signature, opset=18
            )
        onnx.save(made, path)
        self.seconds["tf2onnx export"] = time.perf_counter() - started
        return path

    def arrays(self, work: Workload) -> list[Array]:
        """Seeded inputs, the same for every contender."""
        return draw_inputs(work, self.ports)


def draw_inputs(work: Workload, ports: list[Port]) -> list[Array]:
    """Standard normal values, or what the ports ask for.

    Left-padded rows keep a quarter to all of their steps; under a random mask 0.6 of the steps are
    valid, the last one always.
    """
    if work.model.family == "real":
        sizes = {a: work.time for port in ports for a in port.shape if isinstance(a, str)}
        return list(draw(ports, {**sizes, "B": work.batch}, seed=5).values())
    rng = np.random.default_rng(5)
    (port,) = ports
    rest = [a for a in port.shape[2:] if isinstance(a, int)]
    x = rng.standard_normal((work.batch, work.time, *rest)).astype(np.float32)
    if work.mask == "left-padded":
        fewest = max(1, work.time // SHORTEST)
        lengths = rng.integers(fewest, work.time + 1, (work.batch, 1))
        x[np.arange(work.time) < work.time - lengths] = MASKED
    elif work.mask == "random mask":
        masked = rng.random((work.batch, work.time)) >= VALID
        masked[:, -1] = False
        x[masked] = MASKED
    return [x]
