from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from rnnport.npz import decode_npz, encode_npz, replace_file

ARRAYS = {
    "file": np.arange(6, dtype=">i4").reshape(2, 3),
    "a/b:0": np.array(True),
    "": np.zeros((0, 3), np.float32),
}


def test_any_name_shape_and_dtype_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(encode_npz(ARRAYS))
    found = decode_npz(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_numpy_reads_it_and_it_reads_numpy(tmp_path: Path) -> None:
    (tmp_path / "ours.npz").write_bytes(encode_npz({"x": np.arange(3)}))
    with np.load(tmp_path / "ours.npz") as theirs:
        np.testing.assert_array_equal(theirs["x"], np.arange(3))
    np.savez(tmp_path / "theirs.npz", x=np.arange(3))
    np.testing.assert_array_equal(decode_npz(tmp_path / "theirs.npz")["x"], np.arange(3))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(encode_npz({"x": np.zeros(100_000)}))
    assert path.stat().st_size < 2_000
    with pytest.raises(ValueError, match="it unpacks to 800128 bytes, more than 2000"):
        decode_npz(path, max_bytes=2_000)


def test_pickles_are_refused_both_ways(tmp_path: Path) -> None:
    objects = np.array([{}], object)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        encode_npz({"x": objects})
    np.savez(tmp_path / "x.npz", x=objects)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        decode_npz(tmp_path / "x.npz")


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    replace_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert path.read_bytes() == b"old"
    monkeypatch.undo()
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
