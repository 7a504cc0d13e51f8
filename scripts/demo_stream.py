"""The demo's live part: artifacts/digits-lstm reads an image row by row, and stops half way."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from printing import duration, mark
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import rnnport

__all__ = ["Live", "live_digit", "live_table"]

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "artifacts" / "digits-lstm"
IMAGE = 7  # of the test images: a 9 that takes some rows to tell
REPEATS = 100
WHOLE_BOUND = 1e-6
GREYS = " ░▒▓█"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Live:
    """One image, read live.

    Attributes:
        rows: (8, 8)
        label: the digit it is.
        says: probabilities after each row.  # (8, 10)
        apart: largest difference between the last of them and the whole image's.
        resumed: whether a fresh process went on from the snapshot bit for bit.
        foreign: what that process imported and should not have.
        snapshot_bytes: size of the snapshot.
        step_seconds: median of one step.
    """

    rows: Floats
    label: int
    says: Floats
    apart: float
    resumed: bool
    foreign: list[str]
    snapshot_bytes: int
    step_seconds: float

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        return self.apart <= WHOLE_BOUND and self.resumed and not self.foreign


def live_digit() -> Live:
    """Step through an image that training did not see; snapshot it half way and go on elsewhere."""
    from train_digits import digits

    _, _, images, labels = digits()
    rows = images[IMAGE]
    runner = rnnport.load(DIGITS, provider="cpu")
    stepper = runner.stepper()
    half = len(rows) // 2
    says = [stepper.step(row[None]) for row in rows[:half]]
    snapshot = stepper.snapshot()
    says += [stepper.step(row[None]) for row in rows[half:]]
    apart = np.abs(says[-1] - runner.run(rows[None])).max()
    elsewhere, foreign = _resume(snapshot, rows[half:, None])
    return Live(
        rows=rows,
        label=int(labels[IMAGE]),
        says=np.concatenate(says),
        apart=float(apart),
        resumed=np.array_equal(elsewhere, np.stack(says[half:])),
        foreign=foreign,
        snapshot_bytes=len(snapshot),
        step_seconds=_step_seconds(stepper, rows),
    )


def _resume(snapshot: bytes, steps: Floats) -> tuple[Floats, list[str]]:
    """Run resume.py: its outputs, and what it should not have imported."""
    with tempfile.TemporaryDirectory() as folder:
        saved, source, target = (Path(folder) / name for name in ("stream", "in.npy", "out.npy"))
        saved.write_bytes(snapshot)
        np.save(source, steps)
        script = [sys.executable, str(ROOT / "scripts" / "resume.py")]
        done = subprocess.run(
            [*script, str(DIGITS), str(saved), str(source), str(target)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return np.load(target, allow_pickle=False), json.loads(done.stdout)["foreign"]


def _step_seconds(stepper: Any, rows: Floats) -> float:
    taken = []
    for row in [row[None] for row in rows] * REPEATS:
        started = time.perf_counter()
        stepper.step(row)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def live_table(live: Live) -> Group:
    """The rows as they came, the guess after each, and how it compares."""
    rows = Table.grid(padding=(0, 2))
    for row, says in zip(live.rows, live.says, strict=True):
        guess, sure = int(says.argmax()), float(says.max())
        bar = Text("━" * round(24 * sure), "green" if guess == live.label else "yellow")
        rows.add_row(_shades(row), Text(str(guess), "bold"), f"{sure:.0%}", bar)
    same = f"to {live.apart:.1e}" if live.apart else "bit for bit"
    half = f"after row {len(live.rows) // 2}, {live.snapshot_bytes} bytes"
    proof = Table.grid(padding=(0, 2))
    proof.add_row(mark(live.apart <= WHOLE_BOUND), f"row by row as the whole image, {same}")
    proof.add_row(
        mark(live.resumed and not live.foreign),
        f"snapshot {half}: another process goes on, bit for bit",
    )
    step = Text.assemble((duration(live.step_seconds), "bold"), " a step")
    return Group(rows, "", proof, Padding(step, (0, 0, 0, 3), expand=False))


def _shades(row: Floats) -> str:
    levels = np.clip((row * len(GREYS)).astype(int), 0, len(GREYS) - 1)
    return "".join(GREYS[level] * 2 for level in levels)
