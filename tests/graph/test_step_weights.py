"""Sizes of what every step multiplies with."""

from __future__ import annotations

import pytest

from rnnport.graph.lower import lower
from rnnport.graph.skeleton import Skeleton
from rnnport.graph.step_weights import step_weights
from rnnport.recurrent import CellKind, RecurrentSpec
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import model, recurrent, value


def _weights(kind: CellKind, target: str) -> dict[str, list[int]]:
    specs: dict[str, RecurrentSpec] = {}
    x = value("x", ["B", "T", 3])
    node = recurrent(specs, RecurrentSpec("layer", kind, (cell(kind),)), [x])
    skeleton = Skeleton(model([x], [node], node.outputs[:1]), specs)
    lower(skeleton, target)
    return step_weights(skeleton.model)


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("LSTM", "portable", {"LSTM": [4 * 4 * (3 + 4)]}),
        ("GRU", "cpu", {"GRU": [3 * 4 * (3 + 4)]}),
        ("SimpleRNN", "portable", {"RNN": [4 * (3 + 4)]}),
        ("SimpleRNN", "cpu", {"Scan": [4 * 4]}),  # the input product stands in front of it
    ],
)
def test_each_operator(kind: CellKind, target: str, expected: dict[str, list[int]]) -> None:
    assert _weights(kind, target) == expected
