"""Standard cells in plain NumPy, float64: the arbiter for graphs built without Keras.

Formulas: Keras LSTMCell, GRUCell, SimpleRNNCell; masks as keras.ops.rnn applies them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.recurrent import GATES, Activation, CellKind, CellSpec, RecurrentSpec

Array = NDArray[Any]

_NAMED: dict[str, Callable[[Array, float, float], Array]] = {
    "Tanh": lambda x, a, b: np.tanh(x),
    "Sigmoid": lambda x, a, b: 0.5 + 0.5 * np.tanh(0.5 * x),
    "Relu": lambda x, a, b: np.maximum(x, 0.0),
    "Affine": lambda x, a, b: a * x + b,
    "HardSigmoid": lambda x, a, b: np.clip(a * x + b, 0.0, 1.0),
    "ScaledTanh": lambda x, a, b: a * np.tanh(b * x),
    "Softsign": lambda x, a, b: x / (1.0 + np.abs(x)),
    "Softplus": lambda x, a, b: np.logaddexp(x, 0.0),
    "Elu": lambda x, a, b: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0.0))),
    "LeakyRelu": lambda x, a, b: np.where(x >= 0, x, a * x),
    "ThresholdedRelu": lambda x, a, b: np.where(x > a, x, 0.0),
}
_CUSTOM: dict[str, Callable[[Array], Array]] = {
    "swish": lambda x: x / (1.0 + np.exp(-x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


def activate(activation: Activation, x: Array) -> Array:
    """The activation's value."""
    if activation.op == "Custom":
        return _CUSTOM[activation.label](x)
    return _NAMED[activation.op](x, activation.alpha or 0.0, activation.beta or 0.0)


def step(cell: CellSpec, x: Array, states: Sequence[Array]) -> list[Array]:
    """New states (B, U) from x (B, F)."""
    gate = lambda z: activate(cell.recurrent_activation, z)  # noqa: E731
    act = lambda z: activate(cell.activation, z)  # noqa: E731
    wide = [w.astype(np.float64) for w in (cell.kernel, cell.recurrent_kernel)]
    kernel, recurrent = wide
    z = x @ kernel + cell.bias
    h = states[0]
    if cell.kind == "SimpleRNN":
        return [act(z + h @ recurrent + cell.recurrent_bias)]
    if cell.kind == "LSTM":
        i, f, c, o = np.split(z + h @ recurrent + cell.recurrent_bias, 4, axis=-1)
        carried = gate(f) * states[1] + gate(i) * act(c)
        return [gate(o) * act(carried), carried]
    xz, xr, xh = np.split(z, 3, axis=-1)
    rz, rr, rh = np.split(recurrent, 3, axis=-1)
    bz, br, bh = np.split(cell.recurrent_bias, 3, axis=-1)
    update, reset = gate(xz + h @ rz + bz), gate(xr + h @ rr + br)
    share = reset * (h @ rh + bh) if cell.reset_after else (reset * h) @ rh + bh
    return [update * h + (1.0 - update) * act(xh + share)]


def run(
    spec: RecurrentSpec,
    x: Array,
    states: Sequence[Array] = (),
    mask: NDArray[np.bool_] | None = None,
) -> tuple[Array, Array, list[Array]]:
    """Outputs (B, T, U), the last output (B, U), and every final state (B, U)."""
    batch, time = x.shape[:2]
    mask = np.ones((batch, time), bool) if mask is None else mask
    x = np.where(mask[:, :, None], x, 0.0).astype(np.float64)
    shapes = [(batch, cell.units) for cell in spec.cells for _ in cell.states]
    carried = [s.astype(np.float64) for s in states] or [np.zeros(s) for s in shapes]
    y = np.zeros((batch, spec.cells[-1].units))
    outputs = []
    for t in reversed(range(time)) if spec.go_backwards else range(time):
        valid = mask[:, t, None]
        stepped = _chain(spec.cells, x[:, t], carried)
        carried = [np.where(valid, n, o) for n, o in zip(stepped, carried, strict=True)]
        new = stepped[-len(spec.cells[-1].states)]
        y = np.where(valid, new, 0.0 if spec.zero_output_for_mask else y)
        outputs.append(y)
    if spec.go_backwards and spec.input_order:
        return np.stack(outputs[::-1], axis=1), y, carried
    return np.stack(outputs, axis=1), y, carried


def _chain(cells: Sequence[CellSpec], x: Array, states: Sequence[Array]) -> list[Array]:
    """One step of stacked cells."""
    new: list[Array] = []
    for cell in cells:
        count = len(cell.states)
        new.extend(step(cell, x, states[len(new) : len(new) + count]))
        x = new[-count]
    return new


def cell(
    kind: CellKind,
    *,
    features: int = 3,
    units: int = 4,
    activation: Activation | str = "Tanh",
    recurrent_activation: Activation | str = "Sigmoid",
    reset_after: bool = False,
    seed: int = 0,
    name: str = "",
) -> CellSpec:
    """A cell with random weights; only a GRU with reset_after has a recurrent bias."""
    rng = np.random.default_rng(seed)
    width = GATES[kind] * units

    def normal(*shape: int) -> NDArray[np.float32]:
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    return CellSpec(
        name=name or f"{kind}_{seed}",
        kind=kind,
        kernel=normal(features, width),
        recurrent_kernel=normal(units, width),
        bias=normal(width),
        recurrent_bias=normal(width) if reset_after else np.zeros(width, np.float32),
        activation=_given(activation),
        recurrent_activation=_given(recurrent_activation),
        reset_after=reset_after,
    )


def _given(activation: Activation | str) -> Activation:
    return activation if isinstance(activation, Activation) else Activation(activation)
