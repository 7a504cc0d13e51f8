"""Train a forecaster with attention on electricity demand, export it in two, and let it forecast.

A GRU reads two days, a second one starts from its state and forecasts the next day hour by
hour, looking back by attention. It is trained as one teacher-forced Keras model; rnnport exports
that and finds the cut by itself. Runner.forecast on weeks held out must be what a plain Keras loop,
one call a step, forecasts; how good the forecasts are is told beside how good it is to repeat last
week.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from demand import AHEAD, DAY, WEEK, Demand, Windows, demand_file, read_demand
from fetch import Unavailable
from forecast_account import Figure, Miss, Speed, about, note, pace, quality, sameness
from forecast_model import KerasForecast, train
from g2p_keras_loop import CALLS
from g2p_race import seconds
from numpy.typing import NDArray
from printing import section
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

import rnnport
from rnnport.cli.quiet import load_exporter

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact

ROOT = Path(__file__).resolve().parents[1]
ARTIFACT = Path(".cache") / "forecast" / "artifact"
PICTURE = Path("build") / "forecast.png"
BOUND = 1e-5  # times the largest forecast, scaled
TOGETHER = 64

Array = NDArray[Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=ROOT / PICTURE, help="the PNG to write")
    picture = parser.parse_args().out.absolute()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # both sides on the CPU
    os.chdir(ROOT)
    console = Console(highlight=False)
    console.print(Rule("[bold]rnnport[/]  tomorrow's electricity demand"))
    console.print()
    try:
        with console.status("fetching the data"):
            demand = read_demand(demand_file())
    except Unavailable as error:
        console.print(Text(str(error), "yellow"))
        return 1
    return show(console, demand, picture)


def show(console: Console, demand: Demand, picture: Path) -> int:
    """Train, export, forecast, compare, time, draw."""
    learnt, held_out = demand.training(), demand.testing()
    with console.status("loading TensorFlow") as status:
        load_exporter()
        status.update(f"training on {len(learnt.first):,} windows, about a minute")
        started = time.perf_counter()
        model = train(learnt)
        took = time.perf_counter() - started
        status.update("exporting")
        artifact = rnnport.export(model, ARTIFACT, overwrite=True)
        report = rnnport.verify(artifact, model=model)
        status.update("forecasting")
        forecasts = forecast(artifact, held_out)
        figures = compare(model, held_out, forecasts)
        misses = judge(demand, held_out, forecasts)
        status.update("timing")
        speeds = race(artifact, model, held_out)
        status.update("drawing")
        from draw_forecast import draw

        draw(demand, held_out.first, demand.megawatts(forecasts), picture, note(misses, figures))
    section(console, "the model", about(model, artifact, report, len(learnt.first), took))
    section(console, f"{len(forecasts)} forecasts of {AHEAD} hours, held out", sameness(figures))
    section(console, "how far off", quality(misses))
    section(console, "a forecast, on the CPU", pace(speeds, TOGETHER))
    shown = picture.relative_to(ROOT) if picture.is_relative_to(ROOT) else picture
    console.print(Text.assemble(("picture  ", "dim"), str(shown)))
    return 0 if report.passed and all(figure.good for figure in figures) else 1


def forecast(artifact: Artifact, windows: Windows) -> Array:
    """Forecasts (B, T, 1)."""
    runner = rnnport.load(artifact, provider="cpu", threads=1)
    return run(runner, windows)


def run(runner: Any, windows: Windows) -> Array:
    return runner.forecast(
        windows.past,
        start=windows.future[:, 0],
        steps=windows.future.shape[1],
        feedback=windows.follow,
        batch_size=len(windows.first),
    )


def compare(model: Any, windows: Windows, forecasts: Array) -> list[Figure]:
    """Against a loop in Keras, and against the training model fed these very forecasts."""
    fed = windows.future.copy()
    fed[:, 1:, :1] = forecasts[:, :-1]
    others = {
        "Keras, step by step": KerasForecast(model)(windows, CALLS["Keras, predict"]),
        "Keras, fed the forecasts": model.predict([windows.past, fed], verbose=0),
    }
    return [
        Figure(
            what,
            float(np.abs(other - forecasts).max()),
            BOUND * max(1.0, float(np.abs(other).max())),
        )
        for what, other in others.items()
    ]


def judge(demand: Demand, windows: Windows, forecasts: Array) -> list[Miss]:
    """How far from the truth, in megawatts and in parts of it; first this, then what is easier."""
    ahead = forecasts.shape[1]
    later = partial(demand.later, windows.first, ahead)
    now = demand.hours[windows.first - 1][:, None]
    guesses = {
        "forecast": demand.megawatts(forecasts),
        "the same hour last week": later(WEEK),
        "the same hour yesterday": later(DAY),
        "the last hour known": np.broadcast_to(now, forecasts.shape[:2]),
    }
    truth = later(0)
    return [
        Miss(who, float(np.abs(g - truth).mean()), float((np.abs(g - truth) / truth).mean()))
        for who, g in guesses.items()
    ]


def race(artifact: Artifact, model: Any, windows: Windows) -> list[Speed]:
    """Seconds a forecast takes, alone and among others."""
    loop, runner = KerasForecast(model), rnnport.load(artifact, provider="cpu", threads=1)
    ways = {"forecast, one thread": partial(run, runner)}
    ways |= {who: partial(loop, call=call) for who, call in CALLS.items()}
    one, many = windows.head(1), windows.head(TOGETHER)
    found = []
    for who, way in ways.items():
        for few in (one, many):
            way(few)
        alone, together = (seconds(partial(way, few)) for few in (one, many))
        found.append(Speed(who, alone, together / len(many.first)))
    return found


if __name__ == "__main__":
    sys.exit(main())
