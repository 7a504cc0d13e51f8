"""Encoder-decoder models cut at the state hand-off; every export proves the halves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.errors import UsageError
from tests.tiny_keras import assert_same, lively

L = keras.layers
Build = Callable[[], Any]
SOURCE, TARGET = 20, 30


def ids(name: str) -> Any:
    return keras.Input((None,), dtype="int32", name=name)


def embedded(tokens: Any, size: int, *, mask: bool = False) -> Any:
    return L.Embedding(size, 5, mask_zero=mask)(tokens)


def tutorial(kind: str = "LSTM", *, sequences: bool = True, mask: bool = False) -> Build:
    def build() -> Any:
        source, target = ids("source"), ids("target")
        make = getattr(L, kind)
        _, *states = make(6, return_state=True, name="enc")(embedded(source, SOURCE, mask=mask))
        y = make(6, return_sequences=sequences, name="dec")(
            embedded(target, TARGET, mask=mask), initial_state=states
        )
        return keras.Model([source, target], L.Dense(TARGET, activation="softmax")(y))

    return build


def stacked() -> Any:
    source, target = ids("source"), ids("target")
    x, states = embedded(source, SOURCE), []
    for i in range(2):
        x, *last = L.LSTM(6, return_sequences=True, return_state=True, name=f"enc{i}")(x)
        states.append(last)
    y = embedded(target, TARGET)
    for i, start in enumerate(states):
        y = L.LSTM(6, return_sequences=True, name=f"dec{i}")(y, initial_state=start)
    return keras.Model([source, target], L.Dense(TARGET)(y))


def bidirectional(*, bridge: bool) -> Build:
    def build() -> Any:
        source, target = ids("source"), ids("target")
        both = L.Bidirectional(L.LSTM(4, return_state=True), name="enc")
        _, fh, fc, bh, bc = both(embedded(source, SOURCE, mask=True))
        h, c = L.Concatenate()([fh, bh]), L.Concatenate()([fc, bc])
        if bridge:
            h, c = L.Dense(8, activation="tanh")(h), L.Dense(8)(c)
        y = L.LSTM(8, return_sequences=True, name="dec")(
            embedded(target, TARGET), initial_state=[h, c]
        )
        return keras.Model([source, target], L.Dense(TARGET)(y))

    return build


def attending(kind: str, *, mask: bool) -> Build:
    def build() -> Any:
        source, target = ids("source"), ids("target")
        encoder = L.GRU(6, return_sequences=True, return_state=True, name="enc")
        memory, h = encoder(embedded(source, SOURCE, mask=mask))
        y = L.GRU(6, return_sequences=True, name="dec")(embedded(target, TARGET), initial_state=h)
        if kind == "MultiHeadAttention":
            context = L.MultiHeadAttention(2, 3, name="att")(y, memory)
        else:
            context = getattr(L, kind)(name="att")([y, memory])
        return keras.Model([source, target], L.Dense(TARGET)(L.Concatenate()([y, context])))

    return build


def two_encoders() -> Any:
    a, b, target = ids("a"), ids("b"), ids("target")
    states = [L.GRU(4, return_state=True)(embedded(x, SOURCE))[1] for x in (a, b)]
    y = L.GRU(8, return_sequences=True, name="dec")(
        embedded(target, TARGET), initial_state=L.Concatenate()(states)
    )
    return keras.Model([a, b, target], L.Dense(TARGET)(y))


def forecaster() -> Any:
    past, future = keras.Input((None, 3), name="past"), keras.Input((None, 2), name="future")
    _, h, c = L.LSTM(6, return_state=True, name="enc")(past)
    y = L.LSTM(6, return_sequences=True, name="dec")(future, initial_state=[h, c])
    return keras.Model([past, future], L.Dense(2)(y))


class Spread(L.Layer):  # type: ignore[misc]
    """One vector at every step of a sequence."""

    def call(self, vector: Any, sequence: Any) -> Any:
        steps = keras.ops.shape(sequence)[1]
        spread = keras.ops.repeat(vector[:, None], steps, axis=1)
        return keras.ops.concatenate([sequence, spread], -1)

    def compute_output_shape(self, vector_shape: Any, sequence_shape: Any) -> Any:
        return (*sequence_shape[:-1], sequence_shape[-1] + vector_shape[-1])


def of_a_speaker() -> Any:
    """A vector without a time axis that the decoder alone reads, at every step."""
    source, target, speaker = ids("source"), ids("target"), keras.Input((3,), name="speaker")
    _, h = L.GRU(6, return_state=True, name="enc")(embedded(source, SOURCE))
    x = Spread(name="spread")(L.Dense(4)(speaker), embedded(target, TARGET))
    y = L.GRU(6, return_sequences=True, name="dec")(x, initial_state=h)
    return keras.Model([source, target, speaker], L.Dense(TARGET)(y))


def remembering() -> Any:
    """The decoder attends to an input as it is."""
    source, target, memory = ids("source"), ids("target"), keras.Input((None, 6), name="memory")
    _, h = L.GRU(6, return_state=True, name="enc")(embedded(source, SOURCE))
    y = L.GRU(6, return_sequences=True, name="dec")(embedded(target, TARGET), initial_state=h)
    context = L.Attention(name="att")([y, memory])
    return keras.Model([source, target, memory], L.Dense(TARGET)(L.Concatenate()([y, context])))


class Written(keras.Model):  # type: ignore[misc]
    """A call written by hand, one embedding for both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = L.Embedding(SOURCE, 5, mask_zero=True)
        self.encoder = L.GRU(6, return_sequences=True, return_state=True, name="enc")
        self.decoder = L.GRU(6, return_sequences=True, name="dec")
        self.attention, self.head = L.AdditiveAttention(name="att"), L.Dense(SOURCE)

    def call(self, inputs: Any) -> Any:
        source, target = inputs
        memory, h = self.encoder(self.embedding(source))
        y = self.decoder(self.embedding(target), initial_state=h)
        return self.head(tf.concat([y, self.attention([y, memory])], -1))


