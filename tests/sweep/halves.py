"""The hand-off law: encoder.onnx, then decoder.onnx in pieces, gives what Keras gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import rnnport
from rnnport.parity.streaming import random_lengths
from rnnport.parity.tolerance import TOLERANCES
from rnnport.runtime.session import open_session
from rnnport.samples import draw


def check_halves(
    model: Any, folder: Path, seed: int, seen: Callable[[float], None] = lambda error: None
) -> None:
    """Teacher-forced, the decoder in random chunks, at sizes and with a mask of the seed's.

    Args:
        model: the Keras model.
        folder: its artifact, with both halves.
        seed: of inputs and chunks.
        seen: told the worst error relative to its bound.
    """
    artifact = rnnport.open(folder)
    forms = artifact.manifest.forms
    encoder, decoder = forms["encoder"], forms["decoder"]
    rng = np.random.default_rng(seed)
    time = int(rng.integers(4, 12))
    sizes = {axis: int(rng.integers(3, 12)) for axis in ("S", "S2", "S3")}
    own = [port for port in decoder.inputs if port.name not in decoder.fixed]
    # Only the source is masked: a decoder's masked steps give zeros first and a state later on.
    mask = str(rng.choice(["none", "right", "left", "interior"]))
    inputs = draw(encoder.inputs, {"B": 3, **sizes}, mask=mask, seed=seed)
    inputs |= draw(own, {"B": 3, "T": time}, seed=seed + 1)
    ordered = [inputs[port.name] for port in forms["model"].inputs]
    whole = keras.tree.flatten(model(ordered, training=False))
    handed = run_half(artifact, "encoder", {p.name: inputs[p.name] for p in encoder.inputs})
    states = {
        s.input: handed[s.start] if s.start else np.zeros((3, *s.shape[1:]), s.dtype)
        for s in decoder.states
    }
    fixed = {name: handed[name] for name in decoder.fixed}
    pieces, at = [], 0
    for length in random_lengths(time, rng):
        chunk = {port.name: inputs[port.name][:, at : at + length] for port in own}
        pieces.append(run_half(artifact, "decoder", {**chunk, **fixed, **states}))
        states = {s.input: pieces[-1][s.output] for s in decoder.states}
        at += length
    for port, expected in zip(decoder.outputs, whole, strict=True):
        found = [piece[port.name] for piece in pieces]
        received = np.concatenate(found, axis=1) if "T" in port.shape else found[-1]
        expected = np.asarray(expected)
        assert received.shape == expected.shape, (port.name, received.shape, expected.shape)
        bound = TOLERANCES["cpu"] * max(1.0, float(np.abs(expected).max()))
        error = float(np.abs(received - expected).max())
        seen(error / bound)
        assert error <= bound, (port.name, mask, error, bound)


def run_half(artifact: Any, form: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """One half on onnxruntime: names to arrays."""
    session = open_session(artifact.forms[form], "cpu")
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))
