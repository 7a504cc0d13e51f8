"""LSTM, GRU and RNN for ONNX's ReferenceEvaluator, as the specification says.

The stock ones ignore lengths, activations and clip (onnx 1.23).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from rnnport.runtime.backends import reference_cells
from rnnport.runtime.backends.reference_activations import functions
from rnnport.runtime.backends.reference_cells import Array, Direction, Options
from rnnport.runtime.backends.reference_loops import Loop, Scan

__all__ = ["OPERATORS"]

_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


class _Recurrent(OpRun):
    """What LSTM, GRU and RNN share: directions, lengths, initial states, layout."""

    def _recur(self, states: int, inputs: tuple[Array | None, ...], given: dict[str, Any]) -> Any:
        padded: list[Any] = [*inputs, *[None] * (8 - len(inputs))]
        x, w, r, b, lengths, *initial, peepholes = padded
        swapped = bool(given.get("layout"))
        if swapped:
            x = np.swapaxes(x, 0, 1)
            initial = [None if s is None else np.swapaxes(s, 0, 1) for s in initial]
        time, batch = x.shape[:2]
        hidden = r.shape[2]
        lengths = _lengths(lengths, time, batch)
        ys, ends = [], []
        for number, one in enumerate(self._directions(w, r, b, peepholes, given)):
            start = [
                np.zeros((batch, hidden), x.dtype) if s is None else s[number]
                for s in initial[:states]
            ]
            run = getattr(reference_cells, self.onnx_node.op_type.lower())
            y, final = run(x, one, start, lengths, _options(given))
            ys.append(y)
            ends.append(final)
        outputs = [np.stack(ys, axis=1), *(np.stack(e) for e in zip(*ends, strict=True))]
        if swapped:
            outputs = [np.moveaxis(outputs[0], 2, 0), *(np.swapaxes(e, 0, 1) for e in outputs[1:])]
        return tuple(outputs)

    def _directions(
        self, w: Array, r: Array, b: Array | None, p: Array | None, given: dict[str, Any]
    ) -> list[Direction]:
        kind = self.onnx_node.op_type
        backwards = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
        ways = backwards[given.get("direction") or "forward"]
        # The schema's default for RNN is two names, whatever the direction.
        own = any(a.name == "activations" for a in self.onnx_node.attribute)
        names = given["activations"] if own else _DEFAULTS[kind] * len(ways)
        used = functions(names, given.get("activation_alpha"), given.get("activation_beta"))
        each = len(_DEFAULTS[kind])
        if len(used) != each * len(ways) or len(w) != len(ways):
            raise ValueError(f"{kind} of {len(ways)} directions has {names} and {len(w)} weights")
        width = _GATES[kind] * r.shape[2]
        bias = np.zeros((len(ways), 2 * width), w.dtype) if b is None else b
        return [
            Direction(
                w[n],
                r[n],
                bias[n, :width],
                bias[n, width:],
                None if p is None else p[n],
                used[each * n : each * (n + 1)],
                way,
            )
            for n, way in enumerate(ways)
        ]


def _lengths(lengths: Array | None, time: int, batch: int) -> Array:
    if lengths is None:
        return np.full(batch, time)
    if lengths.shape != (batch,) or np.any(lengths < 0) or np.any(lengths > time):
        raise ValueError(f"sequence_lens {lengths.tolist()} for {batch} rows of {time} steps")
    return lengths


def _options(given: dict[str, Any]) -> Options:
    return Options(
        given.get("clip") or None,
        bool(given.get("input_forget")),
        bool(given.get("linear_before_reset")),
    )


class LSTM(_Recurrent):
    """LSTM-14."""

    def _run(self, *inputs: Array | None, **given: Any) -> Any:
        return self._recur(2, inputs, given)


class GRU(_Recurrent):
    """GRU-14."""

    def _run(self, *inputs: Array | None, **given: Any) -> Any:
        return self._recur(1, inputs, given)


class RNN(_Recurrent):
    """RNN-14."""

    def _run(self, *inputs: Array | None, **given: Any) -> Any:
        return self._recur(1, inputs, given)


OPERATORS = [LSTM, GRU, RNN, Scan, Loop]
