"""The three artifacts that scripts/mutate plants faults into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import rnnport
from rnnport.artifact.load import Artifact

__all__ = ["SUBJECTS", "make"]


def masked_bidirectional() -> Any:
    """Padded sequences through two bidirectional layers, one with hard_sigmoid gates."""
    import keras
    from keras import layers

    x = inputs = keras.Input((None, 6), name="x")
    x = layers.Masking(0.0)(x)
    gru = layers.GRU(8, return_sequences=True, recurrent_activation="hard_sigmoid", name="gru")
    x = layers.Bidirectional(gru, name="both")(x)
    x = layers.Bidirectional(layers.LSTM(7, return_sequences=True, name="lstm"), name="deep")(x)
    return keras.Model(inputs, layers.Dense(4, name="y")(x), name="masked_bidirectional")


def stacked_stateful() -> Any:
    """Three stateful layers of one size, over sequences that may be padded."""
    import keras
    from keras import layers

    x = inputs = keras.Input(batch_shape=(4, None, 5), name="x")
    x = layers.Masking(0.0)(x)
    for name in ("first", "second"):
        x = layers.LSTM(8, return_sequences=True, stateful=True, name=name)(x)
    x = layers.GRU(8, return_sequences=True, stateful=True, name="third")(x)
    return keras.Model(inputs, layers.Dense(3, name="y")(x), name="stacked_stateful")


def encoder_decoder() -> Any:
    """State hand-off, and attention over the encoder's outputs."""
    import keras
    from keras import layers

    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    x = layers.Embedding(11, 6, mask_zero=True, name="words")(source)
    memory, state = layers.GRU(8, return_sequences=True, return_state=True, name="encoder")(x)
    y = layers.Embedding(12, 6, name="tokens")(target)
    y = layers.GRU(8, return_sequences=True, name="decoder")(y, initial_state=state)
    y = layers.Concatenate(name="joined")([y, layers.Attention(name="attention")([y, memory])])
    return keras.Model([source, target], layers.Dense(12, name="y")(y), name="encoder_decoder")


SUBJECTS: dict[str, Callable[[], Any]] = {
    "masked bidirectional": masked_bidirectional,
    "stacked stateful": stacked_stateful,
    "encoder-decoder with attention": encoder_decoder,
}


def make(subject: str, folder: Path) -> tuple[Any, Artifact]:
    """A model whose weights, biases too, are drawn anew, and its artifact."""
    import keras

    keras.utils.clear_session()
    model = SUBJECTS[subject]()
    rng = np.random.default_rng(7)
    model.set_weights([rng.normal(0, 0.35, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model, rnnport.export(model, folder, overwrite=True)
