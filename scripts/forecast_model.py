"""A forecaster with attention, trained teacher-forced, and the usual way to run it in Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
from demand import Windows
from g2p_keras_loop import Call
from numpy.typing import NDArray

__all__ = ["KerasForecast", "build", "train"]

# Chosen on the two weeks before those held out.
SEED, UNITS, EPOCHS, BATCH = 7, 48, 40, 32
RATE = 5e-3
# What the decoder is fed in training is the truth, later its own guess: noise teaches it to doubt.
NOISE = 0.2

Array = NDArray[Any]


def build(features: int, units: int = UNITS) -> Any:
    """Past (B, S, F) and future (B, T, F), shifted by one, → demand (B, T, 1)."""
    import keras

    layers = keras.layers
    past = keras.Input((None, features), name="past")
    future = keras.Input((None, features), name="future")
    encoder = layers.GRU(units, return_sequences=True, return_state=True, name="encoder")
    memory, handed = encoder(past)
    fed = layers.GaussianNoise(NOISE, name="doubt")(future)
    decoder = layers.GRU(units, return_sequences=True, return_state=True, name="decoder")
    y, _ = decoder(fed, initial_state=handed)
    seen = layers.Attention(name="attention")([y, memory])
    y = layers.Concatenate(name="both")([y, seen])
    return keras.Model([past, future], layers.Dense(1, name="demand")(y), name="forecaster")


def train(windows: Windows, units: int = UNITS, epochs: int = EPOCHS) -> Any:
    """A trained model; the same weights on every run of one machine."""
    import keras

    keras.utils.set_random_seed(SEED)
    model = build(windows.past.shape[-1], units)
    steps = epochs * -(-len(windows.first) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "mae")
    fed = [windows.past, windows.future]
    model.fit(fed, windows.wanted, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


class KerasForecast:
    """Two inference models made of the training model's layers by hand, called step by step."""

    def __init__(self, model: Any) -> None:
        import keras

        past, future = model.inputs
        encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
        memory = keras.Input((None, encoder.units), name="memory")
        before = keras.Input((decoder.units,), name="before")
        y, after = decoder(future, initial_state=before)
        seen = model.get_layer("attention")([y, memory])
        demand = model.get_layer("demand")(model.get_layer("both")([y, seen]))
        self._encoder = keras.Model(past, encoder.output)
        self._decoder = keras.Model([future, before, memory], [demand, after])

    def __call__(self, windows: Windows, call: Call) -> Array:
        """Forecasts (B, T, 1), each step fed what the one before gave."""
        memory, state = call(self._encoder, windows.past)
        fed, outputs = windows.future[:, :1], []
        for step in range(steps := windows.future.shape[1]):
            output, state = call(self._decoder, [fed, state, memory])
            outputs.append(np.asarray(output))
            if step + 1 < steps:
                fed = windows.follow(outputs[-1][:, 0], step)[:, None]
        return np.concatenate(outputs, axis=1)
