"""Encoder and decoder given as two models: what Keras gives when one is run after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import onnxruntime as ort
import pytest
import tensorflow as tf
from typer.testing import CliRunner

import rnnport
from rnnport import Generate
from rnnport.artifact.load import Artifact
from rnnport.cli.main import app
from rnnport.errors import (
    MissingSignature,
    ModelFileError,
    NotGenerative,
    UnsupportedModel,
    UsageError,
)
from tests import tiny_pairs as pairs
from tests.test_handoff_forms import run
from tests.tiny_keras import LOOPS, assert_same
from tests.tiny_pairs import SOURCE, TARGET, UNITS

L = keras.layers
START, STOP, STEPS = 1, 2, 8
Step = Callable[[Any, Any, Any], tuple[Any, Any]]


def listed_step(decoder: Any, x: Any, given: Any) -> tuple[Any, Any]:
    y, *states = decoder([x, *given])
    return y, states


def bahdanau_step(decoder: Any, x: Any, given: Any) -> tuple[Any, Any]:
    memory, hidden = given
    logits, hidden, _ = decoder(x, hidden, memory)
    return logits, [memory, hidden]


def dict_step(decoder: Any, x: Any, given: Any) -> tuple[Any, Any]:
    y = decoder({**given, "token": x})
    return y["logits"], {**given, "state": y["state"]}


def nested_step(decoder: Any, x: Any, given: Any) -> tuple[Any, Any]:
    if len(given) == 4:
        given = [given[:2], given[2:]]
    return decoder([x, given])


@dataclass(frozen=True)
class Case:
    """A pair, how Keras is run with it, and what export makes of it."""

    build: Callable[[], pairs.Pair]
    step: Step
    states: list[str]
    ops: dict[str, int]
    time: str | int
    fixed: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    padded: bool = True


CASES = {
    "tutorial": Case(
        pairs.tutorial, listed_step, ["state_h", "state_c"], {"LSTM": 1}, "T", padded=False
    ),
    "tutorial, GRU": Case(
        lambda: pairs.tutorial("GRU", mask=True), listed_step, ["state_h"], {"GRU": 1}, "T"
    ),
    "attention outside of the layer": Case(
        pairs.bahdanau,
        bahdanau_step,
        ["hidden"],
        {"GRU": 1},
        1,
        ["enc_output"],
        {"input_signature": pairs.signature()},
    ),
    "stacked": Case(pairs.stacked, listed_step, ["h0", "c0", "h1", "c1"], {"LSTM": 2}, "T"),
    "dicts, AdditiveAttention": Case(
        pairs.additive, dict_step, ["state"], {"GRU": 1}, 1, ["memory", "valid"]
    ),
    "nested lists": Case(
        pairs.listed, nested_step, [f"inputs_{i}" for i in range(1, 5)], {"LSTM": 2}, "T"
    ),
    "Sequential": Case(pairs.sequential, listed_step, ["h"], {"GRU": 1}, "T"),
}


def plain(nest: Any) -> Any:
    """Arrays, as predict gives them: no mask goes along."""
    return keras.tree.map_structure(lambda x: np.asarray(x), nest)


def begin(encoder: Any, source: Any) -> Any:
    given = plain(encoder(source))
    return given if isinstance(given, dict) else list(keras.tree.flatten(given))


def sources(*, padded: bool, rows: int = 5, length: int = 11) -> np.ndarray:
    rng = np.random.default_rng(8)
    source = rng.integers(1, SOURCE, (rows, length)).astype("int32")
    if padded:
        source[1, 4:] = 0
        source[2, :3] = 0
    return source


@pytest.fixture(scope="module", params=CASES)
def exported(request: Any, tmp_path_factory: Any) -> tuple[Case, Any, Any, Artifact]:
    case = CASES[request.param]
    encoder, decoder = case.build()
    out = tmp_path_factory.mktemp("two") / "out"
    artifact = rnnport.export(None, out, encoder=encoder, decoder=decoder, **case.options)
    return case, encoder, decoder, artifact


Exported = tuple[Case, Any, Any, Artifact]


def test_forms(exported: Exported) -> None:
    case, _, _, artifact = exported
    manifest = artifact.manifest
    encoder, decoder = manifest.forms["encoder"], manifest.forms["decoder"]
    assert manifest.handoff.ok
    assert list(manifest.forms) == ["model", "encoder", "decoder"]
    assert [state.name for state in decoder.states] == case.states
    assert [state.start for state in decoder.states] == [f"{name}_start" for name in case.states]
    assert decoder.fixed == case.fixed
    assert [p.name for p in encoder.outputs] == [*(s.start for s in decoder.states), *case.fixed]
    (own,) = decoder.per_step
    assert own.shape == ["B", case.time]
    assert encoder.inputs[0].shape == ["B", "S"]
    # Bahdanau's attention looks at padding: the encoder's mask does not reach it.
    unsafe = "hidden" in case.states
    assert encoder.pads == (["S"] if case.padded and not unsafe else [])
    assert not LOOPS & {op for form in manifest.forms.values() for op in form.op_counts}
    assert {op: decoder.op_counts[op] for op in case.ops} == case.ops
    assert manifest.notes == ([] if case.time == "T" else ["decoder.onnx takes one step at a time"])
    assert manifest.source["kind"] == "two models (live object, live object)"


def test_proof(exported: Exported) -> None:
    case, _, _, artifact = exported
    checks = artifact.manifest.parity
    assert all(check.passed for check in checks)
    for beginning in ("golden", "encoder, golden", "decoder, golden", "steps"):
        assert any(check.name.startswith(beginning) for check in checks), beginning
    chunks = [check for check in checks if check.name.startswith("hand-off")]
    assert bool(chunks) == (case.time == "T")
    masks = {part for check in checks for part in check.name.split(", ") if part.endswith("mask")}
    assert (len(masks) >= 3) == case.padded
    assert rnnport.verify(artifact).passed


def test_step_by_step(exported: Exported) -> None:
    """Encoder, then the decoder, at sizes that nothing was traced with."""
    case, encoder, decoder, artifact = exported
    form = artifact.manifest.forms["decoder"]
    source = sources(padded=case.padded)
    given = begin(encoder, source)
    handed = run(
        artifact,
        "encoder",
        {artifact.manifest.forms["encoder"].inputs[0].name: cast(artifact, source)},
    )
    states = {s.input: handed[s.start] for s in form.states}
    context = {name: handed[name] for name in form.fixed}
    tokens = np.random.default_rng(1).integers(1, TARGET, (5, 6)).astype("int32")
    for t in range(6):
        x = tokens[:, t : t + 1]
        expected, given = plain(case.step(decoder, x, given))
        received = run(artifact, "decoder", {form.per_step[0].name: x, **context, **states})
        states = {s.input: received[s.output] for s in form.states}
        assert_same(expected, received[form.outputs[0].name])
    if case.time == "T":
        starts = {s.input: handed[s.start] for s in form.states}
        once = run(artifact, "decoder", {form.per_step[0].name: tokens, **starts})
        assert_same(expected, once[form.outputs[0].name][:, -1:])
        assert_same(list(states.values()), [once[s.output] for s in form.states])


def cast(artifact: Artifact, source: np.ndarray) -> np.ndarray:
    return source.astype(artifact.manifest.forms["encoder"].inputs[0].dtype)


def test_model_is_one_after_the_other(exported: Exported) -> None:
    case, encoder, decoder, artifact = exported
    length = 7 if case.time == "T" else 1
    source = sources(padded=case.padded, rows=3, length=13)
    tokens = np.random.default_rng(2).integers(1, TARGET, (3, length)).astype("int32")
    expected, _ = case.step(decoder, tokens, begin(encoder, source))
    given = rnnport.load(artifact, provider="cpu").run(cast(artifact, source), tokens)
    first = given["logits"] if isinstance(given, dict) else given[0]
    assert_same(expected, first)


def keras_loop(case: Case, encoder: Any, decoder: Any, source: np.ndarray) -> list[list[int]]:
    """The usual inference loop, one source at a time."""
    found = []
    for row in source:
        given, token, ids = begin(encoder, row[None]), START, []
        for _ in range(STEPS):
            y, given = plain(case.step(decoder, np.array([[token]], "int32"), given))
            token = int(y.reshape(-1).argmax())
            if token == STOP:
                break
            ids.append(token)
        found.append(ids)
    return found


def test_greedy_tokens(exported: Exported) -> None:
    case, encoder, decoder, artifact = exported
    source = sources(padded=case.padded, rows=6)
    expected = keras_loop(case, encoder, decoder, source)
    assert len(set(map(tuple, expected))) > 2
    runner = rnnport.load(artifact, provider="cpu")
    given = runner.generate(cast(artifact, source), start=START, stop=STOP, max_steps=STEPS)
    assert [row.tolist() for row in given] == expected
    beams = runner.generate(
        cast(artifact, source), start=START, stop=STOP, max_steps=STEPS, beam_width=3, n_best=3
    )
    assert all(len(rows) > 1 for rows in beams)


@pytest.mark.parametrize("label", ["tutorial", "attention outside of the layer"])
def test_the_loop_in_one_graph(label: str, tmp_path: Path) -> None:
    case = CASES[label]
    encoder, decoder = case.build()
    wish = Generate(start=START, stop=STOP, max_steps=STEPS)
    artifact = rnnport.export(
        None, tmp_path / "out", encoder=encoder, decoder=decoder, generate=wish, **case.options
    )
    assert artifact.manifest.generate == wish
    source = sources(padded=case.padded, rows=6)
    session = ort.InferenceSession(str(artifact.forms["generate"]))
    (ids,) = session.run(None, {session.get_inputs()[0].name: source})
    expected = keras_loop(case, encoder, decoder, source)
    assert [[i for i in row if i >= 0] for row in ids.tolist()] == expected
    assert artifact.manifest.forms["generate"].op_counts["Loop"] == 1


def fed_with(shape: tuple[int | None, ...], dtype: str) -> pairs.Pair:
    """A decoder whose token input has this shape and dtype."""
    token = keras.Input(shape, dtype=dtype, name="token")
    before = keras.Input((UNITS,), name="h")
    x = pairs.embedded(token, TARGET)
    x = x if shape else L.Reshape((1, 5))(x)
    y, after = L.GRU(UNITS, return_sequences=bool(shape), return_state=True)(
        x, initial_state=before
    )
    decoder = keras.Model([token, before], [L.Dense(TARGET)(y), after])
    return pairs.loud(encoder_of(), 2), pairs.loud(decoder, 3)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize(
    ("shape", "dtype", "port"),
    [
        ((None,), "float32", ["B", "T"]),
        ((), "int32", ["B"]),
        ((), "float32", ["B"]),
    ],
)
def test_every_kind_of_token_input(
    shape: tuple[int | None, ...], dtype: str, port: list[Any], beams: int, tmp_path: Path
) -> None:
    """Keras's default dtype is float32, and an Embedding takes it."""
    encoder, decoder = fed_with(shape, dtype)
    wish = Generate(start=START, stop=STOP, max_steps=STEPS, beam_width=beams)
    artifact = rnnport.export(
        None, tmp_path / "out", encoder=encoder, decoder=decoder, generate=wish
    )
    (token,) = artifact.manifest.forms["decoder"].per_step
    assert (token.dtype, token.shape[: len(port)]) == (dtype, port)
    source = sources(padded=False, rows=6)
    session = ort.InferenceSession(str(artifact.forms["generate"]))
    ids = session.run(["ids"], {"source": source})[0]
    received = [[i for i in row if i >= 0] for row in ids.tolist()]
    found = rnnport.load(artifact, provider="cpu").generate(
        source, start=START, stop=STOP, max_steps=STEPS, beam_width=beams
    )
    assert received == [row.tolist() for row in found]
    assert len(set(map(tuple, received))) > 2
    if beams == 1:
        assert received == own_loop(encoder, decoder, source, np.zeros((1, 1) if shape else 1))


