"""Lowering for OpenVINO: what its operators do not do goes to Scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rnnport.graph.lower import TARGETS
from rnnport.graph.obstacles import like_directions, obstacle
from rnnport.recurrent import Activation, CellKind, RecurrentSpec
from rnnport.runtime.session import open_session
from tests.backends import needs
from tests.graph import numpy_cells
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import assert_like_numpy, draw, one_layer
from tests.graph.test_pair import _both, _check, _specs

HARD = Activation("HardSigmoid", 0.2, 0.5)
OTHERS: list[tuple[CellKind, dict[str, Any], str]] = [
    ("LSTM", {"recurrent_activation": HARD}, "HardSigmoid"),
    ("LSTM", {"activation": "Softsign"}, "Softsign"),
    ("GRU", {"recurrent_activation": HARD, "reset_after": True}, "HardSigmoid"),
    ("GRU", {"activation": Activation("Elu", 1.0, label="elu")}, "elu"),
    ("SimpleRNN", {"activation": Activation("LeakyRelu", 0.3)}, "LeakyRelu"),
]


def test_the_targets_are_those_of_the_public_interface() -> None:
    import rnnport

    assert rnnport._TARGETS == TARGETS == ("portable", "cpu", "cuda", "openvino")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("kind", "options", "label"), OTHERS)
def test_activations_it_refuses(
    kind: CellKind, options: dict[str, Any], label: str, masked: bool
) -> None:
    one = cell(kind, seed=3, **options)
    spec = RecurrentSpec("layer", kind, (one,), has_mask=masked, has_state=True)
    ready = one_layer(spec, "openvino")
    assert ready.ops["Scan"] == 1
    assert not {"LSTM", "GRU", "RNN"} & set(ready.ops)
    reason = f"OpenVINO's {kind} does not take activation {label}"
    assert [(r.lowering, r.reason) for r in ready.reports] == [("Scan", reason)]
    for batch, time in ((3, 7), (1, 1)):
        assert_like_numpy(spec, ready, draw(spec, batch, time, seed=time))
    for target in ("portable", "cuda"):
        assert obstacle(one, target) == ""
        assert one_layer(spec, target).ops["Scan"] == 0


@pytest.mark.parametrize("name", ["Sigmoid", "Tanh", "Relu"])
def test_activations_it_takes_stay_fused(name: str) -> None:
    one = cell("LSTM", activation=name)
    spec = RecurrentSpec("layer", "LSTM", (one,), has_mask=True)
    ready = one_layer(spec, "openvino")
    assert (ready.ops["LSTM"], ready.ops["Scan"]) == (1, 0)
    assert "sequence_lens" not in str(ready.proto.graph.node)
    (node,) = (n for n in ready.proto.graph.node if n.op_type == "LSTM")
    assert node.input[4:5] in ([], [""])


def test_peepholes_which_it_ignores() -> None:
    peephole = np.random.default_rng(5).standard_normal(12).astype(np.float32)
    one = replace(cell("LSTM", seed=2), peephole=peephole)
    assert obstacle(one, "portable") == ""
    spec = RecurrentSpec("layer", "LSTM", (one,), has_state=True)
    assert one_layer(spec).ops["LSTM"] == 1
    ready, fused = one_layer(spec, "openvino"), one_layer(spec)
    assert (ready.ops["LSTM"], ready.ops["Scan"]) == (0, 1)
    assert ready.reports[0].reason == "OpenVINO's LSTM ignores peepholes"
    given = draw(spec, 3, 6)
    for mine, other in zip(ready.run(**given), fused.run(**given), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_directions_that_differ_are_two_operators(masked: bool) -> None:
    cells = [cell("GRU", seed=1), cell("GRU", activation="Relu", seed=2)]
    specs = _specs(cells, masked=masked)
    assert _both(specs, "portable").ops["GRU"] == 1
    graph = _both(specs, "openvino")
    assert graph.ops["GRU"] == 2
    _check(specs, graph)
    assert like_directions(cells[0], cells[0], "openvino")
    alike = _specs([cells[0], cell("GRU", seed=2)], masked=masked)
    assert _both(alike, "openvino").ops["GRU"] == 1


@needs("openvino")
@pytest.mark.parametrize(("kind", "options", "label"), OTHERS)
def test_what_is_emitted_for_it_is_right_there(
    kind: CellKind, options: dict[str, Any], label: str, tmp_path: Path
) -> None:
    one = cell(kind, seed=3, **options)
    spec = RecurrentSpec("layer", kind, (one,), has_mask=True, has_state=True, go_backwards=True)
    onnx.save(one_layer(spec, "openvino").proto, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx", "openvino")
    given = draw(spec, 4, 6)
    given["mask"][0] = False
    states = [v for k, v in given.items() if k.startswith("s")]
    outputs, last, finals = numpy_cells.run(spec, given["x"], states, given["mask"])
    for expected, found in zip([outputs, last, *finals], session.run(None, given), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
