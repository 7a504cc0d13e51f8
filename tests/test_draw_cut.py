"""scripts/draw_cut.py draws what stands in the graphs and in the manifest, and nothing else."""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import onnx
import pytest

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.errors import UsageError
from tests.test_handoff_forms import attending, classifier, tutorial

Script = Callable[[str], ModuleType]

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PICTURE = SCRIPTS.parent / "docs" / "pictures" / "g2p-cut.svg"
HALVES = ("encoder", "decoder")
TAG = "{http://www.w3.org/2000/svg}"
MODELS = {"LSTM": tutorial(), "attention": attending("Attention", mask=True)}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Imports from scripts/, as its files do from each other."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Artifact]]:
    folder, made = tmp_path_factory.mktemp("cut"), {}
    for label, build in MODELS.items():
        model = build()
        made[label] = model, rnnport.export(model, folder / label)
    return made


def texts(svg: str, kind: str) -> list[list[str]]:
    """What every group of a kind says, line by line."""
    groups = [g for g in ET.fromstring(svg).iter(f"{TAG}g") if g.get("class") == kind]
    return [[str(text.text) for text in group.iter(f"{TAG}text")] for group in groups]


def crossing(artifact: Artifact, kind: str) -> list[list[str]]:
    decoder = artifact.manifest.forms["decoder"]
    starts = {state.start for state in decoder.states}
    return [
        [port.name, f"{kind} ({', '.join(map(str, port.shape))})"]
        for port in artifact.manifest.forms["encoder"].outputs
        if (port.name in starts) == (kind == "state")
    ]


@pytest.mark.parametrize("label", MODELS)
def test_the_picture_is_of_this_artifact(
    label: str, script: Script, artifacts: dict[str, tuple[Any, Artifact]]
) -> None:
    model, artifact = artifacts[label]
    svg = script("draw_cut").draw(artifact.path)
    for kind in ("state", "context"):
        assert sorted(texts(svg, kind)) == sorted(crossing(artifact, kind))
    encoder, decoder = (artifact.manifest.forms[name] for name in HALVES)
    loops = [[state.input, state.output] for state in decoder.states]
    assert texts(svg, "loop") == loops
    given = [p for p in decoder.inputs if p.name not in decoder.fixed]
    named = [port.name for port in (*encoder.inputs, *given, *decoder.outputs)]
    assert [lines[0] for lines in texts(svg, "port")] == named
    boxes = {lines[0]: lines[1] for lines in texts(svg, "box")}
    for layer in artifact.manifest.layers:
        assert boxes[layer.name] == f"{layer.kind}, {layer.units[0]} units"
    kept = (keras.layers.Embedding, keras.layers.Dense, keras.layers.Attention)
    assert {layer.name for layer in model.layers if isinstance(layer, kept)} <= set(boxes)
    dense = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    kernel = " × ".join(map(str, dense.kernel.shape))
    assert boxes[dense.name].split(" · ")[0] == f"MatMul {kernel}"


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("half", HALVES)
def test_every_node_is_in_one_box(
    label: str, half: str, script: Script, artifacts: dict[str, tuple[Any, Artifact]]
) -> None:
    artifact = artifacts[label][1]
    found = script("cut_graph").read_half(artifact, half)
    nodes = [node.op_type for node in onnx.load(artifact.forms[half]).graph.node]
    assert sorted(op for box in found.boxes.values() for op in box.ops) == sorted(nodes)
    counts: dict[str, int] = artifact.manifest.forms[half].op_counts
    assert len(nodes) == sum(counts.values())


def test_pictures_differ(script: Script, artifacts: dict[str, tuple[Any, Artifact]]) -> None:
    one, other = (script("draw_cut").draw(artifact.path) for _, artifact in artifacts.values())
    assert not texts(one, "context")
    assert texts(other, "context")
    assert "att" in {lines[0] for lines in texts(other, "box")}
    assert "att" not in {lines[0] for lines in texts(one, "box")}
    assert "<script" not in one + other
    assert "href" not in one + other


def test_boxes_do_not_overlap(script: Script, artifacts: dict[str, tuple[Any, Artifact]]) -> None:
    layout, read = script("cut_layout").lay_out, script("cut_graph").read_half
    for _, artifact in artifacts.values():
        for half in HALVES:
            places = list(layout(read(artifact, half), 20, 300, 100).places.values())
            for i, a in enumerate(places):
                assert a.x >= 19.9
                assert a.right <= 300.1
                for b in places[:i]:
                    beside = a.right <= b.x or b.right <= a.x
                    assert beside or a.bottom <= b.y or b.bottom <= a.y


def test_a_model_without_a_cut_is_refused(script: Script, tmp_path: Path) -> None:
    rnnport.export(classifier(), tmp_path / "out")
    with pytest.raises(UsageError, match=r"expected: encoder\.onnx and decoder.onnx"):
        script("draw_cut").draw(tmp_path / "out")


def test_the_committed_picture() -> None:
    svg = PICTURE.read_text(encoding="utf-8")
    assert texts(svg, "state") == [["decoder_h_start", "state (B, 256)"]]
    assert [lines[0] for lines in texts(svg, "port")] == ["letters", "phonemes", "logits"]
