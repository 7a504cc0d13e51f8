from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import tests.tiny as tiny
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import InputError, NotStreamable, NotYetAvailable, ProviderUnavailable
from rnnport.runtime.backends import cuda
from rnnport.runtime.cuda_probe import Probe
from rnnport.runtime.runner import load
from rnnport.spec import Port


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_every_way_to_run_one_input(lstm_folder: Path) -> None:
    runner = load(lstm_folder, provider="cpu")
    x = draw(2, 5, 3)
    y = runner.run(x)
    assert (y.shape, y.dtype) == ((2, 5, 4), np.float32)
    assert np.ptp(y) > 0.1
    for again in (
        runner.run(x=x),
        runner.run({"x": x}),
        runner.run(x.tolist()),
        runner.run(x.astype(np.float64)),
        runner.run_named({"x": x})["y"],
    ):
        np.testing.assert_array_equal(again, y)


def test_dicts_in_and_out(pair: Artifact) -> None:
    runner = load(pair, provider="cpu")
    left, ids = draw(2, 5, 2), np.arange(10).reshape(2, 5)
    assert runner.input_names == ("left", "ids")
    assert runner.output_names == ("sum/out:0", "twice")
    out = runner.run({"video": left, "words": ids})
    assert list(out) == ["sum", "twice"]
    np.testing.assert_array_equal(out["twice"], 2 * ids)
    np.testing.assert_array_equal(runner.run(left, ids=ids)["sum"], out["sum"])


def test_nan_passes_through(pair: Artifact) -> None:
    left = draw(2, 5, 2)
    left[1, 3, 0] = np.nan
    out = load(pair, provider="cpu").run(left, np.zeros((2, 5), np.int64))
    np.testing.assert_array_equal(np.isnan(out["sum"]), np.isnan(left))


@pytest.mark.parametrize(
    ("x", "received"),
    [
        (np.zeros((0, 5, 3)), "float64 (0, 5, 3)"),
        (np.zeros((2, 0, 3)), "float64 (2, 0, 3)"),
        (np.zeros((2, 5, 9)), "float64 (2, 5, 9)"),
        (np.zeros((5, 3)), "float64 (5, 3)"),
        (np.zeros((2, 5, 3), complex), "complex128 (2, 5, 3)"),
        ("text", "<U4 ()"),
    ],
)
def test_bad_input_never_reaches_onnxruntime(lstm_folder: Path, x: Any, received: str) -> None:
    runner = load(lstm_folder, provider="cpu")
    with pytest.raises(InputError) as caught:
        runner.run(x)
    (reason,) = caught.value.reasons
    assert (reason.subject, reason.received) == ("input 'x'", received)
    assert reason.expected == "float32 (B, T, 3)"
    assert reason.remedy
    assert runner.run(draw(1, 1, 3)).shape == (1, 1, 4)


def test_what_onnxruntime_refuses_is_an_input_error(tmp_path: Path, capfd: Any) -> None:
    """Ids beyond the vocabulary have the right shape and dtype."""
    runner = load(_gather_artifact(tmp_path / "out"), provider="cpu")
    with pytest.raises(InputError) as caught:
        runner.run(np.array([[9]]))
    (reason,) = caught.value.reasons
    assert reason.subject == "run of model.onnx"
    assert "out of data bounds" in reason.received
    assert reason.remedy.startswith("check that ids are below the vocabulary's size")
    assert capfd.readouterr() == ("", "")


def test_many_threads_one_runner(lstm_folder: Path) -> None:
    runner = load(lstm_folder, provider="cpu", threads=1)
    inputs = [draw(1 + n % 4, 1 + n % 7, 3, seed=n) for n in range(64)]
    alone = [runner.run(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(runner.run, inputs))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_cuda_where_there_is_none(lstm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        cuda, "probe_cuda", lambda: Probe(False, "asking the driver", "no GPU", "get one")
    )
    with pytest.raises(ProviderUnavailable, match="asking the driver failed: no GPU"):
        load(lstm_folder, provider="cuda")
    runner = load(lstm_folder)
    assert runner.provider == "cpu"
    assert repr(runner) == f"<Runner 'tiny' on cpu: {lstm_folder}>"


def test_stepper_says_why_not(lstm_folder: Path) -> None:
    with pytest.raises(NotStreamable) as caught:
        load(lstm_folder, provider="cpu").stepper()
    assert str(caught.value) == (
        "layer 'lstm' | received: it reads backwards | expected: a model that never looks ahead | "
        "remedy: use runner.run on whole sequences"
    )
    for open_pool in (
        load(lstm_folder, provider="cpu").pool,
        load(lstm_folder, provider="cpu").streams,
    ):
        with pytest.raises(NotStreamable, match="it reads backwards"):
            open_pool()


def test_an_artifact_without_model_onnx(lstm_folder: Path) -> None:
    artifact = open_artifact(lstm_folder)
    with pytest.raises(NotYetAvailable, match="received: forms stream"):
        load(Artifact(artifact.path, artifact.manifest, {"stream": artifact.forms["model"]}))


def _gather_artifact(out: Path) -> Artifact:
    """ids (B, T) to rows of a table of 7."""
    import msgspec

    from rnnport.artifact.golden import write_golden
    from rnnport.artifact.manifest import record
    from rnnport.artifact.save import staging

    table = np.arange(14, dtype=np.float32).reshape(7, 2)
    port = Port(name="y", dtype="float32", shape=["B", "T", 2])
    node = onnx.helper.make_node("Gather", ["table", "ids"], ["y"])
    model = tiny.make_model([node], [tiny.IDS], [port], {"table": table})
    template = tiny.lstm_artifact(out.parent / "template").manifest
    with staging(out) as draft:
        onnx.save(model, draft.folder / "model.onnx")
        write_golden(draft.folder / "golden.npz", tiny.golden_cases(model, [tiny.IDS]))
        return draft.commit(
            msgspec.structs.replace(
                template,
                forms={"model": tiny.form(draft.folder, [tiny.IDS], [port])},
                golden=record(draft.folder / "golden.npz"),
                input_structure=tiny.leaf("ids"),
            )
        )
