"""Interception stays inside the traced call; the model is left as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import rnnport
from rnnport.capture.context import TraceContext
from rnnport.capture.intercept import current, intercepting
from rnnport.capture.patches import EAGER_PATCHES, GRAPH_PATCHES, TRACE_PATCHES
from rnnport.errors import ConversionError, RnnportError
from tests.tiny_keras import LOOPS, assert_same, bits, lively, normal, ops, reasons

L = keras.layers
X = normal(2, 7, 3)
_ABSENT = object()


def _methods() -> list[Any]:
    """What stands in the patched classes right now."""
    patches = [*TRACE_PATCHES, *EAGER_PATCHES, *GRAPH_PATCHES]
    return [vars(p.owner).get(p.name, _ABSENT) for p in patches]


@pytest.fixture(autouse=True)
def classes_untouched() -> Iterator[None]:
    before = _methods()
    yield
    assert all(a is b for a, b in zip(before, _methods(), strict=True))
    assert current() is None


def _functional(kind: str = "LSTM", units: int = 4, **options: Any) -> Any:
    x = keras.Input((None, 3))
    return lively(keras.Model(x, getattr(L, kind)(units, **options)(x)), seed=units)


class _Failing(keras.Model):
    """Raises while `broken`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.rnn = L.GRU(4)
        self.error = error
        self.broken = False

    def call(self, x: Any) -> Any:
        y = self.rnn(x)
        if self.broken:
            raise self.error
        return y


