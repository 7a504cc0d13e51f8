"""Memory stays where it is over lengths that nobody has seen before.

In a process of its own, with one heap that gives back what is freed: what is left is kept by
someone. ./scripts/soak_lengths asks for 10,000 shapes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DIGITS = Path(__file__).parents[2] / "artifacts" / "digits-lstm"
SHAPES, MOST = 400, 8  # MiB; half of one is usual

SCRIPT = """
import gc, os, sys
from pathlib import Path
import numpy as np
import rnnport

def resident():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

way, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
runner = rnnport.load(folder, provider="cpu", threads=1)
features = runner.manifest.forms["model"].inputs[0].shape[-1]
x = np.random.default_rng(0).standard_normal((8, 2000, features)).astype(np.float32)
stepper = runner.stepper(8)
ways = {
    "run": lambda steps: runner.run(x[:, :steps]),
    "feed": lambda steps: stepper.feed(x[:, :steps]),
    "many": lambda steps: runner.run_many([row[: steps - n] for n, row in enumerate(x)]),
}
order = np.random.default_rng(1).permutation(np.arange(20, 1990))[:count]
for steps in (2000, *order[:40]):
    ways[way](int(steps))
before = resident()
for steps in order[40:]:
    ways[way](int(steps))
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("way", ["run", "feed", "many"])
def test_memory_stays_where_it_is(way: str) -> None:
    folder = str(DIGITS)
    # One heap, and no room that malloc keeps at the end of it.
    own = {**os.environ, "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, way, folder, str(SHAPES)],
        env=own,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert float(done.stdout) < MOST, done.stdout