def test_ids_that_no_embedding_reads(tmp_path: Path) -> None:
    """Then only the scores tell how many there are."""
    token, before = pairs.ids("token"), keras.Input((UNITS,), name="h")
    x = keras.ops.one_hot(token, TARGET)
    y, after = L.GRU(UNITS, return_sequences=True, return_state=True)(x, initial_state=before)
    decoder = pairs.loud(keras.Model([token, before], [L.Dense(TARGET)(y), after]), 3)
    encoder, source = pairs.loud(encoder_of(), 2), sources(padded=False, rows=6)
    wish = Generate(start=TARGET - 1, stop=STOP, max_steps=STEPS)
    artifact = rnnport.export(
        None, tmp_path / "out", encoder=encoder, decoder=decoder, generate=wish
    )
    (ids,) = ort.InferenceSession(str(artifact.forms["generate"])).run(None, {"source": source})
    received = [[i for i in row if i >= 0] for row in ids.tolist()]
    assert received == own_loop(encoder, decoder, source, np.zeros((1, 1), "int32"), TARGET - 1)
    with pytest.raises(UsageError, match=f"start {TARGET} .* expected: 0 to {TARGET - 1}"):
        rnnport.export(
            None,
            tmp_path / "two",
            encoder=encoder,
            decoder=decoder,
            generate=msgspec.structs.replace(wish, start=TARGET),
        )


