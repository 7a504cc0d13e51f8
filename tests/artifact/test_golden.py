from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnnport.artifact.golden import GoldenCase, read_golden, write_golden
from rnnport.errors import ArtifactDamaged
from rnnport.npz import encode_npz

CASE = GoldenCase(
    "left-padded, B=4 T=11",
    {"file": np.arange(6.0).reshape(2, 3), "a/b:0": np.array([[True]])},
    {"y": np.array(3, np.int64), "../y": np.full((2, 0), np.nan, np.float32)},
)


def test_cases_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "golden.npz"
    write_golden(path, [CASE, GoldenCase("second", {}, {"y": np.zeros(1)})])
    first, second = read_golden(path)
    assert (first.name, second.name) == (CASE.name, "second")
    for side in ("inputs", "outputs"):
        wanted, found = getattr(CASE, side), getattr(first, side)
        assert list(found) == list(wanted)
        for name in wanted:
            assert found[name].dtype == wanted[name].dtype
            np.testing.assert_array_equal(found[name], wanted[name])


def test_same_cases_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_golden(tmp_path / name, [CASE])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one case"):
        write_golden(tmp_path / "g.npz", [])


def test_python_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_golden(path, [GoldenCase("c", {"x": np.array([{}], object)}, {})])
    np.savez(path, index=np.array([{}], object))
    with pytest.raises(ArtifactDamaged, match="Object arrays cannot be loaded"):
        read_golden(path)


def _npz(**arrays: np.ndarray) -> bytes:
    return encode_npz(arrays)


def _bomb() -> bytes:
    """Says that it unpacks to 4 GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.npy", b"")
        archive.filelist[0].file_size = 1 << 32
    return buffer.getvalue()


INDEX = np.frombuffer(b'[{"name":"c","inputs":["x"],"outputs":[]}]', np.uint8)


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (b"", "File is not a zip file"),
        (b"PK nonsense", "File is not a zip file"),
        (_npz(), "KeyError: 'index'"),
        (_npz(index=np.frombuffer(b"{}", np.uint8)), "Expected `array`, got `object`"),
        (_npz(index=INDEX), "KeyError: 'case0_in0'"),
        (_npz(index=INDEX, case0_in0=np.zeros(1), more=np.zeros(1)), "does not know: more"),
        (_npz(index=INDEX, case0_in0=np.zeros(9))[:-30], "File is not a zip file"),
        (_bomb(), "more than"),
    ],
)
def test_anything_else_is_damaged(tmp_path: Path, data: bytes, received: str) -> None:
    path = tmp_path / "golden.npz"
    path.write_bytes(data)
    with pytest.raises(ArtifactDamaged) as caught:
        read_golden(path)
    (reason,) = caught.value.reasons
    assert reason.subject == f"golden samples {path}"
    assert received in reason.received
    assert reason.remedy == "copy the artifact again, or export the model again"


def test_a_missing_file_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(ArtifactDamaged, match="No such file"):
        read_golden(tmp_path / "none.npz")
