from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from suite.subject import MASKED, draw_inputs
from suite.workloads import (
    BATCHES,
    KINDS,
    MASKS,
    SIZES,
    TIMES,
    Model,
    Workload,
    every_workload,
    quick_workloads,
    select,
)

from rnnport.spec import Port, Sampling


def test_the_grid_is_whole() -> None:
    grid = [work for work in every_workload() if work.model.family == "grid"]
    found = {
        (w.model.kind, (w.model.features, w.model.units), w.batch, w.time, w.mask) for w in grid
    }
    assert found == set(itertools.product(KINDS, SIZES, BATCHES, TIMES, MASKS))
    assert len(grid) == 3 * 4 * 4 * 4 * 3
    assert all(work.model.masked == (work.mask != "plain") for work in grid)


def test_every_family_is_there_and_no_name_twice() -> None:
    every = every_workload()
    families = Counter(work.model.family for work in every)
    assert families == {
        "grid": 576,
        "bidirectional": 48,
        "depth": 8,
        "custom cell": 4,
        "ConvLSTM2D": 3,
        "greedy": 8,
        "real": 12,
    }
    assert len({work.key for work in every}) == len(every)


def test_rows_of_a_model_follow_one_another() -> None:
    models = [model for model, _ in itertools.groupby(every_workload(), lambda work: work.model)]
    assert len(models) == len(set(models))


def test_quick_rows_are_of_the_grid_and_spread() -> None:
    quick = quick_workloads()
    assert set(quick) <= set(every_workload())
    families = {work.model.family for work in quick}
    assert families == {"grid", "bidirectional", "depth", "custom cell", "ConvLSTM2D", "greedy"}
    assert {work.model.kind for work in quick if work.model.family == "grid"} == set(KINDS)
    assert len(quick) == 18


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("^GRU 16→32, 8×20, random mask$", 1),
        ("^GRU 16->32, 8x20, random mask$", 1),
        ("^(LSTM|GRU) 64→128, 1×", 24),
        ("^real ", 12),
        ("no such row", 0),
    ],
)
def test_rows_are_chosen_by_pattern(pattern: str, count: int) -> None:
    assert len(select(every_workload(), pattern)) == count


def test_products_and_flops() -> None:
    lstm = Model("grid", "LSTM", 16, 32)
    assert lstm.products == ((16, 128, 32),)
    assert Workload(lstm, 8, 20).flops == 2 * 8 * 20 * (16 + 32) * 128
    deep = Model("bidirectional", "GRU", 4, 8, depth=2)
    assert deep.products == ((4, 24, 8), (4, 24, 8), (16, 24, 8), (16, 24, 8))
    assert deep.title == "BiGRU 4→8 ×2"
    assert Model("ConvLSTM2D", "ConvLSTM2D").products == ()


PORT = Port(name="x", dtype="float32", shape=["B", "T", 16], sampling=Sampling(mask_value=-1.0))


@pytest.mark.parametrize("time", TIMES)
def test_padded_rows_keep_a_quarter_to_all_of_their_steps(time: int) -> None:
    (x,) = draw_inputs(Workload(Model("grid", "LSTM", 16, 32, True), 128, time, MASKS[1]), [PORT])
    masked = (x == MASKED).all(axis=-1)  # (B, T)
    lengths = time - masked.sum(axis=1)
    assert x.dtype == np.float32
    assert lengths.min() >= max(1, time // 4)
    assert lengths.max() <= time
    assert (np.diff(masked.astype(int), axis=1) <= 0).all()  # padding stands on the left
    assert len(set(lengths)) > 1 or time == 1


def test_a_random_mask_leaves_the_last_step() -> None:
    work = Workload(Model("grid", "LSTM", 16, 32, True), 128, 100, MASKS[2])
    (x,) = draw_inputs(work, [PORT])
    masked = (x == MASKED).all(axis=-1)
    assert not masked[:, -1].any()
    assert 0.38 < masked[:, :-1].mean() < 0.42
    assert np.array_equal(draw_inputs(work, [PORT])[0], x)
