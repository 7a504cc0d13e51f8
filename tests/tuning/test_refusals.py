"""What `rnnport.tune` refuses, before it measures anything, and what it leaves behind: nothing."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import rnnport
from rnnport.artifact.manifest import MANIFEST_FILE, encode
from rnnport.errors import ArtifactExists, ParityError, ProviderLacks, SaveFailed, UsageError
from rnnport.tuning import writing
from rnnport.tuning.search import tune
from tests.tuning.artifacts import (
    FIXED_TIME,
    bytes_of,
    counts,
    decided,
    export,
    layout_wins,
    never,
    nothing_wins,
    quick,
    then_wins,
)

Copy = Callable[[str], Path]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch": [0]}, "batch"),
        ({"batch": []}, "batch"),
        ({"time": []}, "time"),
        ({"threads": 0}, "threads"),
        ({"seconds": 0.0}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
    ],
)
def test_bad_input(given: dict[str, Any], said: str, made: Copy) -> None:
    with pytest.raises(UsageError, match=said):
        tune(made("gru"), **given, race=never)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        rnnport.tune(tmp_path / "none")


def test_another_length_than_the_only_one(made: Copy) -> None:
    with pytest.raises(UsageError, match=rf"time \| received: 4, 7 \| expected: {FIXED_TIME}:"):
        tune(made("fixed"), time=[FIXED_TIME, 7, 4], race=never)


def test_lengths_that_are_too_short(made: Copy) -> None:
    """A convolution over five steps."""
    with pytest.raises(UsageError, match=r"time \| received: 1, 4 \| expected: lengths"):
        tune(made("short"), batch=[1], time=[1, 4, 20], race=never)
    report = tune(made("short"), batch=[1], threads=1, race=decided(nothing_wins))
    assert [row.size.time for row in report.kept] == [20, 100], "of the usual ones those it takes"


def test_float16(copy: Copy) -> None:
    folder = copy("gru")
    manifest = msgspec.structs.replace(rnnport.open(folder).manifest, precision="float16")
    (folder / MANIFEST_FILE).write_bytes(encode(manifest))
    with pytest.raises(ProviderLacks, match="float16"):
        quick(folder, never)


def test_files_of_somebody_else(copy: Copy, tmp_path: Path) -> None:
    folder = copy("gru")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactExists, match=r"notes\.txt"):
        quick(folder, never)
    quick(folder, decided(layout_wins("2 parts")), out=tmp_path / "tuned")
    assert (folder / "notes.txt").read_text() == "mine"


def test_the_current_folder(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy("gru"))
    with pytest.raises(UsageError, match="current folder"):
        quick(Path(), never)


def test_a_folder_that_is_taken(copy: Copy, made: Copy) -> None:
    with pytest.raises(ArtifactExists):
        quick(made("gru"), never, out=copy("simple"))


def test_a_folder_inside_the_artifact(copy: Copy) -> None:
    folder = copy("gru")
    with pytest.raises(UsageError, match="outside"):
        quick(folder, never, out=folder / "tuned")


def test_a_full_disk(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy("gru")
    before = bytes_of(folder)

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rnnport.graph.finish.write_onnx", full)
    with pytest.raises(SaveFailed, match="No space left on device"):
        quick(folder, decided(then_wins))
    assert bytes_of(folder) == before


def test_an_artifact_changed_meanwhile(copy: Copy, tmp_path: Path) -> None:
    folder, other = copy("gru"), export("gru", tmp_path / "other", seed=4)
    wanted = bytes_of(other)

    def run(calls: Any, seconds: float) -> dict[str, float]:
        shutil.rmtree(folder)
        shutil.copytree(other, folder)
        return {name: 1e-4 if name == "2 parts" else 2e-4 for name in calls}

    with pytest.raises(SaveFailed, match="changed meanwhile"):
        quick(folder, run)
    assert bytes_of(folder) == wanted
    assert {p.name for p in tmp_path.iterdir()} == {"gru", "other"}


def test_what_fails_its_verification_changes_nothing(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy("gru")
    before = bytes_of(folder)
    verified = rnnport.verify(folder, provider="cpu")
    bad = next(check for check in verified.checks if check.kind == "shapes")

    class Failed:
        checks = (msgspec.structs.replace(bad, passed=False),)

    monkeypatch.setattr(writing, "verify", lambda *args, **kwargs: Failed)
    with pytest.raises(ParityError, match="tuned artifact"):
        quick(folder, decided(then_wins))
    assert bytes_of(folder) == before
    assert {p.name for p in tmp_path.iterdir()} == {"gru"}


@pytest.mark.parametrize("out", [None, "tuned"])
@pytest.mark.parametrize("stage", ["gru: Scan", "stream, gru: Scan", "layout 8×20", "writing"])
def test_an_interrupt_leaves_everything_as_it_was(
    stage: str,
    out: str | None,
    copy: Copy,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, room = copy("gru"), tmp_path_factory.mktemp("room")
    monkeypatch.setattr("tempfile.tempdir", str(room))
    before, seen = bytes_of(folder), []

    def told(name: str, fraction: float) -> None:
        seen.append(fraction)
        if name.startswith(stage):
            raise KeyboardInterrupt

    place = tmp_path / out if out else None
    with pytest.raises(KeyboardInterrupt):
        quick(folder, decided(then_wins), out=place, progress=told)
    assert seen == sorted(seen)
    assert bytes_of(folder) == before
    assert {p.name for p in tmp_path.iterdir()} == {"gru"}
    assert list(room.iterdir()) == []


_WITHOUT = """
import sys
for name in ("onnx", "onnx_ir", "onnxscript", "tensorflow", "keras", "tf_keras", "tf2onnx"):
    sys.modules[name] = None
import rnnport
from rnnport.tuning.search import tune
race = lambda calls, seconds: {n: 1e-4 if n in ("2 parts", "after") else 2e-4 for n in calls}
report = tune(sys.argv[1], batch=[8], time=[20], threads=2, race=race)
print(report.changed, report.switched, report.notes)
"""


def test_without_graph_libraries_layouts_alone_are_tuned(copy: Copy) -> None:
    folder = copy("gru")
    command = [sys.executable, "-c", _WITHOUT, str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("True [] ")
    assert "pip install 'rnnport[export]'" in found.stdout
    assert [point.parts for point in rnnport.open(folder).manifest.tuned] == [2]
    assert counts(folder)["GRU"] == 2
