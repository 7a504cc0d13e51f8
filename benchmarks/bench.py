"""rnnport and its peers, interleaved in one process: every row of the grid, or some of them.

    ./scripts/bench                         the whole grid: most of an hour on two idle cores
    ./scripts/bench --resume                go on with a run that was cut
    ./scripts/bench --quick                 a few rows of each family, about three minutes
    ./scripts/bench --rows 'GRU.*, 1x'      rows whose name the regular expression is found in
    ./scripts/bench --list                  the names, nothing else

Results of the whole grid go to artifacts/bench/grid.jsonl, row by row; docs/performance.md and its
charts are made from them afterwards, and by `python benchmarks/page.py` alone. Results of some rows
go to .cache/bench/, with --resume to the grid's file. docs/benchmarks.md says more.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def options() -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="", metavar="PATTERN", help="rows it is found in")
    parser.add_argument("--quick", action="store_true", help="a spread of a few rows")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument(
        "--again",
        choices=("disturbed", "all"),
        help="with --resume: measure rows that are there once more, those others disturbed or all",
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of timing, for each row")
    parser.add_argument("--threads", type=int, default=cores, help="for each contender")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the JSON-lines file")
    parser.add_argument("--page", type=Path, metavar="FILE", help="the document; default by --out")
    parser.add_argument("--no-fresh", action="store_true", help="no processes of their own")
    return parser.parse_args()


def environment(threads: int) -> None:
    """What must be said before NumPy and TensorFlow are imported.

    OpenBLAS's threads stop spinning after 2^20 cycles, half a millisecond, not after 30 ms.
    """
    os.environ.update(
        CUDA_VISIBLE_DEVICES="-1",
        OPENBLAS_NUM_THREADS=str(threads),
        OPENBLAS_THREAD_TIMEOUT="20",
    )


if __name__ == "__main__":
    chosen = options()
    environment(chosen.threads)
    from suite.course import run

    sys.exit(run(chosen, ROOT))
