"""What scripts/train_forecast is made of, without the network: windows, training, forecasts."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import rnnport

Script = Callable[[str], ModuleType]

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
DAY, WEEK, BACK, AHEAD = 24, 168, 10, 6


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Imports from scripts/, as its files do from each other."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


@pytest.fixture
def demand(script: Script) -> Any:
    """Three weeks made up, five days held out."""
    hours = np.arange(3 * WEEK)
    rhythm = 30e3 + 6e3 * np.sin(2 * np.pi * hours / DAY) - 4e3 * (hours // DAY % 7 > 4)
    noise = np.random.default_rng(3).normal(0, 300, len(hours))
    return script("demand").Demand(rhythm + noise, 5 * DAY)


def test_numbers_are_read_and_nothing_is_run(script: Script, tmp_path: Path) -> None:
    file = tmp_path / "numbers.py"
    file.write_text("raise SystemExit\nfew = [1]\nmany = np.array([1, 3, 10, 20])\n")
    read = script("demand").read_demand
    np.testing.assert_array_equal(read(file).hours, [2, 15])
    file.write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"numbers\.py holds no list"):
        read(file)


def test_windows_do_not_reach_into_what_is_held_out(demand: Any) -> None:
    learnt, held_out = demand.training(BACK, AHEAD), demand.testing(BACK, AHEAD)
    assert learnt.first[0] == BACK
    assert learnt.first[-1] + AHEAD == demand.split == held_out.first[0]
    assert held_out.first[-1] + AHEAD == len(demand.hours)
    # Nor does the scale: other hours held out change nothing of what is learnt.
    other = type(demand)(demand.hours.copy(), demand.held_out)
    other.hours[demand.split :] = 0
    for name in ("past", "future", "wanted"):
        array = getattr(learnt, name)
        np.testing.assert_array_equal(getattr(other.training(BACK, AHEAD), name), array)


def test_a_window(demand: Any) -> None:
    windows, hour = demand.testing(BACK, AHEAD), demand.split + 2
    assert windows.past.shape[1:] == (BACK, 5)
    np.testing.assert_allclose(
        demand.megawatts(windows.past[2, :, :1]), demand.hours[hour - BACK : hour], rtol=1e-6
    )
    np.testing.assert_allclose(
        demand.megawatts(windows.wanted[2]), demand.hours[hour : hour + AHEAD], rtol=1e-6
    )
    np.testing.assert_array_equal(windows.future[:, 1:, :1], windows.wanted[:, :-1])
    np.testing.assert_array_equal(windows.future[:, 0, 0], windows.past[:, -1, 0])
    # The calendar is that of the hour to come: 16 days after a Monday, it is Wednesday, 2 h.
    angle = 2 * np.pi * 2 / DAY
    calendar = [np.sin(angle), np.cos(angle), 0, 0]
    np.testing.assert_allclose(windows.future[2, 0, 1:], calendar, atol=1e-6)
    np.testing.assert_array_equal(
        windows.follow(windows.wanted[:, 0], 0), windows.future[:, 1], strict=True
    )


def test_saturdays_and_sundays(script: Script) -> None:
    marked = script("demand")._calendar(2 * WEEK)[:, 2:]
    np.testing.assert_array_equal(np.flatnonzero(marked[:, 0]) // DAY, np.repeat([5, 12], DAY))
    np.testing.assert_array_equal(np.flatnonzero(marked[:, 1]) // DAY, np.repeat([6, 13], DAY))


def test_trained_exported_and_forecast(script: Script, demand: Any, tmp_path: Path) -> None:
    """All of the script but the download, on less."""
    forecasting, models = script("train_forecast"), script("forecast_model")
    learnt, held_out = demand.training(BACK, AHEAD), demand.testing(BACK, AHEAD).head(20)
    model = models.train(learnt, units=6, epochs=1)
    artifact = rnnport.export(model, tmp_path / "out")
    manifest = artifact.manifest
    assert manifest.handoff.ok
    assert [state.start for state in manifest.forms["decoder"].states] == ["decoder_h_start"]
    assert "encoder_outputs" in manifest.forms["decoder"].fixed
    forecasts = forecasting.forecast(artifact, held_out)
    assert forecasts.shape == (20, AHEAD, 1)
    assert np.ptp(forecasts[:, -1]) > 0.1
    figures = forecasting.compare(model, held_out, forecasts)
    assert all(figure.good for figure in figures)
    # The comparison would notice: a forecast of other hours is not that of these.
    assert not any(f.good for f in forecasting.compare(model, held_out, forecasts[::-1]))


def test_training_is_repeatable(script: Script, demand: Any) -> None:
    learnt = demand.training(BACK, AHEAD).head(64)
    first, second = (script("forecast_model").train(learnt, 4, 1).get_weights() for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_misses(script: Script, demand: Any) -> None:
    windows = demand.testing(BACK, AHEAD)
    ours, week, day, last = script("train_forecast").judge(demand, windows, windows.wanted)
    assert (ours.megawatts, ours.share) == pytest.approx((0, 0), abs=0.01)
    hour, hours = np.arange(demand.split, len(demand.hours)), demand.hours
    assert 0 < week.megawatts < day.megawatts + last.megawatts
    one = windows.head(1)
    miss = script("train_forecast").judge(demand, one, one.wanted + 1)[0]
    assert miss.megawatts == pytest.approx(hours[: demand.split].std(), rel=1e-6)
    again = script("train_forecast").judge(demand, one, one.wanted)
    expected = np.abs(hours[hour[:AHEAD]] - hours[hour[:AHEAD] - WEEK]).mean()
    assert again[1].megawatts == pytest.approx(expected)
    assert again[3].megawatts == pytest.approx(
        np.abs(hours[hour[:AHEAD]] - hours[demand.split - 1]).mean()
    )


def test_the_account(script: Script) -> None:
    account = script("forecast_account")
    figures = [account.Figure("good", 1e-6, 1e-5), account.Figure("bad", float("nan"), 1e-5)]
    assert [figure.good for figure in figures] == [True, False]
    misses = [account.Miss("forecast", 467, 0.0155), account.Miss("last week", 1487, 0.0162)]
    speeds = [account.Speed("ours", 1e-3, 1e-4), account.Speed("theirs", 0.5, 1e-3)]
    console = Console(width=80, record=True, file=io.StringIO())
    for block in (
        account.sameness(figures),
        account.quality(misses),
        account.pace(speeds, 64),
        account.note(misses, figures),
    ):
        console.print(block)
    shown = console.export_text()
    for words in ("✓  good", "✗  bad", "467 MW", "1.62%", "1,487 MW", "500×", "10×", "100 µs"):
        assert words in shown


def test_a_picture_is_drawn(script: Script, demand: Any, tmp_path: Path) -> None:
    drawing, windows = script("draw_forecast"), demand.testing(BACK, AHEAD)
    guesses = demand.megawatts(windows.wanted)
    guesses += 20
    guesses[4] -= 15
    guesses[7] += 1000
    names = drawing.picked(demand, windows.first, guesses)
    assert names[0] == ("the best", 4)
    assert names[2] == ("the worst", 7)
    path = tmp_path / "new" / "picture.png"
    drawing.draw(demand, windows.first, guesses, path, "a note")
    assert path.read_bytes().startswith(b"\x89PNG")
