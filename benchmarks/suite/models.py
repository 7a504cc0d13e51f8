"""Keras models by description, seeded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from suite.subject import MASKED
from suite.workloads import Model

__all__ = ["build"]

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def build(model: Model) -> Any:
    """The live model.

    Raises:
        Exception: published weights that cannot be fetched; says why.
    """
    import keras

    keras.utils.set_random_seed(3)
    if model.family == "custom cell":
        from cells import plain_cell

        return plain_cell()
    if model.family == "ConvLSTM2D":
        from cells import conv_lstm

        return conv_lstm()
    return _published(model.kind) if model.family == "real" else _standard(model)


def _standard(model: Model) -> Any:
    import keras

    layers = keras.layers
    built = [keras.Input((None, model.features))]
    if model.masked:
        built.append(layers.Masking(MASKED))
    for _ in range(model.depth):
        layer = getattr(layers, model.kind)(model.units, return_sequences=True)
        built.append(layers.Bidirectional(layer) if model.bidirectional else layer)
    made = keras.Sequential(built)
    # Biases of zero would hide a wrong one.
    for weight in made.trainable_weights:
        if len(weight.shape) == 1 or weight.path.endswith("bias"):
            weight.assign(keras.random.normal(weight.shape, stddev=0.1, seed=7))
    return made


def _published(name: str) -> Any:
    """The author's own file."""
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))
    from prove_models import published

    from rnnport.capture.open_file import open_file

    model, _ = published(name)
    return open_file(model, None, None).model if isinstance(model, Path) else model
