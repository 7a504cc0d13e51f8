"""Random weights for random models: lively, and no worse conditioned than trained ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnport.capture.open import open_source
from rnnport.capture.reference import Reference
from rnnport.parity.tolerance import TOLERANCES
from tests.sweep_draw import SATURATING, UNBOUNDED, Stack

_LARGE = 1e3
_ROWS = 8
_LONGEST = 40  # steps: a little more than are compared
_STEADY = TOLERANCES["cpu"] / 10


def randomise(model: Any, stack: Stack) -> None:
    """Weights lively enough that no output dies away, and stable as trained ones are.

    In a chaotic or diverging network any two correct float32 runs part company: recurrent weights
    are kept small, and all weights where a gate leaves 0…1, since such a gate lets states grow, or
    stay at 0 for good. Where an activation has no bounds, weights shrink until their last bits move
    what TensorFlow gives by less than a tenth of the tolerance: a ConvLSTM of linear activation
    grew to 10⁴ in 36 steps, and TensorFlow itself moved by ten times the tolerance.
    Biases above 0 open most gates: of many small layers with relu gates, one or the other would be
    dead in every draw.
    """
    rng = np.random.default_rng(stack.seed)
    bounded = all(layer.recurrent_activation in SATURATING for layer in stack.layers)
    _draw_weights(model, 1.0 if bounded else 0.4, rng)
    if bounded and not any(layer.activation in UNBOUNDED for layer in stack.layers):
        return
    for _ in range(20):
        outputs = _outputs(model)
        if any(_is_dead(y) for y in outputs):
            _draw_weights(model, 0.4, rng, opening=True)
        elif not _is_steady(model, outputs, rng):
            for weight in model.trainable_weights:
                weight.assign(0.7 * weight)
        else:
            return


def _is_dead(output: np.ndarray) -> bool:
    """Whether most rows give the same: the few rows of a comparison could then all be one value."""
    rows = output.reshape(len(output), -1)
    return 2 * len(np.unique(rows, axis=0)) < len(rows)


def _is_steady(model: Any, outputs: list[np.ndarray], rng: np.random.Generator) -> bool:
    """Whether the outputs stay small, and nearly where they are when weights move by a last bit."""
    if not all(np.abs(y).max() < _LARGE for y in outputs):
        return False
    kept = [np.asarray(weight) for weight in model.trainable_weights]
    for weight, value in zip(model.trainable_weights, kept, strict=True):
        towards = rng.choice(np.array([-np.inf, np.inf], np.float32), value.shape)
        weight.assign(np.nextafter(value, towards))
    moved = _outputs(model)
    for weight, value in zip(model.trainable_weights, kept, strict=True):
        weight.assign(value)
    pairs = zip(outputs, moved, strict=True)
    return all(np.abs(m - y).max() <= _STEADY * max(1.0, np.abs(y).max()) for y, m in pairs)


def _draw_weights(
    model: Any, scale: float, rng: np.random.Generator, *, opening: bool = False
) -> None:
    for weight in model.trainable_weights:
        path = getattr(weight, "path", weight.name)  # tf_keras has the whole path in the name
        value = 0.3 * rng.standard_normal(weight.shape)
        if len(weight.shape) > 1:
            fan = 1 if "embedding" in path else int(np.prod(weight.shape[:-1]))
            gain = 0.5 if "recurrent_kernel" in path else 1.2
            value = gain * scale * rng.standard_normal(weight.shape)
            value /= np.sqrt(fan)
        if opening and "bias" in path:
            value = 0.3 + np.abs(value)
        weight.assign(value.astype("float32"))


def _outputs(model: Any) -> list[np.ndarray]:
    """What the model gives over as many steps as are compared; its states are left alone."""
    rng, source = np.random.default_rng(0), open_source(model)
    inputs = {}
    for port in source.inputs:
        shape = [size or (_ROWS, _LONGEST)[axis] for axis, size in enumerate(port.shape)]
        inputs[port.name] = _drawn(port.dtype, shape, rng)
    return [np.asarray(y) for y in Reference(source).eager(inputs)]


def _drawn(dtype: str, shape: list[int], rng: np.random.Generator) -> np.ndarray:
    """Numbers, ids of the sweep's embedding that mask nothing, or a mask of valid steps."""
    if dtype == "bool":
        return np.ones(shape, bool)
    values = rng.standard_normal(shape) if dtype == "float32" else rng.integers(1, 11, shape)
    return values.astype(dtype)
