"""A published classifier of transients, fed light curves point by point as a telescope would.

The model is astrorapid's for ZTF (two LSTM layers, Keras 2), rebuilt in Keras 3 from its file and
checked against that file in TensorFlow and against its definitions in numpy. Three light curves
are streamed: astrorapid's own example (simulated), SN 2010bc (real) and a synthetic one. What the
model says after each point must be what TensorFlow says of the whole sequence. Class names are
those that astrorapid's classify.py lists for this model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fetch import Unavailable
from light_curves import STEPS, LightCurve, light_curves, on_grid
from numpy.typing import NDArray
from printing import duration, facts, mark, section
from rapid_model import CLASSES, model_file, numpy_steps, rebuild
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

import rnnport
from rnnport.cli.quiet import load_exporter, silent_stderr

if TYPE_CHECKING:
    from draw_transients import Streamed

    from rnnport.artifact.load import Artifact

ROOT = Path(__file__).resolve().parents[1]
ARTIFACT = Path(".cache") / "transients" / "artifact"
PICTURE = Path("build") / "transients.png"
WHOLE, TENSORFLOW = 1e-6, 1e-5  # bounds
REPEATS, PREDICTS = 20, 15

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Figure:
    """One comparison: largest difference of a probability, and what it may be."""

    what: str
    error: float
    bound: float

    @property
    def good(self) -> bool:
        """Whether it is within its bound; not so for NaN."""
        return self.error <= self.bound


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=ROOT / PICTURE, help="the PNG to write")
    picture = parser.parse_args().out.absolute()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # both sides on the CPU
    os.chdir(ROOT)
    console = Console(highlight=False)
    console.print(Rule("[bold]rnnport[/]  a published supernova classifier, live"))
    console.print()
    try:
        with console.status("fetching the model and light curves"):
            file, curves = model_file(), light_curves()
    except Unavailable as error:
        console.print(Text(str(error), "yellow"))
        return 1
    return show(console, file, curves, picture)


def show(console: Console, file: Path, curves: list[LightCurve], picture: Path) -> int:
    """Export, stream, compare, time, draw."""
    with console.status("loading TensorFlow") as status:
        load_exporter()
        model, published = rebuild(file), open_published(file)
        status.update("exporting")
        artifact = rnnport.export(model, ARTIFACT, overwrite=True)
        report = rnnport.verify(artifact, model=model)
        status.update("streaming")
        from draw_transients import Streamed, draw

        fed = [on_grid(curve) for curve in curves]
        streamed = [stream(artifact, fluxes) for _, fluxes in fed]
        figures = compare(artifact, model, published, file, [f for _, f in fed], streamed)
        ours, theirs = race(artifact, model, fed[0][1])
        streams = [Streamed(c, *f, p) for c, f, p in zip(curves, fed, streamed, strict=True)]
        draw(streams, picture, note(figures, ours, theirs))
    section(console, "the model", about(file, model, artifact, len(report.checks)))
    section(console, "light curves", origins(curves))
    section(console, "what it says, live", verdicts(streams))
    section(console, "streamed point by point, and nothing changed", errors(figures))
    section(console, "one more point", speed(ours, theirs))
    console.print(Text.assemble(("picture  ", "dim"), shown(picture)))
    return 0 if report.passed and all(figure.good for figure in figures) else 1


def open_published(file: Path) -> Any:
    """The file itself, by Keras 2."""
    with silent_stderr():
        import tf_keras
    return tf_keras.models.load_model(file, compile=False)


def stream(artifact: Artifact, fluxes: Floats) -> Floats:
    """Probabilities (T, 9) after each point of (T, 2) fluxes."""
    stepper = rnnport.load(artifact, provider="cpu").stepper()
    return np.concatenate([stepper.step(point[None]) for point in fluxes])


def compare(
    artifact: Artifact,
    model: Any,
    published: Any,
    file: Path,
    fed: list[Floats],
    streamed: list[Floats],
) -> list[Figure]:
    """The worst difference from each other way to get the same numbers."""
    runner = rnnport.load(artifact, provider="cpu")

    def worst(other: Callable[[Floats], Any]) -> float:
        pairs = zip(fed, streamed, strict=True)
        return float(max(np.abs(other(fluxes) - says).max() for fluxes, says in pairs))

    return [
        Figure("whole run, onnxruntime", worst(lambda x: runner.run(x[None])[0]), WHOLE),
        Figure("rebuilt in Keras 3", worst(lambda x: predicted(model, x)), TENSORFLOW),
        Figure("published file, Keras 2", worst(lambda x: predicted(published, x)), TENSORFLOW),
        Figure("numpy, step by step", worst(lambda x: numpy_steps(file, x)), TENSORFLOW),
    ]


def predicted(model: Any, fluxes: Floats) -> Floats:
    """What a Keras model says after each point, on the padded 50 steps astrorapid gives it."""
    return model.predict(padded(fluxes), verbose=0)[0, : len(fluxes)]


def padded(fluxes: Floats) -> Floats:
    whole = np.zeros((1, STEPS, fluxes.shape[1]), np.float32)
    whole[0, : len(fluxes)] = fluxes
    return whole


def race(artifact: Artifact, model: Any, fluxes: Floats) -> tuple[float, float]:
    """Median seconds that one more point takes: a step here; there predict, on all points."""
    stepper = rnnport.load(artifact, provider="cpu", threads=1).stepper()
    points = [np.ascontiguousarray(point[None]) for point in fluxes]
    ours = [seconds(lambda p=p: stepper.step(p)) for p in points * REPEATS]
    whole = padded(fluxes)
    model.predict(whole, verbose=0)
    theirs = [seconds(lambda: model.predict(whole, verbose=0)) for _ in range(PREDICTS)]
    return statistics.median(ours), statistics.median(theirs)


def seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def about(file: Path, model: Any, artifact: Artifact, checks: int) -> Table:
    grid = facts()
    form = artifact.manifest.forms["stream"]
    floats = sum(int(np.prod(state.shape[1:])) for state in form.states)
    grid.add_row("from", f"astrorapid 0.2.17, MIT, {file.name}")
    grid.add_row("is", f"Masking, LSTM(100), LSTM(100), Dense(9): {model.count_params():,} weights")
    grid.add_row("takes", "g and r fluxes every third day, as they come in")
    grid.add_row("verified", Text(f"{checks} checks passed, masks and chunks among them", "green"))
    grid.add_row("state", f"{len(form.states)} arrays, {floats * 4:,} bytes an object")
    return grid


def origins(curves: list[LightCurve]) -> Table:
    grid = facts()
    for curve in curves:
        grid.add_row(curve.name, curve.origin)
    return grid


def verdicts(streams: list[Streamed]) -> Table:
    """Every object's likeliest class at some days."""
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    grid.add_column("", style="dim", no_wrap=True)
    days = (-10, 10, 40)
    for day in days:
        grid.add_column(f"day {day}", no_wrap=True)
    for item in streams:
        cells = []
        for day in days:
            says = item.probabilities[np.searchsorted(item.days, day, "right") - 1]
            cells.append(
                Text.assemble((CLASSES[says.argmax()], "bold"), (f" {says.max():.0%}", "dim"))
            )
        grid.add_row(item.curve.name, *cells)
    return grid


def errors(figures: list[Figure]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for figure in figures:
        error = Text.assemble((f"{figure.error:.1e}", "bold"), (f" of {figure.bound:.0e}", "dim"))
        grid.add_row(mark(figure.good), figure.what, error)
    return grid


def speed(ours: float, theirs: float) -> Table:
    grid = facts()
    grid.add_row("step", Text(duration(ours), "bold"))
    grid.add_row("Keras predict", f"{duration(theirs)}, on all 50 points anew")
    grid.add_row("", Text(f"{theirs / ours:,.0f}× faster", "bold green"))
    return grid


def note(figures: list[Figure], ours: float, theirs: float) -> str:
    whole, _, published, _ = (figure.error for figure in figures)
    same = f"apart by at most {whole:.0e}" if whole else "equal bit for bit"
    return (
        "Lines above: what astrorapid's ZTF classifier (two LSTM layers) is fed. Below: what it "
        "says after each point; thin, classes unlikely in the end. Dotted: first detection.\n"
        f"{duration(ours)} a point on onnxruntime, {theirs / ours:,.0f}× faster than Keras's "
        f"predict; streamed and whole {same}, "
        f"streamed and TensorFlow apart by at most {published:.0e}."
    )


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    sys.exit(main())