def own_loop(
    encoder: Any, decoder: Any, source: np.ndarray, like: np.ndarray, start: int = START
) -> list[list[int]]:
    """As keras_loop; the token is given in an array like this."""
    found = []
    for row in source:
        h, token, ids = plain(encoder(row[None])), start, []
        while len(ids) < STEPS:
            y, h = plain(decoder([np.full_like(like, token), h]))
            token = int(y.reshape(-1).argmax())
            if token == STOP:
                break
            ids.append(token)
        found.append(ids)
    return found


@pytest.mark.parametrize(
    ("build", "options", "text"),
    [
        (
            pairs.forecaster,
            {},
            "decoder input value float32 (B, 2), which is no token id for every row and step | "
            "expected: token ids (B, T) or (B,), integers or what an Embedding reads",
        ),
        (
            lambda: (encoder_of(), two_own()),
            {"decoder_inputs": ["target", "extra"]},
            "2 decoder inputs given anew for every step: target int32 (B, 1), extra float32 "
            f"(B, {UNITS}) | expected: exactly one: the last token",
        ),
    ],
)
def test_decoders_that_no_token_drives(
    build: Callable[[], pairs.Pair], options: dict[str, Any], text: str, tmp_path: Path
) -> None:
    encoder, decoder = build()
    wish = Generate(start=0, stop=1, max_steps=STEPS)
    given: dict[str, Any] = {"encoder": encoder, "decoder": decoder, "generate": wish, **options}
    with pytest.raises(UsageError) as caught:
        rnnport.export(None, tmp_path / "out", **given)
    assert str(caught.value) == (
        f"generate | received: {text} | remedy: leave generate out and use the decoder yourself"
    )
    assert not list(tmp_path.iterdir())


