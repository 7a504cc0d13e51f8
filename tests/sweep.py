"""Random recurrent models: what the Hypothesis sweep of the suite and scripts/fuzz do with each.

sweep_draw draws one as plain data, sweep_build makes the Keras model. `check` exports it and
compares it with TensorFlow at sizes and with masks that export did not use.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import rnnport
from rnnport.parity.streaming import open_valid, random_lengths, starts_given
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import MASK_KINDS, draw
from tests.sweep_build import build
from tests.sweep_draw import OTHER, SATURATING, UNFUSED, Stack


def scan_expected(stack: Stack) -> bool:
    """Whether the lowering rules give any layer of the model to Scan."""
    masked = stack.front in ("Masking", "mask_zero", "mask input")
    for layer in stack.layers:
        if layer.activation in UNFUSED or layer.kind in OTHER:
            return True
        if stack.target == "cpu" and layer.kind == "SimpleRNN":
            return True
        if masked and layer.recurrent_activation not in SATURATING:
            return True
    return False


def streams_expected(stack: Stack) -> bool:
    """Whether nothing in the model looks ahead, and its length is open."""
    handed = False
    for layer in stack.layers:
        if layer.wrapper == "TimeDistributed":
            continue
        if layer.wrapper or layer.go_backwards:
            return False
        takes_states = layer.kind in ("LSTM", "GRU", "SimpleRNN")
        if layer.initial_state == "from previous" and handed and takes_states:
            return False
        # Keras's convolutional layers are asked for no states.
        handed = handed or layer.kind != "ConvLSTM"
    return True


def check(
    stack: Stack,
    folder: Path,
    seen: Callable[[float], None] = lambda error: None,
    streamed: Callable[[float], None] = lambda error: None,
) -> None:
    """Export, compare at fresh sizes and masks, stream, and look at the graph.

    Args:
        stack: the model.
        folder: receives the artifact.
        seen: told the worst error relative to its bound.
        streamed: told by how much each output of a chunk or a step differs from the whole run's,
            relative to the bound.
    """
    model = build(stack)
    artifact = rnnport.export(model, folder, overwrite=True, target=stack.target)
    # sweep_weights draws no model so ill-conditioned that rounding would excuse a difference.
    assert not artifact.manifest.conditioning, artifact.manifest.conditioning
    ops = artifact.manifest.forms["model"].op_counts
    assert not {"Loop", "If"} & set(ops), ops
    assert scan_expected(stack) or "Scan" not in ops, (ops, artifact.manifest.layers)
    streamable = artifact.manifest.streamable
    # An unrolled layer fixes the length only where others hold it to what was traced.
    if not any(layer.unroll for layer in stack.layers):
        assert streamable.ok == streams_expected(stack), streamable
    if streamable.ok:
        check_stepper(folder, stack.seed, streamed)
    report = rnnport.verify(folder, model=model)
    for row in (*artifact.manifest.parity, *report.checks):
        if row.error is not None and row.bound:
            seen(row.error / row.bound)
    failed = [row for row in report.checks if not row.passed]
    assert not failed, failed[:3]


def check_stepper(folder: Path, seed: int, streamed: Callable[[float], None]) -> None:
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
