from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import set_external_data

from rnnport.errors import ArtifactDamaged, UsageError
from rnnport.runtime.session import open_session
from tests.tiny import lstm_model


def test_threads_are_handed_over(lstm_folder: Path) -> None:
    session = open_session(lstm_folder / "model.onnx", "cpu", 1)
    assert session.get_session_options().intra_op_num_threads == 1
    assert session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_that_make_no_sense(lstm_folder: Path, threads: Any) -> None:
    with pytest.raises(UsageError) as caught:
        open_session(lstm_folder / "model.onnx", "cpu", threads)
    assert str(caught.value) == (
        f"threads | received: {threads!r} | expected: a whole number from 1 up, or None | "
        "remedy: pass None to let onnxruntime choose"
    )


@pytest.mark.parametrize("spin", [0, 1, "no"])
def test_spin_that_makes_no_sense(lstm_folder: Path, spin: Any) -> None:
    with pytest.raises(UsageError) as caught:
        open_session(lstm_folder / "model.onnx", "cpu", spin=spin)
    assert str(caught.value) == (
        f"spin | received: {spin!r} | expected: True, False or None | "
        "remedy: pass False to leave the cores to others"
    )


@pytest.mark.parametrize(("spin", "entry"), [(None, "1"), (True, "1"), (False, "0")])
@pytest.mark.parametrize("arena", [True, False])
def test_options(lstm_folder: Path, spin: bool | None, entry: str, arena: bool) -> None:
    session = open_session(lstm_folder / "model.onnx", "cpu", 2, arena=arena, spin=spin)
    options = session.get_session_options()
    assert options.enable_cpu_mem_arena is arena
    # Plans for every shape are kept only where they do not make the memory grow.
    assert options.enable_mem_pattern is arena
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == entry


def test_weights_may_lie_beside_the_file(tmp_path: Path) -> None:
    onnx.save(
        lstm_model(),
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="model.onnx.data",
        size_threshold=100,
    )
    assert (tmp_path / "model.onnx.data").stat().st_size > 400
    whole = tmp_path / "whole.onnx"
    onnx.save(lstm_model(), whole)
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    found = [open_session(p).run(None, {"x": x})[0] for p in (tmp_path / "model.onnx", whole)]
    np.testing.assert_array_equal(*found)


def test_weights_may_not_lie_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(48 * 4))
    model = lstm_model()
    weight = next(w for w in model.graph.initializer if w.name == "W")
    set_external_data(weight, "../secret", offset=0, length=48 * 4)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactDamaged):
        open_session(tmp_path / "in" / "model.onnx")


def test_a_file_onnxruntime_does_not_take(tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "model.onnx"
    model = lstm_model()
    model.graph.node[1].input[0] = "nowhere"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactDamaged) as caught:
        open_session(path)
    (reason,) = caught.value.reasons
    assert reason.subject == str(path)
    assert "onnxruntime " in reason.received
    assert reason.expected == "a graph that onnxruntime opens"
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"junk")
    with pytest.raises(ArtifactDamaged) as caught:
        open_session(path)
    assert str(caught.value) == (
        f"{path} | received: 117 bytes announced where 2 are left | expected: an ONNX model | "
        "remedy: export the model again"
    )
