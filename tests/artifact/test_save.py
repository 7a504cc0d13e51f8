from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from rnnport.artifact import leftovers, save, swap
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.artifact.save import Draft, staging
from rnnport.errors import ArtifactDamaged, ArtifactExists, SaveFailed, UsageError
from tests.tiny import lstm_artifact


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def copy_files(artifact: Artifact, draft: Draft) -> None:
    for path in artifact.path.iterdir():
        (draft.folder / path.name).write_bytes(path.read_bytes())


def test_a_new_folder_with_its_parents(tmp_path: Path) -> None:
    artifact = lstm_artifact(tmp_path / "a" / "b" / "out")
    assert names(tmp_path / "a" / "b") == ["out"]
    assert names(artifact.path) == ["golden.npz", "model.onnx", "rnnport.json"]
    assert open_artifact(artifact.path) == artifact


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    lstm_artifact(tmp_path / "out")
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "step aside"])
def test_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(swap, "exchange", lambda *_: False)
    lstm_artifact(tmp_path / "out", name="old")
    lstm_artifact(tmp_path / "out", name="new", overwrite=True)
    assert open_artifact(tmp_path / "out").manifest.name == "new"
    assert names(tmp_path) == ["out"]


def test_overwrite_through_a_link_replaces_the_folder_it_leads_to(tmp_path: Path) -> None:
    lstm_artifact(tmp_path / "real" / "out")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "out")
    lstm_artifact(tmp_path / "link", name="new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert open_artifact(tmp_path / "real" / "out").manifest.name == "new"


def test_permissions_follow_the_umask_or_the_folder_that_was_there(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        fresh = lstm_artifact(tmp_path / "fresh").path
        (tmp_path / "given").mkdir(mode=0o700)
        given = lstm_artifact(tmp_path / "given").path
    finally:
        os.umask(old)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o750
    assert stat.S_IMODE((fresh / "rnnport.json").stat().st_mode) == 0o640
    assert stat.S_IMODE(given.stat().st_mode) == 0o700


def test_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ArtifactExists) as caught:
        lstm_artifact(tmp_path)
    assert str(caught.value) == (
        f"folder {tmp_path} | received: not empty (1 entries) | expected: a new or empty folder | "
        "remedy: pass overwrite=True (--overwrite) to replace it, or choose another folder"
    )


def test_overwrite_only_replaces_artifacts(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ArtifactExists) as caught:
        lstm_artifact(tmp_path, overwrite=True)
    assert str(caught.value) == (
        f"folder {tmp_path} | received: not empty (1 entries), without rnnport.json | "
        "expected: an rnnport artifact to overwrite | "
        "remedy: choose another folder, or empty this one"
    )
    assert names(tmp_path) == ["mine.txt"]


def test_overwrite_spares_a_project_with_an_artifact_in_it(tmp_path: Path) -> None:
    lstm_artifact(tmp_path / "out")
    (tmp_path / "out" / ".git").mkdir()
    with pytest.raises(ArtifactExists, match=r"it also holds the folder '\.git'"):
        lstm_artifact(tmp_path / "out", overwrite=True)


def test_a_file_stands_there(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ArtifactExists) as caught:
            lstm_artifact(tmp_path / "out", overwrite=overwrite)
        assert caught.value.reasons[0].received == "a file"
    with pytest.raises(SaveFailed, match="a parent of the folder is a file"):
        lstm_artifact(tmp_path / "out" / "deeper")


def test_the_current_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="the current folder"):
        lstm_artifact(Path("."))


def test_the_target_is_looked_at_again_at_commit(tmp_path: Path) -> None:
    other = lstm_artifact(tmp_path / "other")
    with staging(tmp_path / "out") as draft:
        copy_files(other, draft)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").write_text("")
        with pytest.raises(ArtifactExists):
            draft.commit(other.manifest)
    assert names(tmp_path / "out") == ["theirs"]
    assert names(tmp_path) == ["other", "out"]


