"""States named by hand, of frozen graphs and SavedModels: what they become, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import rnnport
from rnnport.errors import UsageError

v1 = tf.compat.v1
X = np.random.default_rng(5).standard_normal((2, 6, 3)).astype(np.float32)


def taken(name: str, *shape: int, dtype: Any = tf.float32) -> Any:
    return v1.placeholder(dtype, [None, *shape], name=name)


def simple() -> None:
    """The next state is all that comes out."""
    x, h = taken("x", 3), taken("h", 4)
    tf.tanh(tf.concat([x, h], 1) @ v1.get_variable("w", [7, 4]), name="next")


def double() -> None:
    """Two states, h the output; and an input whose name looks like that of a state."""
    x, h, c = taken("x", 3), taken("h", 4), taken("c", 4)
    moved = tf.tanh(tf.concat([x, h], 1) @ v1.get_variable("w", [7, 4]))
    following = tf.add(0.5 * c, moved * tf.reduce_sum(taken("c_in", 1)), name="c2")
    tf.tanh(following, name="h2")
    tf.identity(following[:, 0], name="first")
    tf.cast(following, tf.float64, name="doubled")


def counting() -> None:
    x, n = taken("x", 3), v1.placeholder(tf.float32, [], name="n")
    tf.add(n, 1.0, name="n2")
    tf.multiply(x, n + 1, name="y")


def frozen(folder: Path, build: Callable[[], None], *outputs: str) -> tuple[Path, dict[str, Any]]:
    """The file, and the weights by name."""
    with tf.Graph().as_default(), v1.Session() as session:
        build()
        session.run(v1.global_variables_initializer())
        weights = {v.op.name: session.run(v) for v in v1.global_variables()}
        graph = v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), list(outputs)
        )
        tf.io.write_graph(graph, str(folder), f"{build.__name__}.pb", as_text=False)
    return folder / f"{build.__name__}.pb", weights


def saved(folder: Path) -> Path:
    with tf.Graph().as_default(), v1.Session() as session:
        simple()
        session.run(v1.global_variables_initializer())
        x, h, y = (session.graph.get_tensor_by_name(n) for n in ("x:0", "h:0", "next:0"))
        v1.saved_model.simple_save(session, str(folder / "saved"), {"x": x, "h": h}, {"h": y})
    return folder / "saved"


def test_a_next_value_that_is_the_only_output(tmp_path: Path) -> None:
    path, weights = frozen(tmp_path, simple, "next")
    artifact = rnnport.export(path, tmp_path / "out", states={"h": "next"})
    manifest = artifact.manifest
    assert manifest.streamable.ok, manifest.streamable.reason
    form = manifest.forms["stream"]
    assert [port.name for port in form.outputs] == ["next"]
    assert [(s.input, s.output, s.end) for s in form.states] == [("h_in", "h_out", "")]
    stepper = rnnport.load(artifact, provider="cpu").stepper(batch_size=2)
    h = np.zeros((2, 4), np.float32)
    for t in range(6):
        h = np.tanh(np.concatenate([X[:, t], h], 1) @ weights["w"])
        np.testing.assert_allclose(stepper.step(X[:, t]), h, rtol=0, atol=1e-6)
    np.testing.assert_allclose(stepper.state["h"], h, rtol=0, atol=1e-6)
    report = rnnport.verify(artifact, model=path, states={"h": "next"})
    assert report.passed, report.failures


def test_the_same_of_a_saved_model_whose_names_are_alike(tmp_path: Path) -> None:
    artifact = rnnport.export(saved(tmp_path), tmp_path / "out", states={"h": "h"})
    assert artifact.manifest.streamable.ok, artifact.manifest.streamable.reason
    (state,) = artifact.manifest.forms["stream"].states
    assert (state.input, state.output) == ("h_in", "h_out")
    runner = rnnport.load(artifact, provider="cpu")
    stepper = runner.stepper(batch_size=2)
    once = stepper.step(X[:, 0])
    assert np.abs(once).max() > 0.01
    np.testing.assert_allclose(stepper.step(X[:, 1]), runner.run(X[:, 1], once), rtol=0, atol=1e-6)


def test_of_two_states_and_nothing_else_the_first_stays_an_output(tmp_path: Path) -> None:
    path, weights = frozen(tmp_path, double, "h2")
    artifact = rnnport.export(path, tmp_path / "out", states={"h": "h2", "c": "c2"})
    form = artifact.manifest.forms["stream"]
    assert [port.name for port in form.inputs] == ["x", "c_in"]
    assert [port.name for port in form.outputs] == ["h2"]
    assert [(s.input, s.output) for s in form.states] == [("h_in", "h_out"), ("c_1_in", "c_1_out")]
    stepper = rnnport.load(artifact, provider="cpu").stepper(batch_size=2)
    h = c = np.zeros((2, 4), np.float32)
    scale = np.full((2, 1), 0.5, np.float32)
    for t in range(6):
        c = 0.5 * c + np.tanh(np.concatenate([X[:, t], h], 1) @ weights["w"])
        h = np.tanh(c)
        np.testing.assert_allclose(stepper.step(X[:, t], scale), h, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (
            {"h": "h2", "c": "h2"},
            "states 'h:0', 'c:0' | received: 'h2:0' as next value of each | "
            "expected: a next value of its own for each | remedy: correct it",
        ),
        (
            {"h": "x"},
            "state 'h:0' | received: its next value 'x:0' is an input of the graph | "
            "expected: a tensor the graph computes | remedy: correct it",
        ),
        (
            {"h": "h2", "h:0": "c2"},
            "state 'h:0' | received: named twice | expected: one next value | "
            "remedy: leave one out",
        ),
        (
            {"c2": "h2"},
            "state 'c2:0' | received: no input of that name | "
            "expected: one of x:0, h:0, c:0, c_in:0 | remedy: correct it",
        ),
        (
            {"h": "first"},
            "state 'h:0' | received: float32 (None, 4), and its next value 'first:0' "
            "float32 (None,) | expected: one dtype and shape | "
            "remedy: name what gives the state's next value",
        ),
        (
            {"h": "doubled"},
            "state 'h:0' | received: float32 (None, 4), and its next value 'doubled:0' "
            "float64 (None, 4) | expected: one dtype and shape | "
            "remedy: name what gives the state's next value",
        ),
    ],
)
def test_states_that_cannot_be_meant(states: dict[str, str], message: str, tmp_path: Path) -> None:
    path, _ = frozen(tmp_path, double, "h2", "first", "doubled")
    with pytest.raises(UsageError) as caught:
        rnnport.export(path, tmp_path / "out", states=states)
    assert str(caught.value) == message
    assert not (tmp_path / "out").exists()


def test_a_state_without_a_batch(tmp_path: Path) -> None:
    path, _ = frozen(tmp_path, counting, "n2", "y")
    with pytest.raises(UsageError) as caught:
        rnnport.export(path, tmp_path / "out", states={"n": "n2"})
    assert str(caught.value) == (
        "state 'n:0' | received: a single number | expected: a tensor with the batch as its first "
        "axis | remedy: let every row carry its own"
    )


def test_names_of_a_signature_are_taken_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        rnnport.export(saved(tmp_path), tmp_path / "out", states={"q": "h", "h": "x"})
    assert str(caught.value).splitlines() == [
        "state 'q' | received: no input of that name | expected: one of h, x | remedy: correct it",
        "state 'h' | received: its next value 'x' is no output of the signature | "
        "expected: one of h | remedy: correct it",
    ]
