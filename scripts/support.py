"""Writes docs/support.md: every row of the mission table, from what its own tests saw."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support_rows import ROWS

ROOT = Path(__file__).resolve().parents[1]

HEAD = """# What exports, how, and how exactly

Made by `scripts/support` from the results of the tests of each row; every figure is from that run.
*Models* are exported by the row's tests, each compared with TensorFlow at sizes and with masks that
were not traced. *Error* is the worst difference from TensorFlow over max(1, the largest magnitude
expected of that output); the bound is 1e-5. *Streams* is the worst difference between the whole run
and chunks or single steps, bound 1e-6; for encoder-decoder models, between encoder with decoder and
the whole. *Operators* are those of model.onnx that recur, with the number of models that hold them.

| row | what | models | operators | error | streams |
|---|---|---|---|---|---|
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "docs" / "support.md")
    parser.add_argument("--seen", type=Path, help="what an earlier run of the tests saw")
    given = parser.parse_args()
    if given.seen is not None:
        return write(json.loads(given.seen.read_text()), 0, given.out)
    with tempfile.TemporaryDirectory() as name:
        seen = Path(name) / "seen.json"
        done = run_tests(seen)
        rows = json.loads(seen.read_text()) if seen.exists() else {}
    return write(rows, done, given.out)


def write(rows: dict[str, Any], done: int, out: Path) -> int:
    """The document, if every row has a figure; the exit status."""
    missing = [row for row in ROWS if "whole" not in rows.get(row, {}).get("errors", {})]
    if done or missing:
        print(f"tests ended with {done}; rows without a figure: {', '.join(missing) or 'none'}")
        return 1
    out.write_text(HEAD + "".join(line(row, rows[row]) for row in ROWS))
    print(f"{out}: {len(ROWS)} rows, {sum(rows[r]['models'] for r in ROWS)} models")
    return 0


def run_tests(seen: Path) -> int:
    """The tests of every row, in one process; their exit status."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "tests.support_rows"]
    command += ["--support-json", str(seen), "--ignore", "tests/test_support.py"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode


def line(row: str, entry: dict[str, Any]) -> str:
    ops = ", ".join(f"{op} {n}" for op, n in entry["ops"].items()) or "none"
    if entry["left"]:
        ops += f" ({entry['left']} left to tf2onnx)"
    error = f"{entry['errors']['whole']:.1e}"
    cells = [row, ROWS[row], str(entry["models"]), ops, error, streams(entry)]
    return f"| {' | '.join(cells)} |\n"


def streams(entry: dict[str, Any]) -> str:
    """How exactly, or why not: the commonest reason."""
    told = []
    if entry["streams"]:
        error = entry["errors"].get("stream")
        figure = "" if error is None else f", {error:.1e}" if error else ", bit-equal"
        told.append(f"{entry['streams']} of {entry['models']}{figure}")
    if entry["reasons"]:
        reason = max(entry["reasons"], key=entry["reasons"].__getitem__)
        reason = reason.split(": golden")[0]  # the runtime's own words are not for a table
        told.append(f"else: {reason}" if told else f"no: {reason}")
    return "; ".join(told).replace("|", "/")


if __name__ == "__main__":
    sys.exit(main())