def test_filled_between_the_last_look_and_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(draft: Path, target: Path) -> None:
        (target / "theirs").write_text("")
        real(draft, target)

    real = save._fill_empty
    monkeypatch.setattr(save, "_fill_empty", fill)
    (tmp_path / "out").mkdir()
    with pytest.raises(ArtifactExists, match="filled by somebody else meanwhile"):
        lstm_artifact(tmp_path / "out")
    assert names(tmp_path / "out") == ["theirs"]


@pytest.mark.parametrize("trouble", [RuntimeError("boom"), KeyboardInterrupt()])
def test_an_exception_leaves_everything_as_it_was(tmp_path: Path, trouble: BaseException) -> None:
    def half(out: Path) -> None:
        with staging(out, overwrite=True) as draft:
            (draft.folder / "half").write_text("written")
            raise trouble

    lstm_artifact(tmp_path / "out", name="old")
    for out in (tmp_path / "out", tmp_path / "p" / "q" / "new"):
        with pytest.raises(type(trouble)):
            half(out)
    assert names(tmp_path) == ["out"]
    assert open_artifact(tmp_path / "out").manifest.name == "old"


def test_leaving_without_commit_leaves_nothing(tmp_path: Path) -> None:
    with staging(tmp_path / "out") as draft:
        (draft.folder / "half").write_text("written")
    assert names(tmp_path) == []


def test_files_that_are_not_those_of_the_manifest_are_not_committed(tmp_path: Path) -> None:
    other = lstm_artifact(tmp_path / "other")
    with staging(tmp_path / "out") as draft:
        with pytest.raises(ArtifactDamaged, match=r"model\.onnx in .*missing"):
            draft.commit(other.manifest)
        copy_files(other, draft)
        (draft.folder / "scratch").write_text("")
        with pytest.raises(ValueError, match=r"does not list: \['scratch'\]"):
            draft.commit(other.manifest)
    assert names(tmp_path) == ["other"]


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "mkdir"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_disk_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, overwrite: bool
) -> None:
    if overwrite:
        lstm_artifact(tmp_path / "out", name="old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(Path, "write_bytes", full)
        elif call == "fsync":
            patch.setattr(os, "fsync", full)
        elif call == "mkdir":
            patch.setattr(Path, "mkdir", full)
        else:
            patch.setattr(Path, "rename", full)
            patch.setattr(save, "replace_folder", full)
        with pytest.raises(SaveFailed) as caught:
            lstm_artifact(tmp_path / "out", overwrite=overwrite)
    assert str(caught.value) == (
        f"saving {tmp_path / 'out'} | received: No space left on device | "
        "expected: a file system that takes the artifact's files; nothing there was changed | "
        "remedy: free some space, or choose a folder on another disk"
    )
    assert names(tmp_path) == ["out"] * overwrite
    if overwrite:
        assert open_artifact(tmp_path / "out").manifest.name == "old"


def test_a_rename_that_fails_halfway_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lstm_artifact(tmp_path / "out", name="old")
    monkeypatch.setattr(swap, "exchange", lambda *_: False)
    real = Path.rename

    def second_fails(self: Path, target: Path) -> Path:
        if ".rnnport-draft" in self.name:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(SaveFailed, match="mount point or in use"):
        lstm_artifact(tmp_path / "out", overwrite=True)
    assert open_artifact(tmp_path / "out").manifest.name == "old"
    assert names(tmp_path) == ["out"]


def test_only_leftovers_of_the_dead_and_of_this_target_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)  # above the largest pid Linux gives out
    dead = leftovers.hidden_sibling(target, "draft")
    elsewhere = leftovers.hidden_sibling(tmp_path / "other", "draft")
    monkeypatch.undo()
    living = leftovers.hidden_sibling(target, "draft")
    foreign = tmp_path / ".rnnport-draft-notes"
    for folder in (dead, elsewhere, living, foreign):
        folder.mkdir()
        (folder / "file").write_text("")
    leftovers.sweep(target)
    assert names(tmp_path) == sorted(f.name for f in (elsewhere, living, foreign))