def test_forecast(tmp_path: Path) -> None:
    encoder, decoder = pairs.forecaster()
    artifact = rnnport.export(None, tmp_path / "out", encoder=encoder, decoder=decoder)
    form = artifact.manifest.forms["decoder"]
    assert form.per_step[0].shape == ["B", 2]
    assert not LOOPS & set(form.op_counts)
    past = np.random.default_rng(0).standard_normal((3, 10, 3)).astype("float32")
    fed, (h,) = np.zeros((3, 2), "float32"), begin(encoder, past)
    steps = []
    for _ in range(6):
        fed, h = plain(decoder([fed, h]))
        steps.append(fed)
    runner = rnnport.load(artifact, provider="cpu")
    assert_same(np.stack(steps, 1), runner.forecast(past, steps=6, start=np.zeros(2)))


def test_files_and_the_command_line(tmp_path: Path) -> None:
    encoder, decoder = pairs.tutorial()
    encoder.save(tmp_path / "enc.keras")
    decoder.save(tmp_path / "dec.keras")
    out, text = tmp_path / "out", tmp_path / "sources.txt"
    words = ["--encoder", str(tmp_path / "enc.keras"), "--decoder", str(tmp_path / "dec.keras")]
    result = CliRunner().invoke(app, ["export", *words, "-o", str(out), "--name", "n", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["name"], found["handoff"]["ok"]) == ("n", True)
    assert found["source"]["kind"] == "two models (.keras file, .keras file)"
    source = sources(padded=False, rows=3)
    text.write_text("\n".join(" ".join(map(str, row)) for row in source.tolist()) + "\n")
    ends = ["--start", str(START), "--stop", str(STOP), "--max-steps", str(STEPS)]
    result = CliRunner().invoke(app, ["generate", str(out), "-i", str(text), *ends])
    assert result.exit_code == 0, result.output
    received = [list(map(int, line.split())) for line in result.stdout.splitlines()[:3]]
    assert received == keras_loop(CASES["tutorial"], encoder, decoder, source)
    for command in ("inspect", "verify"):
        result = CliRunner().invoke(app, [command, str(out)])
        assert result.exit_code == 0, result.output
    shown = "".join(CliRunner().invoke(app, ["inspect", str(out)]).stdout.split())
    assert "state_h_in→" in shown
    assert "encoderanddecoderyes" in shown


def one_state(*, units: int = UNITS, dtype: str = "float32", returns: int = 1) -> Any:
    """Decoder (target, h) to logits and so many tensors of a state's shape."""
    target, h = pairs.ids("target"), keras.Input((units,), dtype=dtype, name="h")
    layer = L.GRU(units, return_sequences=True, return_state=True)
    start = h if dtype == "float32" else L.Lambda(lambda x: tf.cast(x, "float32"))(h)
    y, after = layer(pairs.embedded(target, TARGET), initial_state=start)
    extra = [L.Dense(units, name=f"more{i}")(after) for i in range(returns - 1)]
    return keras.Model([target, h], [L.Dense(TARGET)(y), *extra, L.Identity(name="next")(after)])


def encoder_of(count: int = 1, units: int = UNITS) -> Any:
    source = pairs.ids("source")
    x = pairs.embedded(source, SOURCE)
    return keras.Model(source, [L.GRU(units)(x) for _ in range(count)])


def no_input() -> Any:
    h, c = keras.Input((UNITS,), name="h"), keras.Input((UNITS,), name="c")
    return keras.Model([h, c], [L.Add()([h, c]), h])


def only_tokens() -> Any:
    target = pairs.ids("target")
    return keras.Model(target, L.Dense(TARGET)(pairs.embedded(target, TARGET)))


def other_memory() -> pairs.Pair:
    source, token = pairs.ids("source"), pairs.ids("token", 1)
    memory, h = L.GRU(UNITS, return_sequences=True, return_state=True)(
        pairs.embedded(source, SOURCE)
    )
    held, before = keras.Input((None, 9), name="memory"), keras.Input((UNITS,), name="h")
    _, after = L.GRU(UNITS, return_state=True)(pairs.embedded(token, 9), initial_state=before)
    pooled = L.GlobalAveragePooling1D()(held)
    decoder = keras.Model([token, before, held], [L.Concatenate()([after, pooled]), after])
    return keras.Model(source, [memory, h]), decoder


MISFITS: dict[str, tuple[Callable[[], pairs.Pair], str]] = {
    "sizes": (
        lambda: (encoder_of(), one_state(units=7)),
        f"float32 (B, {UNITS}) fits none of h float32 (B, 7) | expected: decoder inputs of the "
        "rank, sizes and dtype of what the encoder gives | remedy: build encoder and decoder",
    ),
    "sizes of the context": (other_memory, "(B, T, 6) fits none of memory float32 (B, T2, 9)"),
    "dtypes": (
        lambda: (encoder_of(), one_state(dtype="float64")),
        f"float32 (B, {UNITS}) fits none of h float64 (B, {UNITS})",
    ),
    "counts": (
        lambda: (encoder_of(2), one_state()),
        "2 encoder outputs are alike",
    ),
    "no input of its own": (
        lambda: (encoder_of(2), no_input()),
        "every input of the decoder comes from the encoder, so it has none of its own",
    ),
    "nothing taken": (
        lambda: (encoder_of(), only_tokens()),
        "the decoder takes nothing of what the encoder gives",
    ),
    "states that order does not tell": (
        lambda: (encoder_of(), one_state(returns=2)),
        "is not clear | expected: one output, behind the first, for each state of one shape | "
        'remedy: pass states={"decoder input": "decoder output"}',
    ),
}


@pytest.mark.parametrize("label", MISFITS)
def test_two_that_do_not_fit(label: str, tmp_path: Path) -> None:
    build, text = MISFITS[label]
    encoder, decoder = build()
    with pytest.raises(UnsupportedModel) as caught:
        rnnport.export(None, tmp_path / "out", encoder=encoder, decoder=decoder)
    message = str(caught.value)
    assert message.startswith("encoder and decoder | received: encoder gives ")
    assert "; decoder takes " in message
    assert text in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ({"encoder": "e"}, "encoder"),
        ({"decoder": "d"}, "decoder"),
        ({"model": "m", "encoder": "e", "decoder": "d"}, "model and encoder and decoder"),
        ({"model": "m", "decoder": "d"}, "model and decoder"),
    ],
)
def test_not_two(given: dict[str, Any], received: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        rnnport.export(given.pop("model", None), tmp_path / "out", **given)
    assert str(caught.value) == (
        f"model, encoder, decoder | received: {received} | expected: one model, or encoder and "
        "decoder | remedy: pass None for the model, and both encoder= and decoder="
    )
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        rnnport.export(None, tmp_path / "out", encoder=encoder_of(), decoder=tmp_path / "d.keras")
    assert not list(tmp_path.iterdir())


def test_states_named(tmp_path: Path) -> None:
    """Where two outputs could be the next state, the user says which."""
    encoder, decoder = pairs.loud(encoder_of(), 1), pairs.loud(one_state(returns=2), 2)
    artifact = rnnport.export(
        None, tmp_path / "out", encoder=encoder, decoder=decoder, states={"h": "next"}
    )
    form = artifact.manifest.forms["decoder"]
    assert [(s.input, s.output, s.end) for s in form.states] == [("h_in", "h_out", "next")]
    assert [p.name for p in form.outputs][1:] == ["more0"]
    runner = rnnport.load(artifact, provider="cpu")
    source, expected = sources(padded=False, rows=2), []
    for row in source:
        h, token, ids = np.asarray(encoder(row[None])), START, []
        for _ in range(4):
            y, _, h = plain(decoder([np.array([[token]], "int32"), h]))
            token = int(y.argmax())
            ids.append(token)
        expected.append(ids)
    received = runner.generate(source, start=START, stop=None, max_steps=4)
    assert [row.tolist() for row in received] == expected


def test_a_state_that_starts_from_zeros(tmp_path: Path) -> None:
    """The encoder gives one of two states; the other one the user names."""
    target = pairs.ids("target")
    starts = [keras.Input((units,), name=name) for name, units in (("h", UNITS), ("g", 4))]
    y, h = L.GRU(UNITS, return_sequences=True, return_state=True)(
        pairs.embedded(target, TARGET), initial_state=starts[0]
    )
    y, g = L.GRU(4, return_sequences=True, return_state=True)(y, initial_state=starts[1])
    decoder = keras.Model([target, *starts], {"y": L.Dense(TARGET)(y), "h": h, "g": g})
    encoder = encoder_of()
    artifact = rnnport.export(
        None,
        tmp_path / "out",
        encoder=encoder,
        decoder=pairs.loud(decoder, 3),
        states={"h": "h", "g": "g"},
    )
    form = artifact.manifest.forms["decoder"]
    assert [(s.input, s.start) for s in form.states] == [("h_in", "h_start"), ("g_in", "")]
    note = "the decoder's state 'g' starts from zeros: no encoder output is for it"
    assert artifact.manifest.notes == [note]
    source, tokens = sources(padded=False), np.arange(1, 21, dtype="int32").reshape(5, 4)
    h0, g0 = np.asarray(encoder(source)), np.zeros((5, 4), "float32")
    expected = decoder([tokens, h0, g0])["y"]
    assert_same(expected, rnnport.load(artifact, provider="cpu").run(source, tokens)["y"])


def input_feeding() -> Any:
    """Decoder (token, h_prev, ctx_prev) to scores and the next two, all states of one size."""
    token = pairs.ids("token", 1)
    h, ctx = (keras.Input((UNITS,), name=name) for name in ("h_prev", "ctx_prev"))
    x = L.Concatenate()([pairs.embedded(token, TARGET), L.Reshape((1, UNITS))(ctx)])
    y, after = L.GRU(UNITS, return_sequences=True, return_state=True)(x, initial_state=h)
    fed = L.Dense(UNITS, activation="tanh")(L.Concatenate()([after, ctx]))
    following = [L.Identity(name="h")(after), L.Identity(name="ctx")(fed)]
    return keras.Model([token, h, ctx], [L.Dense(TARGET)(y), *following])


def test_one_encoder_output_and_two_states_of_its_size(tmp_path: Path) -> None:
    """Where names do not tell which state it starts, nothing is guessed."""
    encoder, decoder = pairs.loud(encoder_of(), 1), pairs.loud(input_feeding(), 2)
    given = {"decoder": decoder, "states": {"h_prev": "h", "ctx_prev": "ctx"}}
    with pytest.raises(UnsupportedModel, match=r"inputs 2 tensors h_prev .* is not clear"):
        rnnport.export(None, tmp_path / "out", encoder=encoder, **given)
    assert not list(tmp_path.iterdir())
    named = keras.Model(encoder.inputs, {"h_prev": encoder.outputs[0]})
    artifact = rnnport.export(None, tmp_path / "out", encoder=named, **given)
    form = artifact.manifest.forms["decoder"]
    starts = [("h_prev_in", "h_prev_start"), ("ctx_prev_in", "")]
    assert [(state.input, state.start) for state in form.states] == starts
    note = "the decoder's state 'ctx_prev' starts from zeros: no encoder output is for it"
    assert note in artifact.manifest.notes
    source, expected = sources(padded=False, rows=4), []
    for row in source:
        states, token, ids = [np.asarray(encoder(row[None])), np.zeros((1, UNITS))], START, []
        for _ in range(5):
            y, *states = plain(decoder([np.array([[token]]), *states]))
            token = int(y.argmax())
            ids.append(token)
        expected.append(ids)
    runner = rnnport.load(artifact, provider="cpu")
    received = runner.generate(source, start=START, stop=None, max_steps=5)
    assert [row.tolist() for row in received] == expected


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ({"nobody": "next"}, "states | received: 'nobody' | expected: one of what the decoder tak"),
        ({"h": "nothing"}, "states | received: 'nothing' | expected: one of what the decoder give"),
        ({"h": "dense"}, "expected: a state and its next value, of one shape and dtype"),
    ],
)
def test_states_that_cannot_be(states: dict[str, str], text: str, tmp_path: Path) -> None:
    decoder = one_state()
    states = {name: decoder.output_names[0] if o == "dense" else o for name, o in states.items()}
    with pytest.raises(UsageError) as caught:
        rnnport.export(None, tmp_path / "out", encoder=encoder_of(), decoder=decoder, states=states)
    assert text in str(caught.value)
    assert not list(tmp_path.iterdir())


