"""ONNX's LSTM, GRU and RNN in plain NumPy, in the dtype of their inputs: slow and independent.

Formulas: the ONNX operator specifications of LSTM-14, GRU-14 and RNN-14, all attributes included.
A row ends after its own length: its outputs are zeros from there on, in either direction, and its
state stays as it is. alpha and beta are consumed in order, one for each activation that takes one,
and clip bounds the gates but not c on its way out, both as onnxruntime does.
Axis letters: T time, B batch, F features, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.backends.reference_activations import Function

__all__ = ["Direction", "Options", "gru", "lstm", "rnn"]

Array = NDArray[Any]
Step = Callable[[Array, Sequence[Array]], list[Array]]
"""From the input's share of the gates (B, G·H) and the old states to the new ones (B, H)."""


@dataclass(frozen=True)
class Options:
    """What all directions of an operator share.

    Attributes:
        clip: bound on what enters an activation; None for none.
        input_forget: LSTM: the forget gate is one minus the input gate.
        linear_before_reset: GRU: the reset gate acts after the state product.
    """

    clip: float | None = None
    input_forget: bool = False
    linear_before_reset: bool = False

    def bound(self, x: Array) -> Array:
        """Clip what enters an activation."""
        return x if self.clip is None else np.clip(x, -self.clip, self.clip)


@dataclass(frozen=True)
class Direction:
    """One direction's weights, in ONNX's gate order.

    Attributes:
        w: (G·H, F).
        r: (G·H, H).
        wb: (G·H,).
        rb: (G·H,).
        peepholes: (3·H,), gates i o f; None for none.
        functions: the activations, in the operator's order.
        backwards: from the last step to the first.
    """

    w: Array
    r: Array
    wb: Array
    rb: Array
    peepholes: Array | None
    functions: Sequence[Function]
    backwards: bool


def rnn(x: Array, one: Direction, states: Sequence[Array], lengths: Array, options: Options) -> Any:
    """As lstm; H = f(X·Wᵀ + H·Rᵀ + Wb + Rb)."""
    (f,) = one.functions

    def step(z: Array, old: Sequence[Array]) -> list[Array]:
        return [f(options.bound(z + old[0] @ one.r.T))]

    return _walk(x @ one.w.T + one.wb + one.rb, states, lengths, step, one.backwards)


def gru(x: Array, one: Direction, states: Sequence[Array], lengths: Array, options: Options) -> Any:
    """As lstm; gates z r h."""
    f, g = one.functions
    hidden = one.r.shape[1]
    gates, candidate = one.r[: 2 * hidden], one.r[2 * hidden :]
    gate_bias, candidate_bias = one.rb[: 2 * hidden], one.rb[2 * hidden :]

    def step(x_gates: Array, old: Sequence[Array]) -> list[Array]:
        (h,) = old
        xz, xr, xh = np.split(x_gates, 3, axis=-1)
        hz, hr = np.split(h @ gates.T + gate_bias, 2, axis=-1)
        z, r = f(options.bound(xz + hz)), f(options.bound(xr + hr))
        if options.linear_before_reset:
            share = r * (h @ candidate.T + candidate_bias)
        else:
            share = (r * h) @ candidate.T + candidate_bias
        return [(1 - z) * g(options.bound(xh + share)) + z * h]

    return _walk(x @ one.w.T + one.wb, states, lengths, step, one.backwards)


def lstm(
    x: Array, one: Direction, states: Sequence[Array], lengths: Array, options: Options
) -> tuple[Array, list[Array]]:
    """Run one direction.

    Args:
        x: (T, B, F).
        one: its weights; gates i o f c.
        states: (B, H) each.
        lengths: steps of each row, (B,).
        options: of the operator.

    Returns:
        Outputs (T, B, H), in the order of the input, and the final states.
    """
    f, g, h = one.functions

    def step(z: Array, old: Sequence[Array]) -> list[Array]:
        zi, zo, zf, zc = np.split(z + old[0] @ one.r.T, 4, axis=-1)
        c = old[1]
        if one.peepholes is not None:
            pi, po, pf = np.split(one.peepholes, 3)
            zi, zf = zi + pi * c, zf + pf * c
        i = f(options.bound(zi))
        forget = 1 - i if options.input_forget else f(options.bound(zf))
        c = forget * c + i * g(options.bound(zc))
        if one.peepholes is not None:
            zo = zo + po * c
        return [f(options.bound(zo)) * h(c), c]

    return _walk(x @ one.w.T + one.wb + one.rb, states, lengths, step, one.backwards)


def _walk(
    z: Array, states: Sequence[Array], lengths: Array, step: Step, backwards: bool
) -> tuple[Array, list[Array]]:
    """Step through time; a row takes part in the steps below its length."""
    time, batch = z.shape[:2]
    old = list(states)
    y = np.zeros((time, batch, old[0].shape[-1]), z.dtype)
    for t in reversed(range(time)) if backwards else range(time):
        active = (t < lengths)[:, None]
        new = step(z[t], old)
        y[t] = np.where(active, new[0], 0)
        old = [np.where(active, n, o) for n, o in zip(new, old, strict=True)]
    return y, old
