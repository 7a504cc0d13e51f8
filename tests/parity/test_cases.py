from __future__ import annotations

import numpy as np

from rnnport.artifact.golden import GoldenCase
from rnnport.parity.cases import fresh_cases
from rnnport.samples import MASK_KINDS, affordable, draw
from rnnport.spec import Port, Sampling
from tests.tiny import IDS, LEFT, X


def golden(port: Port, *sizes: tuple[int, int]) -> list[GoldenCase]:
    return [GoldenCase("g", draw([port], {"B": b, "T": t}), {}) for b, t in sizes]


def test_sizes_of_golden_cases_are_avoided_and_not_undercut_in_time() -> None:
    cases = fresh_cases([LEFT], golden(LEFT, (1, 6), (4, 11), (5, 7)))
    shapes = [case.inputs["left"].shape for case in cases]
    assert len(shapes) == 3
    assert not {b for b, _, _ in shapes} & {1, 4, 5}
    assert not {t for _, t, _ in shapes} & {6, 7, 11}
    assert len({t for _, t, _ in shapes}) == 3
    assert min(t for _, t, _ in shapes) > 6
    assert cases[0].name == f"fresh, B={shapes[0][0]} T={shapes[0][1]}"


def test_batch_one_is_tried_where_it_was_not() -> None:
    assert fresh_cases([LEFT], golden(LEFT, (4, 5)))[0].inputs["left"].shape[0] == 1


def test_every_kind_of_mask_at_every_size() -> None:
    cases = fresh_cases([X], golden(X, (4, 11)))
    assert len(cases) == 3 * len(MASK_KINDS)
    for kind in MASK_KINDS[1:]:
        assert sum(f", {kind} mask," in case.name for case in cases) == 3
    left = next(c for c in cases if "left mask" in c.name and "B=1" not in c.name)
    masked = (left.inputs["x"] == 0).all(-1)
    assert masked.any()
    assert (np.diff(masked.astype(int), axis=1) <= 0).all()


def test_shared_letters_agree_and_independent_ones_do_not() -> None:
    other = Port(name="other", dtype="float32", shape=["B", "T2", 2], sampling=Sampling())
    for case in fresh_cases([LEFT, IDS, other], []):
        left, ids, third = (case.inputs[name].shape for name in ("left", "ids", "other"))
        assert left[:2] == ids == (third[0], left[1])
        assert third[1] != left[1]


def test_fixed_sizes_are_kept_and_the_values_are_new() -> None:
    port = Port(name="x", dtype="float32", shape=[2, 5], sampling=Sampling())
    cases = fresh_cases([port], [])
    assert {case.inputs["x"].shape for case in cases} == {(2, 5)}
    assert cases[0].name == "fresh, fixed sizes"
    assert not np.array_equal(cases[0].inputs["x"], cases[1].inputs["x"])


def test_large_steps_are_drawn_few_at_a_time() -> None:
    video = Port(name="video", dtype="float32", shape=["B", "T", 128, 128, 3], sampling=Sampling())
    wished = {"B": 14, "T": 36}
    assert affordable([LEFT], wished, {"T": 6}) == wished
    assert affordable([video], wished, {"T": 4}) == {"B": 1, "T": 5}
    assert affordable([video], wished, {"T": 9}) == {"B": 1, "T": 9}
    shapes = {c.inputs["video"].shape for c in fresh_cases([video], golden(video, (1, 4)))}
    assert max(np.prod(s) for s in shapes) <= 9 * 128 * 128 * 3
