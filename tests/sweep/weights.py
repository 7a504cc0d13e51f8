"""Random weights for random models: lively, and no worse conditioned than trained ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnport.capture.open import open_source
from rnnport.capture.reference import Reference
from rnnport.parity.tolerance import TOLERANCES
from tests.sweep.drawn_weights import draw_weights
from tests.sweep.pair import Pair
from tests.sweep.stack import SATURATING, UNBOUNDED, Stack

_LARGE = 1e3
_ROWS = 8
_LONGEST = 40  # steps: a little more than are compared
_STEADY = TOLERANCES["cpu"] / 10


@dataclass(frozen=True)
class Recipe:
    """The arguments that draw_weights ended with: the same weights at any time."""

    seed: int
    scale: float
    opening: bool = False
    factor: float = 1.0

    def apply(self, model: Any) -> None:
        draw_weights(model, self.seed, self.scale, opening=self.opening, factor=self.factor)

    def text(self) -> str:
        given = f"{self.seed}, {self.scale}"
        given += ", opening=True" if self.opening else ""
        given += f", factor={self.factor!r}" if self.factor != 1.0 else ""
        return f"draw_weights(model, {given})"


def randomise(model: Any, case: Stack | Pair) -> Recipe:
    """Weights lively enough that no output dies away, and stable as trained ones are.

    In a chaotic or diverging network any two correct float32 runs part company: recurrent weights
    are kept small, and all weights where a gate leaves 0…1, since such a gate lets states grow, or
    stay at 0 for good. Where an activation has no bounds, weights shrink until their last bits move
    what TensorFlow gives by less than a tenth of the tolerance: a ConvLSTM of linear activation
    grew to 10⁴ in 36 steps, and TensorFlow itself moved by ten times the tolerance.
    Biases above 0 open most gates: of many small layers with relu gates, one or the other would be
    dead in every draw.
    """
    layers = case.layers if isinstance(case, Stack) else ()
    bounded = all(layer.recurrent_activation in SATURATING for layer in layers)
    unbounded = any(layer.activation in UNBOUNDED for layer in layers)
    recipe = Recipe(case.seed, 1.0 if bounded else 0.4)
    recipe.apply(model)
    if bounded and not unbounded:
        return recipe
    rng = np.random.default_rng(case.seed)
    for _ in range(20):
        outputs = outputs_of(model)
        if any(_is_dead(y) for y in outputs):
            recipe = Recipe(recipe.seed + 1, 0.4, opening=True)
        elif not _is_steady(model, outputs, rng):
            recipe = replace(recipe, factor=0.7 * recipe.factor)
        else:
            break
        recipe.apply(model)
    return recipe


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
    moved = outputs_of(model)
    for weight, value in zip(model.trainable_weights, kept, strict=True):
        weight.assign(value)
    pairs = zip(outputs, moved, strict=True)
    return all(np.abs(m - y).max() <= _STEADY * max(1.0, np.abs(y).max()) for y, m in pairs)


def outputs_of(model: Any) -> list[np.ndarray]:
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
