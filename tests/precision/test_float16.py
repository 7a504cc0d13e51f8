"""float16: half the file, float32 ports, 1e4 in the place of 1e30. Not measured on CUDA here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, numpy_helper

import rnnport
from rnnport.errors import ProviderLacks, UnsupportedModel
from rnnport.graph.emit import initializer
from rnnport.graph.float16_weights import TooLarge, check_holds, half_array
from rnnport.runtime.backends.onnxruntime import _is_half
from rnnport.runtime.precisions import provider_for
from tests.precision.conftest import Made
from tests.precision.models import MODELS
from tests.tiny_keras import lively

L = keras.layers


@pytest.mark.parametrize("name", MODELS)
def test_within_a_fifth_of_a_percent(name: str, made: Made) -> None:
    artifact = made(name, "float16")[1]
    assert all(check.passed for check in artifact.manifest.parity)
    (paid,) = artifact.manifest.paid
    assert 0.0001 < paid.mean < 0.002
    assert paid.flipped <= 0.01 * paid.decisions
    kinds = {check.kind for check in artifact.manifest.parity}
    assert ("masks" in kinds) == (name in ("masked", "bidirectional", "mixed", "gru"))
    assert artifact.manifest.notes[-1] == (
        "float16: compared on the CPU, where every operator is cast to float32 and back; neither "
        "its numbers nor its speed were measured on CUDA"
    )


@pytest.mark.parametrize("name", MODELS)
def test_weights_and_operators_are_half_and_ports_are_not(name: str, made: Made) -> None:
    artifact = made(name, "float16")[1]
    for form, path in artifact.forms.items():
        model = onnx.load(path)
        types = {v.data_type for v in model.graph.initializer if np.prod(v.dims) > 64}
        assert TensorProto.FLOAT not in types
        assert TensorProto.FLOAT16 in types
        ports = [*model.graph.input, *model.graph.output]
        assert TensorProto.FLOAT16 not in {p.type.tensor_type.elem_type for p in ports}
        whole = made(name, "float32")[1].manifest.forms[form].record.size
        assert artifact.manifest.forms[form].record.size < 0.75 * whole
        assert _is_half(path)
        assert not _is_half(made(name, "float32")[1].forms[form])


def test_masks_are_held_by_a_finite_weight(made: Made) -> None:
    model = onnx.load(made("gru", "float16")[1].forms["model"])
    arrays = [numpy_helper.to_array(v) for v in model.graph.initializer]
    largest = max(float(np.abs(a).max()) for a in arrays if a.dtype == np.float16)
    assert largest == 1e4
    compared = [n for n in model.graph.node if n.op_type in ("Equal", "Not")]
    assert compared
    half = {v.name for v in model.graph.initializer if v.data_type == TensorProto.FLOAT16}
    assert not half & {name for node in compared for name in node.input}


def test_other_runtimes_are_refused_by_name(made: Made) -> None:
    with pytest.raises(ProviderLacks) as caught:
        rnnport.load(made("gru", "float16")[1], provider="cpu")
    assert str(caught.value) == (
        "provider 'cpu', artifact 'sequential_4' | received: precision float16: LSTM, GRU and RNN "
        "have no float16 kernels: every one would be cast to float32 and back, slower than float32 "
        "and no more exact than float16 | expected: provider 'cuda' | remedy: choose that "
        "provider, or export the model with precision='float32'"
    ).replace("'sequential_4'", repr(made("gru", "float16")[1].manifest.name))
    with pytest.raises(ProviderLacks, match="precision float16"):
        rnnport.verify(made("gru", "float16")[1])
    manifest = made("gru", "int8")[1].manifest
    with pytest.raises(ProviderLacks, match="the int8 kernels are the CPU's alone"):
        provider_for(manifest, "cuda", "cuda")
    assert provider_for(manifest, "auto", "cuda") == "cpu"
    assert provider_for(made("gru", "float32")[1].manifest, "auto", "cuda") == "cuda"


def test_states_without_bound_are_refused(tmp_path: Path) -> None:
    layers = [L.Masking(-1.0), L.GRU(16, activation="relu", return_sequences=True)]
    model = lively(keras.Sequential([keras.Input((None, 8)), *layers]))
    with pytest.raises(UnsupportedModel) as caught:
        rnnport.export(model, tmp_path / "a", precision="float16")
    (reason,) = caught.value.reasons
    assert reason.subject == "precision float16, model.onnx"
    assert reason.received.endswith("is masked, and Relu gives states without bound")
    assert not (tmp_path / "a").exists()


def _gru(recurrent: float) -> ir.Node:
    w = np.zeros((1, 6, 3), np.float32)
    w[:, :2, -1] = 1e30
    arrays: list[Any] = [w, np.full((1, 6, 2), recurrent, np.float32), np.ones((1, 12), np.float32)]
    x = ir.Value(name="x")
    values = [initializer(name, array) for name, array in zip("WRB", arrays, strict=True)]
    return ir.node("GRU", [x, *values], {"hidden_size": 2}, name="gru")


def test_the_hold_weight_must_outweigh_all_others() -> None:
    check_holds(_gru(4980.0))
    with pytest.raises(TooLarge) as caught:
        check_holds(_gru(4990.0))
    assert str(caught.value) == "gru: other terms add up to 9.98e+03, too near to 10000"


def test_what_float16_does_not_hold() -> None:
    assert half_array(np.float32(-1e9), "low") == np.float16(-65504)
    assert half_array(np.array([1e30, -1e30, 0.5], np.float32), "w").tolist() == [1e4, -1e4, 0.5]
    with pytest.raises(TooLarge) as caught:
        half_array(np.array([1e5, 1.0], np.float32), "w")
    assert str(caught.value) == "w holds a weight of 1e+05, float16 ends at 65504"
