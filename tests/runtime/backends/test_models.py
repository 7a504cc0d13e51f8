"""Whole Keras models: on every backend equal to TensorFlow, or refused by name before they run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.errors import ProviderLacks
from rnnport.runtime.backends.registry import BACKENDS
from rnnport.runtime.session import open_session
from tests.backends import needs, providers
from tests.tiny_cells import AttentiveDecoder
from tests.tiny_keras import lively

L = keras.layers
ALL = providers("cpu", "openvino", "web", "reference")


RUNNING = [p for p in ALL if not any(mark.args[0] for mark in p.marks)]


def masked_pair() -> Any:
    x = keras.Input((None, 5), name="x")
    y = L.Masking()(x)
    y = L.Bidirectional(L.GRU(6, return_sequences=True))(y)
    return keras.Model(x, L.Dense(3)(L.GRU(4)(y)))


def stateful_stack() -> Any:
    x = keras.Input((None, 5), batch_size=2, name="x")
    y = L.LSTM(6, return_sequences=True, stateful=True)(x)
    return keras.Model(x, L.Dense(3)(L.LSTM(4, return_sequences=True, stateful=True)(y)))


def masked_lstm() -> Any:
    x = keras.Input((None, 5), name="x")
    y = L.LSTM(6, return_sequences=True, return_state=True)(L.Masking()(x))
    return keras.Model(x, y)


def with_attention() -> Any:
    source, target = (keras.Input((None,), dtype="int32", name=n) for n in ("source", "target"))
    embedded = L.Embedding(11, 6, mask_zero=True)(source)
    memory, h, c = L.LSTM(7, return_sequences=True, return_state=True)(embedded)
    y = L.LSTM(7, return_sequences=True)(L.Embedding(11, 6)(target), initial_state=[h, c])
    joined = L.Concatenate()([y, L.Attention()([y, memory])])
    return keras.Model([source, target], L.Dense(11, activation="softmax")(joined))


def images() -> Any:
    x = keras.Input((None, 5, 4, 2), name="x")
    y = L.ConvLSTM2D(3, 2, padding="same", return_sequences=True)(x)
    return keras.Model(x, L.Dense(2)(L.Flatten()(L.ConvLSTM2D(2, 2)(y))))


def hard_gates() -> Any:
    x = keras.Input((None, 5), name="x")
    y = L.LSTM(6, recurrent_activation="hard_sigmoid", return_sequences=True)(L.Masking()(x))
    y = L.Bidirectional(
        L.GRU(4, return_sequences=True),
        backward_layer=L.GRU(4, activation="relu", return_sequences=True, go_backwards=True),
    )(y)
    return keras.Model(x, L.SimpleRNN(3, activation="elu", return_sequences=True)(y))


MODELS: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (masked_pair, stateful_stack, masked_lstm, with_attention, images, hard_gates)
}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Artifact]:
    """An artifact by model and target, exported once."""

    @functools.cache
    def made(name: str, target: str) -> Artifact:
        keras.utils.set_random_seed(4)
        folder: Path = tmp_path_factory.mktemp("models") / f"{name}-{target}"
        return rnnport.export(lively(MODELS[name]()), folder, target=target)

    return made


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("name", [n for n in MODELS if n != "hard_gates"])
def test_the_portable_graph_is_right_everywhere(
    name: str, provider: str, artifact: Callable[[str, str], Artifact]
) -> None:
    found = artifact(name, "portable")
    assert [k for path in found.forms.values() for k in BACKENDS[provider].lacks(path)] == []
    report = rnnport.verify(found, provider=provider)
    assert report.provider == provider
    assert report.checks
    assert [(c.name, c.error, c.note) for c in report.checks if not c.passed] == []


@pytest.mark.parametrize("provider", providers("cpu", "openvino", "reference"))
@pytest.mark.parametrize("name", MODELS)
def test_the_graph_for_openvino_is_right_there_too(
    name: str, provider: str, artifact: Callable[[str, str], Artifact]
) -> None:
    found = artifact(name, "openvino")
    assert found.manifest.target == "openvino"
    assert [k for path in found.forms.values() for k in BACKENDS[provider].lacks(path)] == []
    assert rnnport.verify(found, provider=provider).passed


@needs("openvino")
def test_activations_go_to_scan_for_openvino_alone(
    artifact: Callable[[str, str], Artifact],
) -> None:
    portable, own = (artifact("hard_gates", t).manifest for t in ("portable", "openvino"))
    assert [layer.lowering for layer in portable.layers] == [
        "LSTM, compacted",
        "GRU bidirectional with hold column",
        "GRU bidirectional with hold column",
        "RNN, compacted",
    ]
    assert [(layer.lowering, layer.reason) for layer in own.layers] == [
        ("Scan", "OpenVINO's LSTM does not take activation HardSigmoid"),
        ("GRU with hold column", "masked"),
        ("GRU with hold column", "masked"),
        ("Scan", "OpenVINO's SimpleRNN does not take activation Elu"),
    ]
    with pytest.raises(ProviderLacks) as caught:
        rnnport.load(artifact("hard_gates", "portable"), provider="openvino")
    assert [reason.received for reason in caught.value.reasons] == [
        "LSTM: does not take activation hardsigmoid",
        "GRU: takes one direction's activations for both, without an error",
        "RNN: does not take activation elu",
    ]


@needs("openvino")
def test_verify_catches_a_graph_on_a_runtime_it_is_not_for(
    artifact: Callable[[str, str], Artifact],
) -> None:
    """sequence_lens, which OpenVINO ignores: its numbers would be wrong, and are never seen."""
    found = artifact("masked_lstm", "cpu")
    assert rnnport.verify(found, provider="cpu").passed
    report = rnnport.verify(found, provider="openvino")
    assert (report.passed, report.checks) == (False, ())
    told = [(lack.form, lack.op, lack.reason) for lack in report.lacks]
    assert ("model", "LSTM", "ignores sequence_lens without an error") in told
    with pytest.raises(ProviderLacks) as caught:
        rnnport.load(found, provider="openvino")
    assert str(caught.value) == (
        "provider 'openvino', model.onnx | "
        "received: LSTM: ignores sequence_lens without an error | "
        "expected: operators that openvino runs, and rightly | "
        "remedy: export the model with target='openvino', or choose another provider"
    )


@pytest.mark.parametrize("provider", ALL)
def test_a_masked_model_for_the_cpu(
    provider: str, artifact: Callable[[str, str], Artifact]
) -> None:
    """Right wherever it is taken."""
    found = artifact("masked_lstm", "cpu")
    if provider != "openvino":
        assert rnnport.verify(found, provider=provider).passed
        return
    with pytest.raises(ProviderLacks):
        rnnport.load(found, provider=provider)


@pytest.mark.parametrize("provider", providers("openvino", "web", "reference"))
def test_a_runner_on_it_is_like_one_on_the_cpu(
    provider: str, artifact: Callable[[str, str], Artifact]
) -> None:
    found = artifact("masked_pair", "portable")
    here, there = (rnnport.load(found, provider=p) for p in (provider, "cpu"))
    assert here.provider == provider
    x = np.random.default_rng(2).standard_normal((4, 7, 5)).astype(np.float32)
    x[1, 3:] = 0
    x[2] = 0
    y, expected = here.run(x), there.run(x)
    assert (y.dtype, y.shape) == (np.float32, (4, 3))
    assert np.abs(y - expected).max() < 1e-5


@pytest.mark.parametrize("beam_width", [1, 3])
def test_the_decode_loop_gives_the_same_tokens_everywhere(beam_width: int, tmp_path: Path) -> None:
    """generate.onnx, whose Loop holds the decoder."""
    keras.utils.set_random_seed(4)
    wish = rnnport.Generate(start=1, stop=9, max_steps=7, beam_width=beam_width)
    found = rnnport.export(lively(with_attention(), seed=2), tmp_path / "out", generate=wish)
    source = np.array([[3, 4, 5, 6], [7, 8, 0, 0], [9, 0, 0, 0]], np.int32)
    path = found.forms["generate"]
    (port,) = found.manifest.forms["generate"].inputs
    feeds = {port.name: source.astype(port.dtype)}
    answers = {p.values[0]: open_session(path, p.values[0]).run(None, feeds) for p in RUNNING}
    assert np.ptp(answers["cpu"][0]) > 0
    for provider, outputs in answers.items():
        for expected, received in zip(answers["cpu"], outputs, strict=True):
            assert received.dtype == expected.dtype, provider
            np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5, err_msg=provider)


@needs("openvino")
def test_a_cell_that_reads_an_attention_memory(tmp_path: Path) -> None:
    """Its Scan captures the memory: carried as a state for OpenVINO, which else refuses it."""
    model = AttentiveDecoder(20, 30)
    model([np.ones((3, 7), np.int32), np.ones((3, 5), np.int32)])
    lively(model, seed=4)
    wish = rnnport.Generate(start=1, stop=2, max_steps=6)
    found = rnnport.export(model, tmp_path / "own", target="openvino", generate=wish)
    assert rnnport.verify(found, provider="openvino", model=model).passed
    source = np.random.default_rng(1).integers(1, 20, (3, 7)).astype(np.int32)
    here, there = (rnnport.load(found, provider=p) for p in ("openvino", "cpu"))
    ids, expected = (r.generate(source, start=1, stop=2, max_steps=6) for r in (here, there))
    assert [row.tolist() for row in ids] == [row.tolist() for row in expected]
    portable = rnnport.export(model, tmp_path / "portable")
    with pytest.raises(ProviderLacks) as caught:
        rnnport.load(portable, provider="openvino")
    (reason,) = caught.value.reasons
    assert reason.received.startswith("Scan: cannot be read: ")
    assert reason.remedy == ("export the model with target='openvino', or choose another provider")