def test_an_exception_in_call_leaves_everything_as_it_was(tmp_path: Path) -> None:
    model = _Failing(ValueError("the moon is full"))
    before = bits(model(X))
    model.broken = True
    with pytest.raises(RnnportError, match="the moon is full") as caught:
        rnnport.export(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert caught.value.reasons[0].received.startswith("ValueError: the moon is full")
    model.broken = False
    assert bits(model(X)) == before
    artifact = rnnport.export(model, tmp_path / "out")
    assert ops(artifact)["GRU"] == 1
    assert_same(model(X), rnnport.load(artifact).run(X))


def test_an_interruption_leaves_everything_as_it_was(tmp_path: Path) -> None:
    model = _Failing(KeyboardInterrupt())
    model(X)
    before = _methods()
    model.broken = True
    with pytest.raises(KeyboardInterrupt):
        rnnport.export(model, tmp_path / "out")
    assert all(a is b for a, b in zip(before, _methods(), strict=True))
    assert list(tmp_path.iterdir()) == []


def test_failure_names_the_layer(tmp_path: Path) -> None:
    class Picky(L.Layer):
        def call(self, x: Any) -> Any:
            raise TypeError("no tensors today")

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    x = keras.Input((None, 3))
    model = keras.Model(x, Picky(name="picky_one")(L.LSTM(2)(x)), name="whole")
    with pytest.raises(ConversionError) as caught:
        rnnport.export(model, tmp_path / "out")
    subject, received, expected, remedy = next(iter(reasons(caught.value)))
    assert subject == "tracing of 'whole', layer 'picky_one'"
    assert received == "TypeError: no tensors today"
    assert expected == "a model that TensorFlow can trace"
    assert remedy.startswith("check that the model runs under tf.function with these shapes: ")


def test_patches_are_in_place_inside_and_gone_outside() -> None:
    before = _methods()
    context = TraceContext()
    with intercepting(context, TRACE_PATCHES):
        assert current() is context
        assert all(
            a is not b for a, b in zip(before[: len(TRACE_PATCHES)], _methods(), strict=False)
        )
        with context.standing_aside():
            assert current() is None
    assert current() is None


def test_another_thread_sees_keras_as_it_was() -> None:
    seen: list[Any] = []
    layer = L.LSTM(3)
    expected = bits(layer(X))

    def other() -> None:
        seen.append(current())
        seen.append(bits(layer(X)))

    with intercepting(TraceContext(), TRACE_PATCHES):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(60)
    assert seen == [None, expected]


def test_two_exports_in_a_row(tmp_path: Path) -> None:
    model = _functional()
    first = rnnport.export(model, tmp_path / "first")
    second = rnnport.export(model, tmp_path / "second")
    one, two = first.manifest.forms["model"], second.manifest.forms["model"]
    assert one.op_counts == two.op_counts
    assert one.record.sha256 == two.record.sha256
    assert_same(model(X), rnnport.load(second).run(X))


def test_exports_in_threads_while_another_thread_works(tmp_path: Path) -> None:
    models = [_functional("LSTM"), _functional("GRU", 5, activation="gelu"), _functional(units=6)]
    bystander = _functional("SimpleRNN", 5, return_sequences=True)
    expected = bits(bystander(X))
    predicted = bits(bystander.predict(X, verbose=0))
    stop, rounds, fresh = threading.Event(), [], []

    def work() -> None:
        while not stop.is_set():
            rounds.append(bits(bystander(X)) == expected)
            rounds.append(bits(bystander.predict(X, verbose=0)) == predicted)
            built = L.GRU(2)
            built(X)
            graph = tf.function(built)
            fresh.append(np.allclose(graph(X), built(X), atol=1e-6))

    with ThreadPoolExecutor(4) as pool:
        worker = pool.submit(work)
        exports = [
            pool.submit(rnnport.export, model, tmp_path / str(n)) for n, model in enumerate(models)
        ]
        try:
            artifacts = [e.result(timeout=120) for e in exports]
        finally:
            stop.set()
        worker.result(timeout=120)
    assert rounds
    assert all(rounds)
    assert fresh
    assert all(fresh)
    for model, artifact in zip(models, artifacts, strict=True):
        assert_same(model(X), rnnport.load(artifact).run(X))
    assert [sum(ops(a)[k] for k in ("LSTM", "GRU", "Scan")) for a in artifacts] == [1, 1, 1]
    assert ops(artifacts[1])["Scan"] == 1


def test_training_goes_on_after_export(tmp_path: Path) -> None:
    x = keras.Input((None, 3))
    model = lively(keras.Model(x, L.Dense(1)(L.Dropout(0.5)(L.LSTM(4)(x)))))
    model.compile("sgd", "mse")
    before, predicted = bits(model(X)), bits(model.predict(X, verbose=0))
    rnnport.export(model, tmp_path / "before")
    assert bits(model(X)) == before
    assert bits(model.predict(X, verbose=0)) == predicted
    model.fit(X, np.ones((2, 1), "float32"), epochs=2, verbose=0)
    assert bits(model(X)) != before
    after = bits(model(X))
    artifact = rnnport.export(model, tmp_path / "after")
    assert bits(model(X)) == after
    assert_same(model(X), rnnport.load(artifact).run(X))


def test_training_twins_agree(tmp_path: Path) -> None:
    """Training steps after an export are those of a model that never was exported."""

    def trained(export: bool) -> list[bytes]:
        model = _functional("GRU")
        model.compile(keras.optimizers.Adam(0.01), "mse")
        if export:
            rnnport.export(model, tmp_path / "out")
        model.fit(X, np.ones((2, 4), "float32"), epochs=3, verbose=0, shuffle=False)
        return bits(model.get_weights())

    assert trained(export=True) == trained(export=False)


def test_stateful_states_stay(tmp_path: Path) -> None:
    x = keras.Input(batch_shape=(2, None, 3))
    y = L.LSTM(4, stateful=True, return_sequences=True)(x)
    y = L.Bidirectional(L.GRU(3, stateful=True))(y)
    model = lively(keras.Model(x, y))
    model(X)
    states = [v for layer in model._flatten_layers() for v in layer.non_trainable_variables]
    before = bits(states)
    assert any(np.abs(np.asarray(s)).max() > 0.01 for s in states)
    artifact = rnnport.export(model, tmp_path / "out")
    assert bits(states) == before
    report = rnnport.verify(artifact, model=model)
    assert report.passed
    assert bits(states) == before
    whole = model(X)
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()
    fresh = model(X)
    assert np.abs(np.asarray(whole) - np.asarray(fresh)).max() > 1e-3
    assert_same(fresh, rnnport.load(artifact).run(X))
    assert "stateful layers start from zero state in model.onnx" in artifact.manifest.notes


class _DecoratedCall(keras.Model):
    def __init__(self, *, built: bool = True) -> None:
        super().__init__()
        self.rnn = L.LSTM(4, return_sequences=True)
        self.second = L.GRU(3)
        if built:  # what Keras builds inside a tf.function it traces as constants
            self.rnn.build((None, None, 3))
            self.second.build((None, None, 4))

    @tf.function
    def call(self, x: Any) -> Any:
        return self.second(self.rnn(x))


class _DecoratedHelper(keras.Model):
    def __init__(self, *, built: bool = True) -> None:
        super().__init__()
        self.rnn = L.LSTM(4, return_sequences=True)
        self.second = L.GRU(3)
        if built:  # what Keras builds inside a tf.function it traces as constants
            self.rnn.build((None, None, 3))
            self.second.build((None, None, 4))
        self.both = tf.function(self._both)

    def _both(self, x: Any) -> Any:
        return self.second(self.rnn(x))

    def call(self, x: Any) -> Any:
        return 1.0 - self.both(x)


class _Branching(keras.Model):
    """AutoGraph has to turn the `if` into tf.cond."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = L.LSTM(4)
        self.rnn.build((None, None, 3))

    @tf.function
    def call(self, x: Any) -> Any:
        if tf.reduce_sum(x) > 0.0:  # noqa: SIM108
            x = 2.0 * x
        else:
            x = x - 1.0
        return self.rnn(x)


def _traces(model: Any) -> int:
    function = model.both if isinstance(model, _DecoratedHelper) else model.call
    return int(function.experimental_get_tracing_count())


@pytest.mark.parametrize("kind", [_DecoratedCall, _DecoratedHelper])
def test_decorated_and_called_before(kind: Callable[[], Any], tmp_path: Path) -> None:
    model = kind()
    lively(model)
    model(X)
    before, traces = bits(model(X)), _traces(model)
    assert traces == 1
    artifact = rnnport.export(model, tmp_path / "out")
    assert (ops(artifact)["LSTM"], ops(artifact)["GRU"]) == (1, 1)
    assert not LOOPS & set(ops(artifact))
    assert bits(model(X)) == before
    assert _traces(model) == traces
    assert_same(model(X), rnnport.load(artifact).run(X))
    assert rnnport.verify(artifact, model=model).passed
    assert _traces(model) == traces


@pytest.mark.parametrize("kind", [_DecoratedCall, _DecoratedHelper])
def test_decorated_and_never_called(kind: Callable[[], Any], tmp_path: Path) -> None:
    model = kind(built=False)
    signature = [tf.TensorSpec([None, None, 3], tf.float32)]
    artifact = rnnport.export(model, tmp_path / "out", input_signature=signature)
    assert _traces(model) == 0
    assert (ops(artifact)["LSTM"], ops(artifact)["GRU"]) == (1, 1)
    assert not LOOPS & set(ops(artifact))
    received = rnnport.load(artifact).run(X)
    assert_same(model(X), received)
    assert _traces(model) == 1
    lively(model)  # a trace left behind while building would have kept the old weights
    layers = model.second(model.rnn(X))
    assert_same(layers if kind is _DecoratedCall else 1.0 - layers, model(X))


def test_a_branch_on_tensors_in_a_decorated_call(tmp_path: Path) -> None:
    model = lively(_Branching())
    model(X)
    both = [np.abs(X), -np.abs(X)]
    before = [bits(model(x)) for x in both]
    artifact = rnnport.export(model, tmp_path / "out")
    assert ops(artifact)["LSTM"] == 1
    assert not {"Loop", "Scan"} & set(ops(artifact))
    runner = rnnport.load(artifact)
    for x in both:
        assert_same(model(x), runner.run(x))
    assert [bits(model(x)) for x in both] == before


class _BranchingLayers(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = L.LSTM(4), L.GRU(4)
        self.left.build((None, None, 3))
        self.right.build((None, None, 3))

    @tf.function
    def call(self, x: Any) -> Any:
        if tf.reduce_sum(x) > 0.0:  # noqa: SIM108
            y = self.left(x)
        else:
            y = self.right(x)
        return y


def test_recurrent_layers_inside_a_branch(tmp_path: Path) -> None:
    model = lively(_BranchingLayers())
    model(X)
    artifact = rnnport.export(model, tmp_path / "out")
    assert (ops(artifact)["LSTM"], ops(artifact)["GRU"]) == (1, 1)
    assert not {"Loop", "Scan"} & set(ops(artifact))
    runner = rnnport.load(artifact)
    for x in (np.abs(X), -np.abs(X)):
        assert_same(model(x), runner.run(x))


def test_a_tf_function_around_a_model(tmp_path: Path) -> None:
    model = _functional()
    function = tf.function(lambda x: 2.0 * model(x))
    before = bits(function(tf.constant(X)))
    traces = function.experimental_get_tracing_count()
    signature = [tf.TensorSpec([None, None, 3], tf.float32)]
    artifact = rnnport.export(function, tmp_path / "out", input_signature=signature)
    assert ops(artifact)["LSTM"] == 1
    assert not LOOPS & set(ops(artifact))
    assert_same(function(tf.constant(X)), rnnport.load(artifact).run(X))
    assert bits(function(tf.constant(X))) == before
    assert function.experimental_get_tracing_count() == traces
