"""onnxruntime-web under Node: the process, its frames, its end, and its numbers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from rnnport.errors import ArtifactDamaged, InputError, ProviderUnavailable
from rnnport.parity.tolerance import TOLERANCES
from rnnport.runtime.backends import web
from rnnport.runtime.backends.base import RunFailed
from rnnport.runtime.backends.reference import ReferenceSession
from rnnport.runtime.backends.web import FOLDER_VARIABLE, WEB_VERSION, Web, WebSession
from rnnport.runtime.backends.web_process import WebProcess
from rnnport.runtime.session import open_session, run_refused
from tests.backends import needs
from tests.runtime.backends.recurrent_graphs import recurrent_feeds, recurrent_model, saved
from tests.tiny import lstm_model

NAMED = f"onnxruntime-web {WEB_VERSION}"


def pid(session: WebSession) -> int:
    return int(session._process._process.pid)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def gru(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WebSession]:
    """One session for the tests that leave it as it is."""
    model = recurrent_model("GRU", lengths=True, initial=True, direction="bidirectional")
    path = saved(model, tmp_path_factory.mktemp("web"))
    return path, open_session(path, "web")


@needs("web")
def test_it_computes_what_the_reference_does(gru: tuple[Path, WebSession]) -> None:
    path, session = gru
    for batch, steps in ((1, 1), (5, 7), (3, 2)):
        feeds = recurrent_feeds(onnx.load(path), batch=batch, time=steps, least=1)
        expected, received = ReferenceSession(path).run(None, feeds), session.run(None, feeds)
        for y, z in zip(expected, received, strict=True):
            assert (y.shape, y.dtype) == (z.shape, z.dtype)
            assert np.abs(y - z).max() < TOLERANCES["web"]
    (last,) = session.run(["h_out"], feeds)
    np.testing.assert_array_equal(last, received[1])
    last[:] = 0  # a new array, which is the caller's
    assert [v.name for v in session.get_inputs()] == ["x", "lens", "h"]
    assert [v.name for v in session.get_outputs()] == ["y", "h_out"]


@needs("web")
def test_runs_from_several_threads_take_turns(gru: tuple[Path, WebSession]) -> None:
    path, session = gru
    model = onnx.load(path)
    given = [recurrent_feeds(model, batch=b % 4 + 1, time=b + 1, least=1, seed=b) for b in range(9)]
    alone = [session.run(None, feeds) for feeds in given]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda feeds: session.run(None, feeds), given))
    for a, b in zip(alone, together, strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, other)


@needs("web")
def test_a_run_it_refuses_leaves_the_session_usable(gru: tuple[Path, WebSession]) -> None:
    path, session = gru
    feeds = recurrent_feeds(onnx.load(path), batch=2, time=3, least=1)
    before = session.run(None, feeds)
    with pytest.raises(RunFailed) as caught:
        session.run(None, {"x": feeds["x"]})
    assert str(caught.value) == f"{NAMED}: input 'lens' is missing in 'feeds'."
    refused = run_refused("model.onnx", caught.value)
    assert isinstance(refused, InputError)
    assert refused.reasons[0].received == f"{NAMED}: input 'lens' is missing in 'feeds'."
    for y, z in zip(before, session.run(None, feeds), strict=True):
        np.testing.assert_array_equal(y, z)


@needs("web")
def test_every_dtype_goes_there_and_back(tmp_path: Path) -> None:
    values = {
        "float32": [0.1, -np.inf],
        "float64": [0.1, 1e300],
        "int64": [2**62 + 1, -(2**53) - 1],
        "int32": [-(2**31), 5],
        "uint8": [255, 0],
        "bool": [True, False],
    }
    infos = [
        [helper.make_tensor_value_info(f"{n}_{s}", helper.np_dtype_to_tensor_dtype(d), ["A", "B"])]
        for n in values
        for s in ("in", "out")
        for d in [np.dtype(n)]
    ]
    inputs, outputs = [i for (i,) in infos[::2]], [o for (o,) in infos[1::2]]
    nodes = [helper.make_node("Identity", [f"{n}_in"], [f"{n}_out"]) for n in values]
    graph = helper.make_graph(nodes, "copies", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = open_session(saved(model, tmp_path), "web")
    feeds = {f"{n}_in": np.array([v], n) for n, v in values.items()}
    for given, found in zip(feeds.values(), session.run(None, feeds), strict=True):
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found, given)
    empty = {name: array[:0] for name, array in feeds.items()}
    assert {y.shape for y in session.run(None, empty)} == {(0, 2)}


@needs("web")
def test_weights_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        lstm_model(),
        path,
        save_as_external_data=True,
        location="model.onnx.data",
        size_threshold=100,
    )
    x = {"x": np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)}
    (expected,), (received,) = (open_session(path, p).run(None, x) for p in ("cpu", "web"))
    assert np.abs(expected - received).max() < 1e-6


@needs("web")
def test_closing_ends_the_process(tmp_path: Path) -> None:
    model = recurrent_model("RNN")
    session = open_session(saved(model, tmp_path), "web")
    process = pid(session)
    assert alive(process)
    session.close()
    session.close()
    assert not alive(process)
    with pytest.raises(RunFailed) as caught:
        session.run(None, recurrent_feeds(model))
    assert str(caught.value) == f"{NAMED}: the session is closed"


@needs("web")
def test_a_process_that_dies_is_an_error_that_says_so(tmp_path: Path) -> None:
    model = recurrent_model("RNN")
    session = open_session(saved(model, tmp_path), "web")
    os.kill(pid(session), signal.SIGKILL)
    with pytest.raises(RunFailed) as caught:
        session.run(None, recurrent_feeds(model))
    assert str(caught.value).startswith(f"{NAMED}: no answer from Node (exit status -9): ")
    with pytest.raises(RunFailed, match="the session is closed"):
        session.run(None, recurrent_feeds(model))


OUTLIVED = """
import sys
from pathlib import Path
from rnnport.runtime.session import open_session
session = open_session(Path(sys.argv[1]), "web")
print(session._process._process.pid, flush=True)
{end}
"""


@needs("web")
@pytest.mark.parametrize(
    "end", ["", "del session", "import os; os.kill(os.getpid(), 9)"], ids=["exit", "del", "kill"]
)
def test_no_process_outlives_its_session(end: str, tmp_path: Path) -> None:
    path = saved(recurrent_model("RNN"), tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", OUTLIVED.format(end=end), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    process = int(done.stdout)
    deadline = time.monotonic() + 30
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(process)
    assert done.stderr == ""


@needs("web")
def test_a_graph_it_does_not_open(tmp_path: Path) -> None:
    model = recurrent_model("GRU")
    model.graph.node[0].input[0] = "nowhere"
    path = saved(model, tmp_path)
    with pytest.raises(ArtifactDamaged) as caught:
        open_session(path, "web")
    (reason,) = caught.value.reasons
    assert reason.subject == str(path)
    assert reason.received.startswith(f"{NAMED}: ")
    assert "nowhere" in reason.received
    assert reason.expected == "a graph that onnxruntime opens"


WORKERS = {
    "silent": ("", "no answer from Node (exit status 0): 0 bytes of an answer of 16"),
    "loud": (
        "console.error('broken'); process.exit(3)",
        "no answer from Node (exit status 3): broken",
    ),
    "talkative": (
        "console.log('hello, this is no frame at all'); setTimeout(() => {}, 60000)",
        "no answer from Node (exit status None): an answer that is no frame",
    ),
}


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node")
@pytest.mark.parametrize("worker", WORKERS)
def test_answers_that_are_no_frames(
    worker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = WORKERS[worker]
    script = tmp_path / "worker.mjs"
    script.write_text(code)
    monkeypatch.setattr("rnnport.runtime.backends.web_process._WORKER", script)
    node = shutil.which("node")
    assert node is not None
    process = WebProcess(node, tmp_path, "web")
    with pytest.raises(RunFailed) as caught:
        process.ask({"model": "m"}, {})
    assert str(caught.value) == f"web: {said}"
    assert not alive(process._process.pid)


def refused(**given: Any) -> str:
    with pytest.raises(ProviderUnavailable) as caught:
        Web().require(**given)
    return str(caught.value)


def test_node_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.shutil, "which", lambda name: None)
    assert refused() == (
        "provider 'web' | received: no program 'node' on the PATH | expected: Node 18 or later | "
        "remedy: install Node from your system's packages"
    )


def test_the_package_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(web.shutil, "which", lambda name: "/usr/bin/node")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    rest = (
        f"expected: npm's package onnxruntime-web | remedy: npm install onnxruntime-web@"
        f"{WEB_VERSION}, here or in a folder whose node_modules RNNPORT_NODE_MODULES names"
    )
    assert refused() == f"provider 'web' | received: no onnxruntime-web in {tmp_path} | {rest}"
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.chdir(tmp_path)
    assert refused() == (
        "provider 'web' | received: no onnxruntime-web in a node_modules folder here or above | "
        + rest
    )


def test_the_package_is_found_upwards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = tmp_path / "node_modules" / "onnxruntime-web" / "dist" / "ort.wasm.min.mjs"
    entry.parent.mkdir(parents=True)
    entry.touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.setattr(web.shutil, "which", lambda name: "/usr/bin/node")
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.chdir(below)
    Web().require()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "node_modules"))
    Web().require()