def written() -> Any:
    model = Written()
    model([np.ones((2, 4), "int32"), np.ones((2, 5), "int32")])
    return model


CUT: dict[str, tuple[Build, list[str]]] = {
    "LSTM": (tutorial(), ["dec_h_start", "dec_c_start"]),
    "GRU": (tutorial("GRU"), ["dec_h_start"]),
    "SimpleRNN": (tutorial("SimpleRNN"), ["dec_h_start"]),
    "K3: last output only": (tutorial(sequences=False), ["dec_h_start", "dec_c_start"]),
    "masked": (tutorial(mask=True), ["dec_h_start", "dec_c_start"]),
    "stacked": (stacked, [f"dec{i}_{s}_start" for i in range(2) for s in "hc"]),
    "bidirectional encoder": (bidirectional(bridge=False), ["dec_h_start", "dec_c_start"]),
    "a bridge": (bidirectional(bridge=True), ["dec_h_start", "dec_c_start"]),
    "K19: Attention": (attending("Attention", mask=True), ["dec_h_start", "enc_outputs"]),
    "K19: no mask": (attending("Attention", mask=False), ["dec_h_start", "enc_outputs"]),
    "K19: AdditiveAttention": (attending("AdditiveAttention", mask=True), ["dec_h_start"]),
    "K19: MultiHeadAttention": (attending("MultiHeadAttention", mask=True), ["dec_h_start"]),
    "two encoders": (two_encoders, ["dec_h_start"]),
    "numbers, not ids": (forecaster, ["dec_h_start", "dec_c_start"]),
    "a vector for all steps": (of_a_speaker, ["dec_h_start"]),
    "an input as memory": (remembering, ["dec_h_start", "memory_context"]),
    "a call written by hand": (written, ["dec_h_start", "enc_outputs"]),
}


def by_hand(*, convolved: bool = False) -> Build:
    """Source padding is masked for the encoder, and then looked at by what drops the mask."""

    def build() -> Any:
        source, target = ids("source"), ids("target")
        x = embedded(source, SOURCE, mask=True)
        x = L.Conv1D(5, 3, padding="same", name="conv")(x) if convolved else x
        memory, h = L.GRU(6, return_sequences=True, return_state=True, name="enc")(x)
        y = L.GRU(6, return_sequences=True, name="dec")(embedded(target, TARGET), initial_state=h)
        if not convolved:
            weights = L.Activation("softmax")(L.Dot(2, name="match")([y, memory]))
            y = L.Concatenate()([y, L.Dot((2, 1), name="read")([weights, memory])])
        return keras.Model([source, target], L.Dense(TARGET)(y))

    return build


PADDED: dict[str, tuple[Build, list[str]]] = {
    "masked": (tutorial(mask=True), ["S"]),
    "a bridge": (bidirectional(bridge=True), ["S"]),
    "attention": (attending("Attention", mask=True), ["S"]),
    "heads": (attending("MultiHeadAttention", mask=True), ["S"]),
    "a call written by hand": (written, ["S"]),
    "no mask": (attending("Attention", mask=False), []),
    "attention by hand": (by_hand(), []),
    "convolved": (by_hand(convolved=True), []),
}


