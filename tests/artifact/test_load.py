from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from rnnport.artifact.load import open_artifact
from rnnport.errors import ArtifactDamaged, UsageError

REMEDY = "copy the artifact again, or export the model again"


@pytest.fixture
def folder(lstm_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copytree(lstm_folder, tmp_path / "copy"))


def test_an_artifact_opens_wherever_it_was_moved(folder: Path, lstm_folder: Path) -> None:
    moved = folder.rename(folder.parent / "mövéd to here")
    artifact = open_artifact(str(moved))
    assert artifact.path == moved
    assert artifact.forms == {"model": moved / "model.onnx"}
    assert artifact.manifest == open_artifact(lstm_folder).manifest


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "rnnport.json"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_one_changed_byte_is_refused(folder: Path, name: str, place: float) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(ArtifactDamaged) as caught:
        open_artifact(folder)
    assert caught.value.reasons[0].remedy


def test_the_message_names_the_changed_file_and_both_hashes(folder: Path) -> None:
    path = folder / "model.onnx"
    record = open_artifact(folder).manifest.forms["model"].record
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ArtifactDamaged) as caught:
        open_artifact(folder)
    (reason,) = caught.value.reasons
    assert reason.subject == f"model.onnx in {folder}"
    assert reason.received.startswith("sha256 ")
    assert reason.expected == f"sha256 {record.sha256[:12]}…"
    assert reason.received != reason.expected
    assert reason.remedy == REMEDY


def test_everything_wrong_is_listed(folder: Path) -> None:
    (folder / "golden.npz").unlink()
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b"more")
    size = (folder / "model.onnx").stat().st_size
    with pytest.raises(ArtifactDamaged) as caught:
        open_artifact(folder)
    assert str(caught.value) == (
        f"model.onnx in {folder} | received: {size} bytes | expected: {size - 4} bytes | "
        f"remedy: {REMEDY}\n"
        f"golden.npz in {folder} | received: missing | "
        f"expected: a regular file inside the folder | remedy: {REMEDY}"
    )


def test_a_manifest_pointing_outside_is_refused(folder: Path) -> None:
    shutil.copy(folder / "model.onnx", folder.parent / "outside.onnx")
    document = json.loads((folder / "rnnport.json").read_text())
    document["forms"]["model"]["record"]["file"] = "../outside.onnx"
    (folder / "rnnport.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactDamaged) as caught:
        open_artifact(folder)
    assert str(caught.value) == (
        "rnnport.json, file | received: '../outside.onnx' | "
        "expected: a plain file name inside the artifact folder | "
        "remedy: take the artifact from its source again; do not edit rnnport.json"
    )


@pytest.mark.parametrize("name", ["model.onnx", "rnnport.json"])
def test_a_link_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    outside = (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(outside)
    with pytest.raises(ArtifactDamaged, match="a link that leaves the folder, to"):
        open_artifact(folder)


def test_a_link_inside_the_folder_is_fine(folder: Path) -> None:
    (folder / "model.onnx").rename(folder / "blob")
    (folder / "model.onnx").symlink_to("blob")
    open_artifact(folder)


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(ArtifactDamaged, match="not a regular file"):
        open_artifact(folder)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_artifact(tmp_path / "none")
    assert str(caught.value) == (
        f"artifact {tmp_path / 'none'} | received: no such folder | "
        "expected: a folder written by rnnport.export | "
        "remedy: check the path, or make the artifact with rnnport.export"
    )


def test_a_file_of_the_artifact_points_to_its_folder(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_artifact(folder / "model.onnx")
    assert caught.value.reasons[0].received == "a file"
    assert caught.value.reasons[0].remedy == f"pass {folder}"


def test_a_folder_that_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactDamaged) as caught:
        open_artifact(tmp_path)
    assert str(caught.value) == (
        f"artifact {tmp_path} | received: rnnport.json: missing | "
        "expected: a folder written by rnnport.export, with rnnport.json in it | "
        "remedy: check the path, or export the model again"
    )


def test_no_path_at_all() -> None:
    with pytest.raises(UsageError, match="received: int"):
        open_artifact(3)  # type: ignore[arg-type]