def two_own() -> Any:
    """Decoder (target, before, extra) to scores and the next state."""
    target = pairs.ids("target")
    extra, before = keras.Input((UNITS,), name="extra"), keras.Input((UNITS,), name="before")
    y, h = L.GRU(UNITS, return_sequences=True, return_state=True)(
        pairs.embedded(target, TARGET), initial_state=before
    )
    y = L.Add()([L.Dense(TARGET)(y), L.Reshape((1, TARGET))(L.Dense(TARGET)(extra))])
    return keras.Model([target, before, extra], [y, h])


def test_own_inputs_named(tmp_path: Path) -> None:
    """A memory that the decoder is given anew is not the encoder's, whatever its shape."""
    encoder, decoder = encoder_of(), two_own()
    given = {"encoder": encoder, "decoder": decoder, "decoder_inputs": ["target", "extra"]}
    artifact = rnnport.export(None, tmp_path / "out", **given)
    form = artifact.manifest.forms["decoder"]
    assert [p.name for p in form.per_step] == ["target", "extra"]
    with pytest.raises(UsageError, match="received: nobody"):
        rnnport.export(None, tmp_path / "two", **(given | {"decoder_inputs": "nobody"}))
    assert not (tmp_path / "two").exists()


class Broadcasting(keras.Model):  # type: ignore[misc]
    """Takes any length, but reads its state once a call: chunks are no steps."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = L.Embedding(TARGET, UNITS), L.Dense(TARGET)

    def call(self, x: Any, h: Any) -> Any:
        y = tf.tanh(self.embedding(x) + h[:, None])
        return self.head(y), y[:, -1]


SPECS = {"decoder": [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, UNITS])]}


def test_chunks_that_are_no_steps(tmp_path: Path) -> None:
    """Then decoder.onnx takes one step, while model.onnx computes what Keras computes."""
    decoder = Broadcasting()
    decoder(np.ones((2, 3), "int32"), np.ones((2, UNITS), "float32"))
    given = {"encoder": encoder_of(), "decoder": pairs.loud(decoder, 1), "input_signature": SPECS}
    artifact = rnnport.export(None, tmp_path / "out", **given)
    assert artifact.manifest.forms["decoder"].per_step[0].shape == ["B", 1]
    assert artifact.manifest.forms["model"].inputs[1].shape == ["B", "T2"]
    assert artifact.manifest.notes == ["decoder.onnx takes one step at a time"]


def test_no_state_to_go_on_from(tmp_path: Path) -> None:
    """A decoder of whole sequences: its steps would all begin where the encoder ended."""
    trained = one_state()
    decoder = keras.Model(trained.inputs, trained.outputs[0])
    with pytest.raises(UnsupportedModel, match="none of them a next state") as caught:
        rnnport.export(None, tmp_path / "out", encoder=encoder_of(), decoder=decoder)
    assert "return them" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_arguments_that_keras_does_not_record(tmp_path: Path) -> None:
    encoder, decoder = pairs.bahdanau()
    with pytest.raises(MissingSignature) as caught:
        rnnport.export(None, tmp_path / "out", encoder=encoder, decoder=decoder)
    assert 'remedy: pass input_signature={"decoder": […]}' in str(caught.value)
    with pytest.raises(UsageError, match="a signature for each of the two models"):
        rnnport.export(
            None, tmp_path / "out", encoder=encoder, decoder=decoder, input_signature=[1]
        )
    assert not list(tmp_path.iterdir())


def test_a_mask_that_predict_loses(tmp_path: Path) -> None:
    """The graphs compute what predict computes; the manifest says that tensors give another."""
    source, token = pairs.ids("source"), pairs.ids("token", 1)
    memory, h = L.GRU(UNITS, return_sequences=True, return_state=True)(
        pairs.embedded(source, SOURCE, mask=True)
    )
    held, before = keras.Input((None, UNITS), name="memory"), keras.Input((UNITS,), name="h")
    y, after = L.GRU(UNITS, return_sequences=True, return_state=True)(
        pairs.embedded(token, TARGET), initial_state=before
    )
    y = L.Concatenate()([y, L.Attention()([y, held])])
    encoder = pairs.loud(keras.Model(source, [memory, h]), 1)
    decoder = pairs.loud(keras.Model([token, before, held], [L.Dense(TARGET)(y), after]), 2)
    artifact = rnnport.export(None, tmp_path / "out", encoder=encoder, decoder=decoder)
    note = next(n for n in artifact.manifest.notes if n.startswith("called on tensors"))
    assert note.endswith("a decoder that needs the mask must take it as an input")
    rows, x = sources(padded=True), np.ones((5, 1), "int32")
    states = encoder(rows)[::-1]
    with pytest.warns(UserWarning, match="a mask attached to it"):
        carried, _ = decoder([tf.constant(x), *states])
    dropped, _ = decoder([x, *plain(states)])
    assert np.abs(np.asarray(carried) - np.asarray(dropped)).max() > 1e-3
    received, _ = rnnport.load(artifact, provider="cpu").run(rows, x)
    assert_same(dropped, received)


LENGTH = 8


def attention_first(first: str, vocabulary: int = TARGET) -> pairs.Pair:
    """Scores behind the weights of an attention over a source of one length, in a dict."""
    source, token = keras.Input((LENGTH,), dtype="int32", name="source"), pairs.ids("token", 1)
    memory = L.GRU(UNITS, return_sequences=True)(pairs.embedded(source, SOURCE))
    h = L.Dense(UNITS, activation="tanh")(L.Flatten()(memory))
    held, before = keras.Input((LENGTH, UNITS), name="memory"), keras.Input((UNITS,), name="h")
    y, after = L.GRU(UNITS, return_sequences=True, return_state=True)(
        pairs.embedded(token, vocabulary), initial_state=before
    )
    read, weights = L.Attention()([y, held], return_attention_scores=True)
    scores = L.Dense(vocabulary)(L.Concatenate()([y, read]))
    given = {first: weights, "scores": scores, "h": after}
    encoder = keras.Model(source, {"memory": memory, "h": h})
    decoder = keras.Model({"token": token, "memory": held, "h": before}, given)
    return pairs.loud(encoder, 3), pairs.loud(decoder, 4)


@pytest.mark.parametrize("first", ["alpha", "z"])
def test_scores_that_are_not_the_first_output(first: str, tmp_path: Path) -> None:
    """Found by the vocabulary; "z" leaves a state first, by its key."""
    encoder, decoder = attention_first(first)
    wish = Generate(start=START, stop=STOP, max_steps=STEPS)
    artifact = rnnport.export(
        None, tmp_path / "out", encoder=encoder, decoder=decoder, generate=wish
    )
    form = artifact.manifest.forms["decoder"]
    shapes = {port.name: port.shape for port in form.outputs}
    wide = {first: ["B", "T", LENGTH], "scores": ["B", "T", TARGET]}
    assert shapes == wide | ({"h": ["B", UNITS]} if first == "z" else {})
    assert next(iter(shapes)) != "scores"
    assert [(s.input, s.output) for s in form.states] == [("h_in", "h_out")]
    source, expected = sources(padded=False, rows=6, length=LENGTH), []
    for row in source:
        given, token, ids = plain(encoder(row[None])), START, []
        while len(ids) < STEPS:
            y = plain(decoder({**given, "token": np.array([[token]], "int32")}))
            given, token = {**given, "h": y["h"]}, int(y["scores"].argmax())
            if token == STOP:
                break
            ids.append(token)
        expected.append(ids)
    assert max(max(ids) for ids in expected) >= LENGTH
    assert len(set(map(tuple, expected))) > 2
    runner = rnnport.load(artifact, provider="cpu")
    keywords = {"start": START, "stop": STOP, "max_steps": STEPS}
    assert [row.tolist() for row in runner.generate(source, **keywords)] == expected
    session = ort.InferenceSession(str(artifact.forms["generate"]))
    (ids,) = session.run(None, {session.get_inputs()[0].name: source})
    assert [[i for i in row if i >= 0] for row in ids.tolist()] == expected
    with pytest.raises(UsageError, match=r"^output \| received: 'nobody'"):
        runner.generate(source, **keywords, output="nobody")


def test_scores_that_are_not_clear(tmp_path: Path) -> None:
    encoder, decoder = attention_first("alpha", LENGTH)
    wish = Generate(start=START, stop=STOP, max_steps=STEPS, beam_width=2)
    given: dict[str, Any] = {"encoder": encoder, "decoder": decoder}
    with pytest.raises(UsageError) as caught:
        rnnport.export(None, tmp_path / "out", **given, generate=wish)
    listed = f"alpha float32 (B, T, {LENGTH}), scores float32 (B, T, {LENGTH})"
    assert str(caught.value) == (
        f"generate | received: outputs {listed}; which of them is fed back is not clear | "
        f"expected: exactly one float output (B, T, {LENGTH}) or (B, {LENGTH}), as wide as what "
        "'token' takes | remedy: pass Generate(…, output=) with the name of one of them"
    )
    wish = msgspec.structs.replace(wish, output="scores")
    artifact = rnnport.export(None, tmp_path / "out", **given, generate=wish)
    assert rnnport.open(artifact.path).manifest.generate == wish
    source, runner = sources(padded=False, length=LENGTH), rnnport.load(artifact, provider="cpu")
    keywords = {"start": START, "stop": STOP, "max_steps": STEPS, "beam_width": 2}
    with pytest.raises(NotGenerative, match="which of them is fed back is not clear"):
        runner.generate(source, **keywords)
    (ids, _) = ort.InferenceSession(str(artifact.forms["generate"])).run(None, {"source": source})
    found = [row.tolist() for row in runner.generate(source, **keywords, output="scores")]
    assert [[i for i in row if i >= 0] for row in ids.tolist()] == found
    assert found != [row.tolist() for row in runner.generate(source, **keywords, output="alpha")]


def test_what_the_decoder_does_not_take(tmp_path: Path) -> None:
    source = pairs.ids("source")
    memory, h = L.GRU(UNITS, return_sequences=True, return_state=True)(
        pairs.embedded(source, SOURCE)
    )
    encoder = keras.Model(source, {"memory": memory, "h": h})
    artifact = rnnport.export(None, tmp_path / "out", encoder=encoder, decoder=one_state())
    assert artifact.manifest.notes == ["the decoder does not take 'memory'"]
    assert [p.name for p in artifact.manifest.forms["encoder"].outputs] == ["h_start", "memory"]