@pytest.mark.filterwarnings("ignore:Layer 'conv'")
@pytest.mark.parametrize("label", PADDED)
def test_a_row_does_not_depend_on_longer_ones_beside_it(label: str, tmp_path: Path) -> None:
    build, pads = PADDED[label]
    model = lively(build(), seed=6)
    for weight in model.trainable_weights:
        weight.assign(2.0 * weight)
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.forms["encoder"].pads == pads
    rng = np.random.default_rng(5)
    words = [rng.integers(1, SOURCE, n).astype("int32") for n in (2, 9, 3, 5, 14, 3)]
    alone = [generated(artifact, [word]) for word in words]
    together, scores = generated(artifact, words)
    assert together == [ids for (ids,), _ in alone]
    np.testing.assert_allclose(scores, [score for _, (score,) in alone], rtol=0, atol=1e-5)
    assert len(set(map(tuple, together))) > 1
    fed = [1]
    while len(fed) < 8:
        given = model([words[0][None], np.array([fed], "int32")])
        fed.append(int(np.asarray(given)[0, -1].argmax()))
    assert fed[1:] == together[0]
    if label in ("attention by hand", "convolved"):
        _, padded = generated(with_pads(artifact, ["S"]), words)
        assert np.abs(padded - scores).max() > 1e-2


def generated(artifact: Artifact, words: list[np.ndarray]) -> tuple[list[list[int]], np.ndarray]:
    runner = rnnport.load(artifact, provider="cpu")
    found, scores = runner.generate(words, start=1, stop=None, max_steps=7, return_scores=True)
    return [ids.tolist() for ids in found], scores


def with_pads(artifact: Artifact, pads: list[str]) -> Artifact:
    manifest = artifact.manifest
    encoder = msgspec.structs.replace(manifest.forms["encoder"], pads=pads)
    forms = {**manifest.forms, "encoder": encoder}
    return Artifact.of(artifact.path, msgspec.structs.replace(manifest, forms=forms))


def export(build: Build, folder: Path, **options: Any) -> tuple[Any, Artifact]:
    model = build()
    lively(model, seed=4)
    return model, rnnport.export(model, folder / "out", **options)


@pytest.mark.parametrize("label", CUT)
def test_cut_in_two(label: str, tmp_path: Path) -> None:
    build, handed = CUT[label]
    model, artifact = export(build, tmp_path)
    manifest = artifact.manifest
    assert manifest.handoff.ok, manifest.handoff
    encoder, decoder = manifest.forms["encoder"], manifest.forms["decoder"]
    names = [port.name for port in encoder.outputs]
    assert set(handed) <= set(names)
    assert names == [*(s.start for s in decoder.states if s.start), *decoder.fixed]
    assert all(port.shape[0] == "B" for port in encoder.outputs)
    assert all(port.shape[:2] == ["B", "S"] for port in encoder.inputs[:1])
    assert not {"Loop", "If", "Scan"} & {*encoder.op_counts, *decoder.op_counts}
    rows = [check for check in manifest.parity if check.name.startswith("hand-off")]
    assert rows
    assert all(row.passed for row in rows)
    teacher_forced(model, artifact)


def teacher_forced(model: Any, artifact: Artifact) -> None:
    """Encoder, then decoder step by step, against Keras: untraced sizes, sources padded."""
    encoder, decoder = (artifact.manifest.forms[name] for name in ("encoder", "decoder"))
    rng = np.random.default_rng(8)
    sizes = {"B": 4, "S": 9, "S2": 6, "S3": 7, "T": 5}
    inputs = {}
    for port in (*encoder.inputs, *(p for p in decoder.inputs if p.name not in decoder.fixed)):
        shape = [a if isinstance(a, int) else sizes[a] for a in port.shape]
        if port.dtype == "int32":
            inputs[port.name] = rng.integers(1, SOURCE, shape).astype("int32")
        else:
            inputs[port.name] = rng.standard_normal(shape).astype("float32")
    first = inputs[encoder.inputs[0].name]
    first[1, 4:] = 0
    keras_inputs = [inputs[port.name] for port in artifact.manifest.forms["model"].inputs]
    expected = np.asarray(model(keras_inputs))
    handed = run(artifact, "encoder", {p.name: inputs[p.name] for p in encoder.inputs})
    states = {
        s.input: handed[s.start] if s.start else np.zeros((4, *s.shape[1:]), s.dtype)
        for s in decoder.states
    }
    context = {name: handed[name] for name in decoder.fixed}
    own = [p.name for p in decoder.inputs if p.name not in decoder.fixed]
    steps = []
    for t in range(5):
        given = run(
            artifact, "decoder", {**{n: inputs[n][:, t : t + 1] for n in own}, **context, **states}
        )
        states = {s.input: given[s.output] for s in decoder.states}
        steps.append(given[decoder.outputs[0].name])
    if expected.ndim == 2:
        assert_same(expected, steps[-1])
    else:
        assert_same(expected, np.concatenate(steps, axis=1))


