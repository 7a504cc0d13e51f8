from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnport.errors import SnapshotRefused
from rnnport.runtime.snapshot import Snapshot, decode, encode
from rnnport.runtime.stepper import Stepper
from tests.runtime.streams import NAMES, chunk, fixed, folder, runner, same


def fed(name: str, batch: int = 2) -> Stepper:
    stepper = runner(name).stepper(batch, fixed=fixed(name, batch))
    stepper.feed(**chunk(name, batch, 5))
    return stepper


BLOB = fed("lstm").snapshot()


def refusal(blob: Any, stepper: Stepper) -> str:
    """The message; nothing in the stepper has changed."""
    before = stepper.snapshot()
    with pytest.raises(SnapshotRefused) as caught:
        stepper.restore(blob)
    assert stepper.snapshot() == before
    return str(caught.value)


def sealed(body: bytes, version: int = 1) -> bytes:
    data = b"rnnport" + bytes([version]) + body
    return data + hashlib.blake2b(data, digest_size=16).digest()


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_stream_goes_on_bit_for_bit(name: str) -> None:
    one = fed(name)
    blob = one.snapshot()
    other = runner(name).stepper(2, fixed=fixed(name, 2, seed=9))
    other.feed(**chunk(name, 2, 3, seed=4))
    other.restore(blob)
    assert other.snapshot() == blob
    more = chunk(name, 2, 4, seed=7)
    same(other.feed(**more), one.feed(**more), 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_is_little_more_than_the_states(name: str) -> None:
    one = fed(name)
    kept = sum(a.nbytes for a in one.state.values())
    kept += sum(a.nbytes for a in one._fixed.values())
    assert 0 < len(one.snapshot()) - kept < 200


CONTINUE = """
import sys
import numpy as np
import rnnport

stepper = rnnport.load(sys.argv[1], provider="cpu", threads=1).stepper(2)
stepper.restore(open(sys.argv[2], "rb").read())
np.save(sys.argv[4], stepper.feed(np.load(sys.argv[3])))
assert not {"tensorflow", "keras", "onnx"} & set(sys.modules)
"""


def test_another_process_goes_on_bit_for_bit(tmp_path: Path) -> None:
    one = fed("lstm")
    x = chunk("lstm", 2, 6, seed=3)["x"]
    (tmp_path / "blob").write_bytes(one.snapshot())
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("blob", "x.npy", "y.npy")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CONTINUE, str(folder("lstm")), *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), one.feed(x))


def test_a_pool_and_a_stepper_of_one_row_take_each_others() -> None:
    for name in NAMES:
        one, pool = fed(name, 1), runner(name).pool(4)
        stream = pool.restore(one.snapshot())
        assert pool.snapshot(stream) == one.snapshot()
        more = chunk(name, 1, 4, seed=7)
        (y,) = pool.feed([stream], **more)
        expected = one.feed(**more)
        for key, value in pool.state(stream).items():
            np.testing.assert_array_equal(value, one.state[key][0])
        if isinstance(y, np.ndarray):
            np.testing.assert_array_equal(y, expected[0])
        again = runner(name).stepper(fixed=fixed(name, 1))
        again.restore(pool.snapshot(stream))
        same(again.feed(**more), one.feed(**more), 0)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, len(BLOB) - 1), flip=st.integers(1, 255))
def test_every_flipped_byte_is_seen(place: int, flip: int) -> None:
    damaged = bytearray(BLOB)
    damaged[place] ^= flip
    with pytest.raises(SnapshotRefused):
        decode(bytes(damaged), runner("lstm")._stream_sessions().plan, 2)


def test_every_byte_flipped_once() -> None:
    plan = runner("lstm")._stream_sessions().plan
    for place in range(len(BLOB)):
        damaged = bytearray(BLOB)
        damaged[place] ^= 1
        with pytest.raises(SnapshotRefused):
            decode(bytes(damaged), plan, 2)


@settings(max_examples=50, deadline=None)
@given(junk=st.binary(max_size=300), cut=st.integers(0, len(BLOB) - 1))
def test_junk_and_truncated_snapshots(junk: bytes, cut: int) -> None:
    plan = runner("lstm")._stream_sessions().plan
    for blob in (junk, BLOB[:cut], BLOB + junk + b"x", sealed(junk)):
        with pytest.raises(SnapshotRefused):
            decode(blob, plan, 2)


def test_damage_says_so() -> None:
    one = runner("lstm").stepper(2)
    damaged = BLOB[:40] + bytes([BLOB[40] ^ 1]) + BLOB[41:]
    assert refusal(damaged, one) == (
        f"snapshot | received: {len(BLOB)} bytes that do not fit their checksum | "
        "expected: what snapshot() gave, every byte of it | "
        "remedy: take the snapshot again, from a stream of this model"
    )
    assert "received: 3 bytes that are no whole snapshot" in refusal(b"abc", one)
    assert "received: str | expected: bytes, what snapshot() gave" in refusal("abc", one)


def test_another_version_says_so() -> None:
    assert refusal(sealed(b"", version=2), runner("lstm").stepper(2)) == (
        "snapshot | received: version 2 | expected: version 1 | "
        "remedy: use the version of rnnport that wrote it"
    )


def test_another_model_says_so() -> None:
    text = refusal(BLOB, runner("last_only").stepper(2))
    assert text.startswith("snapshot | received: a snapshot of another model (")
    assert text.endswith("remedy: take the snapshot again, from a stream of this model")


def test_another_number_of_rows_says_so() -> None:
    assert refusal(BLOB, runner("lstm").stepper(3)) == (
        "snapshot | received: 2 rows | expected: 3 rows | "
        "remedy: restore it into a stepper of batch size 2"
    )
    assert refusal(fed("lstm", 1).snapshot(), runner("lstm").stepper(2)).endswith(
        "received: 1 row | expected: 2 rows | "
        "remedy: restore it into a stepper of batch size 1, or into a pool"
    )
    with pytest.raises(SnapshotRefused, match=r"received: 2 rows \| expected: 1 row"):
        runner("lstm").pool().restore(BLOB)


def test_tensors_that_do_not_fit() -> None:
    """A seal that fits proves nothing about what is inside."""
    plan = runner("lstm")._stream_sessions().plan
    states = {"lstm_h": np.zeros((2, 5), np.float32), "lstm_c": np.zeros((2, 4))}
    with pytest.raises(SnapshotRefused) as caught:
        decode(encode(plan, 2, Snapshot(states, {})), plan, 2)
    assert str(caught.value) == (
        "snapshot, 'lstm_h' | received: float32 (2, 5), 40 bytes | expected: float32 (2, 4) | "
        "remedy: take the snapshot again, from a stream of this model\n"
        "snapshot, 'lstm_c' | received: float64 (2, 4), 64 bytes | expected: float32 (2, 4) | "
        "remedy: take the snapshot again, from a stream of this model"
    )
    with pytest.raises(SnapshotRefused, match=r"received: arrays \['lstm_h'\]"):
        decode(encode(plan, 2, Snapshot({"lstm_h": states["lstm_h"]}, {})), plan, 2)
    short = [plan.digest, 2, [["lstm_h", "float32", [2, 4], b"123"]] * 2, []]
    for body in (short, [*short, "more"], short[:3], [b"", 2, 3, 4]):
        with pytest.raises(SnapshotRefused):
            decode(sealed(msgspec.msgpack.encode(body)), plan, 2)
