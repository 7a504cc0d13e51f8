"""run_many on exported models: every sequence gets what it gets alone, and what Keras gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.runtime.runner import Runner
from rnnport.samples import draw
from tests.tiny_keras import assert_same, lively

# Keras warns of the mask that one of the models loses.
pytestmark = pytest.mark.filterwarnings("ignore:Layer 'conv")

L = keras.layers
FEATURES, WORDS = 3, 11


def timed(masked: bool) -> tuple[Any, Any]:
    x = keras.Input((None, FEATURES), name="x")
    return x, L.Masking(0.0)(x) if masked else x


def stack(masked: bool) -> Any:
    """Every step, the last one and a state, in a dict."""
    x, h = timed(masked)
    h = L.LSTM(5, return_sequences=True)(h)
    y, state = L.GRU(4, return_sequences=True, return_state=True)(h)
    return keras.Model(x, {"steps": L.Dense(2)(y), "last": L.LSTM(3)(h), "state": state})


def one(layer: Callable[[], Any], masked: bool) -> Any:
    x, h = timed(masked)
    return keras.Model(x, L.Dense(2)(layer()(h)))


def words() -> Any:
    ids = keras.Input((None,), dtype="int32", name="ids")
    h = L.Embedding(WORDS, 4, mask_zero=True)(ids)
    h = L.MultiHeadAttention(2, 3)(h, h)
    return keras.Model(ids, L.Bidirectional(L.GRU(4))(h))


def dropping() -> Any:
    """A mask that convolutions lose sight of; the second one sees the first one's biases."""
    x, h = timed(masked=True)
    h = L.Conv1D(4, 3, padding="same", name="conv1")(h)
    h = L.Conv1D(4, 3, padding="same", name="conv2")(h)
    return keras.Model(x, L.GRU(4, return_sequences=True)(h))


def several() -> Any:
    x, h = timed(masked=True)
    ids = keras.Input((None,), dtype="int32", name="ids")
    speaker = keras.Input((4,), name="speaker")
    words = L.Embedding(WORDS, 4, mask_zero=True)(ids)
    steps = L.LSTM(4, return_sequences=True)(h, initial_state=[speaker, L.GRU(4)(words)])
    return keras.Model([x, ids, speaker], [steps, L.SimpleRNN(3)(words)])


@dataclass(frozen=True)
class Case:
    build: Callable[[], Any]
    pads: list[str]
    target: str = "portable"


CASES = {
    "masked": Case(lambda: stack(masked=True), ["T"]),
    "masked, cpu": Case(lambda: stack(masked=True), ["T"], "cpu"),
    "unmasked": Case(lambda: stack(masked=False), []),
    "causal": Case(lambda: one(lambda: L.LSTM(5, return_sequences=True), False), ["T"]),
    "both ways": Case(
        lambda: one(lambda: L.Bidirectional(L.LSTM(5, return_sequences=True)), True), ["T"]
    ),
    # Keras turns the padding round with the rest.
    "backwards": Case(
        lambda: one(lambda: L.GRU(5, return_sequences=True, go_backwards=True), True), []
    ),
    "words": Case(words, ["T"]),
    "dropping": Case(dropping, []),
    "several": Case(several, ["T", "T2"]),
}


@dataclass(frozen=True)
class Subject:
    model: Any
    artifact: Artifact
    runner: Runner


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    folder = tmp_path_factory.mktemp("many")
    found = {}
    for number, (name, case) in enumerate(CASES.items()):
        model = lively(case.build(), seed=number)
        artifact = rnnport.export(model, folder / str(number), target=case.target)
        found[name] = Subject(model, artifact, rnnport.load(artifact, provider="cpu", threads=1))
    return found


def sequences(runner: Runner, lengths: list[tuple[int, int]], seed: int) -> list[Any]:
    """One dict of inputs by name for each pair of lengths; some steps of some are masked."""
    ports = runner.manifest.forms["model"].inputs
    kinds = ("none", "interior", "right", "left")
    drawn = [
        draw(ports, {"B": 1, "T": t, "T2": t2}, mask=kinds[n % 4], seed=seed + n)
        for n, (t, t2) in enumerate(lengths)
    ]
    return [{name: array[0] for name, array in inputs.items()} for inputs in drawn]


def alone(run: Callable[[Any], Any], sequence: Any) -> Any:
    made = run({name: array[None] for name, array in sequence.items()})
    return keras.tree.map_structure(lambda y: np.asarray(y)[0], made)


pairs = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=12)


@pytest.mark.parametrize("name", CASES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pairs, st.integers(1, 6), st.sampled_from([0.0, 0.2, 0.6, 0.95]), st.integers(0, 99))
def test_each_gets_what_it_gets_alone(
    name: str,
    subjects: dict[str, Subject],
    lengths: list[tuple[int, int]],
    max_batch: int,
    waste: float,
    seed: int,
) -> None:
    runner = subjects[name].runner
    given = sequences(runner, lengths, seed)
    found = runner.run_many(given, max_batch=max_batch, waste=waste)
    assert len(found) == len(given)
    for sequence, received in zip(given, found, strict=True):
        expected = alone(runner.run, sequence)
        assert type(expected) is type(received)
        assert_same(expected, received, 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_each_gets_what_keras_gives_it(name: str, subjects: dict[str, Subject]) -> None:
    subject = subjects[name]

    def ask(inputs: dict[str, np.ndarray]) -> Any:
        arrays = list(inputs.values())
        return subject.model(arrays if len(arrays) > 1 else arrays[0])

    given = sequences(subject.runner, [(9, 3), (2, 7), (14, 1), (9, 5), (5, 7)], seed=7)
    found = subject.runner.run_many(given, waste=0.9)
    for sequence, received in zip(given, found, strict=True):
        assert_same(alone(ask, sequence), received)


@pytest.mark.parametrize("name", CASES)
def test_what_export_saw(name: str, subjects: dict[str, Subject]) -> None:
    """Rows are padded where that changes nothing; where it would, it changes much."""
    subject = subjects[name]
    manifest = subject.artifact.manifest
    form = manifest.forms["model"]
    assert form.pads == CASES[name].pads
    if not form.pads:
        forms = {**manifest.forms, "model": msgspec.structs.replace(form, pads=["T"])}
        rash = msgspec.structs.replace(manifest, forms=forms)
        runner = rnnport.load(Artifact.of(subject.artifact.path, rash), provider="cpu")
        given = sequences(runner, [(20, 1), (3, 1)], seed=3)
        wrong = runner.run_many(given, waste=0.9)[1]
        right = alone(subject.runner.run, given[1])
        errors = [
            np.abs(w - r).max()
            for w, r in zip(keras.tree.flatten(wrong), keras.tree.flatten(right), strict=True)
        ]
        assert max(errors) > 1e-2


def test_isolation(subjects: dict[str, Subject]) -> None:
    """NaN in one sequence is that sequence's own affair."""
    runner = subjects["masked"].runner
    given = sequences(runner, [(6, 1), (9, 1), (4, 1)], seed=5)
    before = runner.run_many(given, waste=0.9)
    given[1]["x"][2:] = np.nan
    after = runner.run_many(given, waste=0.9)
    assert not np.allclose(before[1]["last"], after[1]["last"], atol=1e-3)
    for n in (0, 2):
        assert_same(before[n], after[n], 0.0)
