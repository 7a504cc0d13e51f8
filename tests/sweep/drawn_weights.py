"""Seeded weights; scripts of failures carry this function as text."""

from __future__ import annotations

from typing import Any

import numpy as np


def draw_weights(
    model: Any, seed: int, scale: float = 1.0, *, opening: bool = False, factor: float = 1.0
) -> None:
    """Random weights, biases and moving statistics.

    Recurrent weights are small, as trained ones are; with `opening`, biases lie above 0.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        path = getattr(weight, "path", weight.name)  # tf_keras has the whole path in the name
        moving = "moving_" in path
        if not weight.trainable and not moving:
            continue
        value = 0.3 * rng.standard_normal(weight.shape)
        if len(weight.shape) > 1:
            fan = 1 if "embedding" in path else int(np.prod(weight.shape[:-1]))
            gain = 0.5 if "recurrent_kernel" in path else 1.2
            value = gain * scale * rng.standard_normal(weight.shape)
            value /= np.sqrt(fan)
        if opening and "bias" in path:
            value = 0.3 + np.abs(value)
        if "moving_variance" in path:
            value = 0.5 + np.abs(value)
        weight.assign((value if moving else factor * value).astype("float32"))
