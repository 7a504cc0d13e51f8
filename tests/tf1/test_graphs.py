"""Frozen graphs and SavedModels without Keras: through tf2onnx, with states where named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

import rnnport
from rnnport.cli.main import app
from rnnport.errors import ModelFileError, UsageError

v1 = tf.compat.v1
CLOSED = "a graph keeps nothing of its recurrent layers: tf2onnx converted it as it is, unfused"
X = np.random.default_rng(2).standard_normal((2, 5, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """step.pb and the SavedModel folder `saved`: one step of a recurrence; and its weights."""
    folder = tmp_path_factory.mktemp("graphs")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        h = v1.placeholder(tf.float32, [None, 4], name="h")
        w = v1.get_variable("w", [7, 4])
        following = tf.tanh(tf.concat([x, h], 1) @ w, name="next")
        y = tf.identity(following * 2, name="y")
        session.run(v1.global_variables_initializer())
        weights = session.run(w)
        frozen = v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), ["y"]
        )
        tf.io.write_graph(frozen, str(folder), "step.pb", as_text=False)
        tf.io.write_graph(session.graph.as_graph_def(), str(folder), "open.pb", as_text=False)
        v1.saved_model.simple_save(
            session, str(folder / "saved"), {"x": x, "h": h}, {"y": y, "n": following}
        )
    return folder, weights


def steps(weights: Any) -> np.ndarray[Any, Any]:
    h, outputs = np.zeros((2, 4), np.float32), []
    for t in range(X.shape[1]):
        h = np.tanh(np.concatenate([X[:, t], h], 1) @ weights)
        outputs.append(2 * h)
    return np.stack(outputs, 1)


@pytest.mark.parametrize(
    ("name", "states", "kind"),
    [
        ("step.pb", {"h": "next"}, "frozen graph"),
        ("step.pb", {"h:0": "next:0"}, "frozen graph"),
        ("saved", {"h": "n"}, "SavedModel"),
    ],
)
def test_named_states_stream(
    graphs: tuple[Path, Any], name: str, states: dict[str, str], kind: str, tmp_path: Path
) -> None:
    folder, weights = graphs
    artifact = rnnport.export(folder / name, tmp_path / "out", states=states)
    manifest = artifact.manifest
    assert (manifest.source["kind"], manifest.notes) == (kind, [CLOSED])
    assert manifest.streamable.ok, manifest.streamable.reason
    (state,) = manifest.forms["stream"].states
    assert (state.input, state.output, state.shape) == ("h_in", "h_out", ["B", 4])
    stepper = rnnport.load(artifact, provider="cpu").stepper(batch_size=2)
    received = np.stack([stepper.step(X[:, t]) for t in range(5)], 1)
    np.testing.assert_allclose(received, steps(weights), rtol=0, atol=1e-6)
    report = rnnport.verify(artifact, model=folder / name, states=states)
    assert report.passed, report.failures
    assert any(check.name.startswith("fresh") for check in report.checks)


def test_without_states(graphs: tuple[Path, Any], tmp_path: Path) -> None:
    artifact = rnnport.export(graphs[0] / "step.pb", tmp_path / "out")
    assert [p.name for p in artifact.manifest.forms["model"].inputs] == ["x", "h"]
    assert not artifact.manifest.streamable.ok
    h = np.ones((2, 4), np.float32)
    received = rnnport.load(artifact, provider="cpu").run(X[:, 0], h)
    expected = 2 * np.tanh(np.concatenate([X[:, 0], h], 1) @ graphs[1])
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


def test_states_on_the_command_line(graphs: tuple[Path, Any], tmp_path: Path) -> None:
    words = ["export", str(graphs[0] / "step.pb"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--state", "h:0=next:0"])
    assert done.exit_code == 0, done.output
    assert rnnport.open(tmp_path / "out").manifest.streamable.ok
    done = CliRunner().invoke(app, [*words, "--overwrite", "--state", "h"])
    assert done.exit_code == 2
    assert "IN=OUT" in done.output + done.stderr


def refused(kind: type[Exception], model: Path, out: Path, **keywords: Any) -> str:
    with pytest.raises(kind) as caught:
        rnnport.export(model, out / "out", **keywords)
    assert not (out / "out").exists()
    return str(caught.value)


def test_states_that_are_not_there(graphs: tuple[Path, Any], tmp_path: Path) -> None:
    states = {"q": "next", "h": "nope"}
    text = refused(UsageError, graphs[0] / "step.pb", tmp_path, states=states)
    assert text.splitlines() == [
        "state 'q:0' | received: no input of that name | expected: one of x:0, h:0 | "
        "remedy: correct it",
        "state 'h:0' | received: its next value 'nope:0' is no tensor of the graph | "
        "expected: a tensor's name, as in 'lstm/add:0' | remedy: correct it",
    ]


def test_a_saved_model_without_signatures(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    assert refused(ModelFileError, tmp_path / "none", tmp_path) == (
        f"{tmp_path / 'none'} | received: signatures: none | expected: a signature named "
        "serving_default, or only one | remedy: save it with tf.saved_model.save(model, path, "
        "signatures=model_function)"
    )


def test_a_graph_with_variables(graphs: tuple[Path, Any], tmp_path: Path) -> None:
    text = refused(ModelFileError, graphs[0] / "open.pb", tmp_path)
    assert "received: a graph with variables: w | expected: constants in their place" in text


def test_no_graph_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(b"\xffnothing")
    assert "no GraphDef" in refused(ModelFileError, tmp_path / "x.pb", tmp_path)
