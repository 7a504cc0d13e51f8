"""Cells of a user's own: equal to Keras at untraced sizes and under masks, one Scan, streamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.errors import UnsupportedModel
from tests.tiny_cells import (
    AttentiveDecoder,
    Counting,
    Dropping,
    Grid,
    Growing,
    Leaking,
    Minimal,
    Nested,
    Noisy,
    NormalisedLSTMCell,
    Residual,
    TwoStates,
    Writing,
)
from tests.tiny_keras import assert_same, lively, normal

L = keras.layers
FEATURES = 5

CELLS: dict[str, Callable[[], Any]] = {
    "Minimal": lambda: Minimal(4),
    "two states": lambda: TwoStates(4, 2),
    "a state of two axes": Grid,
    "a standard cell inside": lambda: Residual(FEATURES),
    "a subclass of a standard cell": lambda: NormalisedLSTMCell(4),
    "dropout": lambda: Dropping(4),
    "a layer inside": Nested,
}


def over(cell: Any, *, masked: bool = False, **options: Any) -> Any:
    """The cell over a whole sequence."""
    x = keras.Input((None, FEATURES), name="x")
    inner = L.Masking(0.0)(x) if masked else x
    return lively(keras.Model(x, L.RNN(cell, name="rnn", **options)(inner)), seed=3)


def proven(model: Any, folder: Path, scans: int = 1, **options: Any) -> Artifact:
    """Exported, equal to the live model at fresh sizes and masks, no Loop."""
    artifact = rnnport.export(model, folder / "out", **options)
    for form in artifact.manifest.forms.values():
        assert not {"Loop", "If"} & set(form.op_counts), form.op_counts
    assert artifact.manifest.forms["model"].op_counts.get("Scan", 0) == scans
    report = rnnport.verify(artifact, model=model)
    assert report.passed, report.failures
    assert [layer.lowering for layer in artifact.manifest.layers].count("tf2onnx") == 0
    return artifact


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("label", CELLS)
def test_equal_and_streamed(label: str, masked: bool, tmp_path: Path) -> None:
    model = over(CELLS[label](), masked=masked, return_sequences=True, return_state=True)
    artifact = proven(model, tmp_path, scans=2 if label == "a layer inside" else 1)
    manifest = artifact.manifest
    assert manifest.streamable.ok, manifest.streamable
    assert [p.shape for p in manifest.forms["model"].inputs] == [["B", "T", FEATURES]]
    stream = [c for c in manifest.parity if c.name.startswith("stream")]
    assert stream
    assert all(c.passed for c in stream)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"go_backwards": True, "return_sequences": True},
        {"zero_output_for_mask": True, "return_sequences": True},
        {"zero_output_for_mask": True, "go_backwards": True},
        {"unroll": True, "return_sequences": True},
        {"unroll": True, "go_backwards": True, "zero_output_for_mask": True},
    ],
    ids=str,
)
def test_options_under_masks(options: dict[str, Any], tmp_path: Path) -> None:
    if options.get("unroll"):
        x = keras.Input((6, FEATURES), name="x")
        layer = L.RNN(TwoStates(4, 2), return_state=True, **options)
        model = lively(keras.Model(x, layer(L.Masking(0.0)(x))), seed=3)
    else:
        model = over(TwoStates(4, 2), masked=True, return_state=True, **options)
    proven(model, tmp_path)


def test_initial_states_that_are_given(tmp_path: Path) -> None:
    x, a, b = keras.Input((None, FEATURES)), keras.Input((4,)), keras.Input((2,))
    masked = L.Masking(0.0)(x)
    layer = L.RNN(TwoStates(4, 2), return_sequences=True, return_state=True)
    model = lively(keras.Model([x, a, b], layer(masked, initial_state=[a, b])))
    artifact = proven(model, tmp_path)
    starts = [state.start for state in artifact.manifest.forms["stream"].states]
    assert [s for s in starts if s] == [p.name for p in artifact.manifest.forms["model"].inputs[1:]]


@pytest.mark.parametrize("merge", ["concat", "sum", None])
def test_bidirectional(merge: Any, tmp_path: Path) -> None:
    x = keras.Input((None, FEATURES), name="x")
    layer = L.Bidirectional(L.RNN(TwoStates(4, 2), return_sequences=True), merge_mode=merge)
    artifact = proven(lively(keras.Model(x, layer(L.Masking(0.0)(x)))), tmp_path, scans=2)
    assert "reads the sequence from its end" in artifact.manifest.streamable.reason


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_standard_cells_of_a_stack_stay_fused(backwards: bool, tmp_path: Path) -> None:
    cells = [L.LSTMCell(4), Minimal(3), L.GRUCell(5), L.GRUCell(2)]
    model = over(
        cells, masked=True, go_backwards=backwards, return_sequences=True, return_state=True
    )
    artifact = proven(model, tmp_path)
    ops = artifact.manifest.forms["model"].op_counts
    assert (ops["LSTM"], ops["GRU"], ops["Scan"]) == (1, 2, 1)
    assert artifact.manifest.streamable.ok is not backwards
    kinds = {layer.kind for layer in artifact.manifest.layers}
    assert kinds == {"RNN(LSTMCell, Minimal, GRUCell, GRUCell)"}


def test_in_every_step_of_time_distributed(tmp_path: Path) -> None:
    x = keras.Input((None, 3, FEATURES), name="x")
    model = lively(keras.Model(x, L.TimeDistributed(L.RNN(Minimal(4)))(x)))
    artifact = proven(model, tmp_path)
    assert artifact.manifest.streamable.ok
    assert artifact.manifest.forms["stream"].states == []


def test_work_on_the_input_is_done_in_front_of_the_loop(tmp_path: Path) -> None:
    artifact = proven(over(Minimal(4)), tmp_path)
    (scan,) = [n for n in onnx.load(artifact.forms["model"]).graph.node if n.op_type == "Scan"]
    body = next(a.g for a in scan.attribute if a.name == "body")
    assert [n.op_type for n in body.node].count("MatMul") == 1
    assert artifact.manifest.forms["model"].op_counts["MatMul"] == 2
    (layer,) = artifact.manifest.layers
    assert "MatMul on the input alone done for all steps at once" in layer.reason


def test_weights_stand_in_the_file_once(tmp_path: Path) -> None:
    layer = L.RNN(TwoStates(40, 20), return_sequences=True)
    x = keras.Input((None, FEATURES))
    model = lively(keras.Model(x, [layer(x), layer(x * 2.0)]))
    artifact = proven(model, tmp_path, scans=2)
    weights = sum(w.numpy().nbytes for w in model.weights)
    assert artifact.forms["model"].stat().st_size < weights + 40_000


def test_stateful(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input(batch_shape=(2, None, FEATURES)), L.RNN(TwoStates(4, 2), stateful=True)]
    )
    stepper = rnnport.load(rnnport.export(lively(model), tmp_path / "out")).stepper(2)
    for number in range(3):
        piece = normal(2, 4 + number, FEATURES, seed=number)
        assert_same(model(piece), stepper.feed(piece))


def test_a_bare_cell(tmp_path: Path) -> None:
    cell = TwoStates(4, 2)
    cell.build((None, FEATURES))
    artifact = rnnport.export(lively(cell), tmp_path / "out")
    x = normal(3, 6, FEATURES)
    expected = L.RNN(cell, return_sequences=True)(x)
    stepper = rnnport.load(artifact).stepper(3)
    received = np.stack([stepper.step(x[:, t]) for t in range(6)], axis=1)
    assert_same(expected, received)


def test_attention_inside_the_decoder_cell(tmp_path: Path) -> None:
    model = AttentiveDecoder(20, 30)
    source = np.random.default_rng(1).integers(1, 20, (3, 7)).astype("int32")
    target = np.random.default_rng(2).integers(1, 30, (3, 5)).astype("int32")
    model([source, target])
    wish = rnnport.Generate(start=1, stop=2, max_steps=8)
    artifact = rnnport.export(lively(model, seed=4), tmp_path / "out", generate=wish)
    forms = artifact.manifest.forms
    assert artifact.manifest.handoff.ok, artifact.manifest.handoff
    assert [s.start for s in forms["decoder"].states] == ["dec_state_start"]
    assert "enc_outputs" in forms["decoder"].fixed
    assert rnnport.verify(artifact, model=model).passed
    runner = rnnport.load(artifact)
    assert_same(model([source, target]), runner.run(source, target))
    ids = runner.generate(source, start=1, stop=2, max_steps=8)
    for row, found in zip(source, ids, strict=True):
        tokens = [1]
        while len(tokens) < 9:
            best = int(np.asarray(model([row[None], np.array([tokens], "int32")]))[0, -1].argmax())
            if best == 2:
                break
            tokens.append(best)
        assert list(found) == tokens[1:]


@pytest.mark.parametrize(
    ("cell", "received", "remedy"),
    [
        (Noisy, "random numbers at inference (Random", "compute the same in every step"),
        (Writing, "variables written at inference (Assign", "return what changes as one more"),
        (Counting, "Python attributes changed by one step: steps", "carry what changes"),
        (Growing, "call returns states (B, 8)", "let state_size and call agree"),
    ],
)
def test_refused(cell: Any, received: str, remedy: str, tmp_path: Path) -> None:
    x = keras.Input((None, FEATURES), name="x")
    layer = L.RNN(cell(4), name="rnn")
    model = keras.Model(x, layer(x))
    counted = getattr(layer.cell, "steps", None)
    with pytest.raises(UnsupportedModel) as caught:
        rnnport.export(model, tmp_path / "out")
    message = str(caught.value)
    assert message.startswith(f"cell {cell.__name__!r} of layer 'rnn' | received: {received}")
    assert remedy in message
    assert getattr(layer.cell, "steps", None) == counted
    assert not (tmp_path / "out").exists()


def test_what_leaks_out_of_a_step_is_refused(tmp_path: Path) -> None:
    layer = L.RNN(Leaking(4), name="rnn")

    class Model(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            y = layer(x)
            return y + layer.cell.inside

    with pytest.raises(UnsupportedModel) as caught:
        rnnport.export(
            Model(), tmp_path / "out", input_signature=[keras.Input((None, FEATURES), name="x")]
        )
    assert "computed within one step that the model uses outside of the loop" in str(caught.value)