def run(artifact: Artifact, form: str, inputs: dict[str, Any]) -> dict[str, Any]:
    from rnnport.runtime.session import open_session

    session = open_session(artifact.forms[form], "cpu")
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def classifier() -> Any:
    """K17: two encoders and no decoder."""
    a, b = ids("a"), ids("b")
    both = L.Concatenate()([L.LSTM(4)(embedded(a, 9)), L.LSTM(4)(embedded(b, 9))])
    return keras.Model([a, b], L.Dense(3, activation="softmax")(both))


def autoencoder() -> Any:
    x = keras.Input((None, 5), name="x")
    y, h = L.GRU(6, return_state=True, name="enc")(x)
    y = L.GRU(6, return_sequences=True, name="dec")(L.RepeatVector(7)(y), initial_state=h)
    return keras.Model(x, L.Dense(5)(y))


def stepless() -> Any:
    """The decoder's sequence is a vector of its own, repeated."""
    source, speaker = ids("source"), keras.Input((3,), name="speaker")
    _, h = L.GRU(6, return_state=True, name="enc")(embedded(source, SOURCE))
    y = L.GRU(6, return_sequences=True, name="dec")(L.RepeatVector(7)(speaker), initial_state=h)
    return keras.Model([source, speaker], L.Dense(5)(y))


def repeated() -> Any:
    """The usual sequence autoencoder: one vector, repeated."""
    x = keras.Input((None, 5), name="x")
    code = L.LSTM(6, name="enc")(x)
    y = L.LSTM(6, return_sequences=True, name="dec")(L.RepeatVector(7)(code))
    return keras.Model(x, L.TimeDistributed(L.Dense(5))(y))


@pytest.mark.parametrize(
    ("build", "layer", "reason"),
    [
        (repeated, "dec", "its sequence is made of what layer 'enc' gives at its end, as Repeat"),
        (
            classifier,
            "",
            "no recurrent layer starts from a state that another recurrent layer gives",
        ),
        (
            stepless,
            "dec",
            "no input that it alone reads (speaker) has a time axis of open length to be stepped "
            "along; decoder_inputs= names others",
        ),
        (autoencoder, "dec", "its sequence is made by the encoder: it has no input to be stepped"),
    ],
)
def test_nothing_to_cut(build: Build, layer: str, reason: str, tmp_path: Path) -> None:
    _, artifact = export(build, tmp_path)
    verdict = artifact.manifest.handoff
    assert (verdict.ok, verdict.layer) == (False, layer)
    assert verdict.reason.startswith(reason)
    assert not {"encoder", "decoder"} & set(artifact.manifest.forms)
    assert not list(artifact.path.glob("*coder.onnx*"))


def test_a_decoder_that_looks_ahead_says_what_was_guessed(tmp_path: Path) -> None:
    def ahead() -> Any:
        source, target = ids("source"), ids("target")
        _, h = L.GRU(6, return_state=True, name="enc")(embedded(source, SOURCE))
        y = L.GRU(6, return_sequences=True)(embedded(target, TARGET), initial_state=h)
        y = y - keras.ops.mean(y, axis=1, keepdims=True)
        return keras.Model([source, target], L.Dense(TARGET)(y), name="ahead")

    _, artifact = export(ahead, tmp_path)
    verdict = artifact.manifest.handoff
    assert (verdict.ok, verdict.layer) == (False, "ahead")
    assert verdict.reason.startswith("encoder and decoder do not add up to the model (output ")
    assert verdict.reason.endswith("; target went to the decoder: decoder_inputs= names others")


def test_decoder_inputs_named(tmp_path: Path) -> None:
    _, artifact = export(tutorial(), tmp_path, decoder_inputs="target")
    assert [p.name for p in artifact.manifest.forms["decoder"].inputs] == ["target"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["nobody"], "decoder_inputs | received: nobody | expected: some of the model's inputs"),
        ([], "decoder_inputs | received: none"),
        (["source"], "decoder_inputs | received: source"),
    ],
)
def test_decoder_inputs_that_cannot_be(named: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export(tutorial(), tmp_path, decoder_inputs=named)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("module", "name"), [("handoff_forms", "split"), ("stream_form", "lift")])
def test_a_fault_in_a_further_form_loses_nothing(
    module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole form is written all the same, and the manifest says what happened."""
    import importlib

    def broken(*_: Any) -> Any:
        raise RuntimeError("something nobody thought of")

    monkeypatch.setattr(importlib.import_module(f"rnnport.{module}"), name, broken)
    _, artifact = export(tutorial(), tmp_path)
    manifest = artifact.manifest
    verdict = manifest.handoff if name == "split" else manifest.streamable
    assert not verdict.ok
    assert verdict.reason.endswith("failed: RuntimeError: something nobody thought of")
    assert "model" in manifest.forms
