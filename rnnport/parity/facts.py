"""What a parity report holds beside its checks: accuracy, histograms, what a runtime lacks."""

from __future__ import annotations

import msgspec

from rnnport.spec import Lack

__all__ = ["Accuracy", "FormFacts", "Histogram", "Lack"]


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """One output of one run against a float64 run, rnnport and TensorFlow side by side.

    Errors are max |y - truth| over max(1, the largest magnitude of the truth).

    Attributes:
        case: the run, e.g. "plain, B=4 T=23".
        output: the output port.
        truth: where the float64 run comes from, e.g. "TensorFlow in float64".
        error: rnnport's.
        tensorflow: TensorFlow's own, in float32.
        ratio: error / tensorflow, both at least half a unit in the last place of float32.
        steps: rnnport's error at every time step; empty where the output has no time axis.
        tensorflow_steps: TensorFlow's.
    """

    case: str
    output: str
    truth: str
    error: float
    tensorflow: float
    ratio: float
    steps: list[float] = []
    tensorflow_steps: list[float] = []


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How large the differences from TensorFlow are, over all elements of an output's golden runs.

    Attributes:
        output: the output port.
        exact: elements that are equal, bit for bit.
        counts: decade of |received - expected| / max(1, largest expected magnitude), floored,
            to number of elements: {-8: 120} are 120 between 1e-8 and 1e-7.
    """

    output: str
    exact: int
    counts: dict[int, int]


class FormFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One graph of the artifact: its file, size in bytes with external data, nodes by op type."""

    file: str
    size: int
    op_counts: dict[str, int]
