"""scripts/mutate: verify notices every planted fault, and names it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

import rnnport
from rnnport.artifact.load import Artifact

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PLANTED = {"masked bidirectional": 10, "stacked stateful": 18, "encoder-decoder with attention": 23}


@pytest.fixture(scope="module")
def mutate() -> Iterator[ModuleType]:
    """Imported from scripts/, as its files do from each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("mutate")


@pytest.fixture(scope="module")
def artifacts(mutate: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("mutation")
    return {subject: mutate.make(subject, folder / subject)[1] for subject in mutate.SUBJECTS}


@pytest.mark.parametrize("subject", PLANTED)
def test_every_fault_is_caught_by_the_right_check(
    subject: str, mutate: Any, artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    rows = list(mutate.mutants({subject: artifacts[subject]}, tmp_path))
    assert [row for row in rows if not row.caught] == []
    assert len(rows) == PLANTED[subject]


def test_all_twelve_are_planted_somewhere(mutate: Any) -> None:
    assert len({fault.name for fault in mutate.FAULTS}) == 12


@pytest.mark.parametrize("subject", PLANTED)
def test_clean_artifacts_pass(subject: str, artifacts: dict[str, Artifact]) -> None:
    for seed in (0, 51, 52):
        report = rnnport.verify(artifacts[subject], seed=seed)
        assert report.passed, report.failures


@pytest.mark.parametrize("layer", ["second", "third"])
def test_the_layer_is_named(
    layer: str, mutate: Any, artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    """One of three layers is spoilt, and that one is blamed."""
    fault = mutate.Fault("swapped gates", _swapping(layer), ("model",), {"model": ("shapes",)})
    spoilt = mutate.plant(artifacts["stacked stateful"], "model", fault, tmp_path / "spoilt")
    row = mutate.judge("stacked stateful", "model", fault, rnnport.verify(spoilt))
    assert row.start.startswith(f"layer {layer!r}, step ")


def _swapping(layer: str) -> Any:
    """The first two gates of one layer's input weights exchanged."""

    def plant(where: Any) -> bool:
        cells = [n for n in where.graph.node if n.op_type in ("LSTM", "GRU")]
        (node,) = [n for n in cells if n.output[0].startswith(f"{layer}/")]
        weight = next(w for w in where.graph.initializer if w.name == node.input[1])
        gates = np.split(numpy_helper.to_array(weight), 4 if node.op_type == "LSTM" else 3, axis=1)
        swapped = np.concatenate([gates[1], gates[0], *gates[2:]], axis=1)
        weight.CopyFrom(numpy_helper.from_array(swapped, weight.name))
        return True

    return plant
