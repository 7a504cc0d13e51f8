"""The streaming law through the public API; scripts of failures carry this function as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import rnnport
from rnnport.parity.streaming import open_valid, random_lengths, starts_given
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import MASK_KINDS, draw


def check_stepper(
    folder: Path, seed: int, streamed: Callable[[float], None] = lambda ratio: None
) -> None:
    """The streaming law through the public API: whole, random chunks, single steps."""
    runner = rnnport.load(folder, provider="cpu")
    model, form = runner.manifest.forms["model"], runner.manifest.forms["stream"]
    rng = np.random.default_rng(seed)
    batch, time = 2, int(rng.integers(5, 24))
    starts = {state.start for state in form.states} - {""}
    mask = str(rng.choice(["none", "right"] if starts else MASK_KINDS))
    # A mask nobody reads varies alone in the whole form; in a stream all advance together.
    ports = [*form.inputs, *(port for port in model.inputs if port.name in starts)]
    inputs = draw(ports, {"B": batch, "T": time}, mask=mask, seed=seed)
    if starts_given(form):
        open_valid(form, inputs)
    held = {name: inputs[name] for name in (*form.fixed, *starts)}
    moving = {p.name: inputs[p.name] for p in form.inputs if p.name not in form.fixed}
    lengths = random_lengths(time, rng)
    chunked = runner.stepper(batch_size=batch, fixed=held)
    single = runner.stepper(batch_size=batch, fixed=held)
    at = 0
    for length in lengths:
        end = at + length
        chunk = chunked.feed(**{n: x[:, at:end] for n, x in moving.items()})
        steps = [single.step(**{n: x[:, t] for n, x in moving.items()}) for t in range(at, end)]
        so_far = {n: x[:, :end] for n, x in moving.items()}
        expected = keras.tree.flatten(runner.run(**{**inputs, **so_far}))
        flat = [keras.tree.flatten(step) for step in steps]
        for number, (port, whole) in enumerate(zip(form.outputs, expected, strict=True)):
            stepped = flat[-1][number]
            if "T" in port.shape:
                whole = whole[:, at:]
                stepped = np.stack([step[number] for step in flat], axis=1)
            bound = TOLERANCES["stream"] * max(1.0, float(np.abs(whole).max()))
            for received in (keras.tree.flatten(chunk)[number], stepped):
                assert received.shape == whole.shape
                error = float(np.abs(received - whole).max())
                streamed(error / bound)
                assert error <= bound, (port.name, at, length)
        at = end
    for name, value in chunked.state.items():
        assert np.abs(value - single.state[name]).max() <= 1e-5 * max(1.0, np.abs(value).max())
