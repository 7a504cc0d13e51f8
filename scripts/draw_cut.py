"""Draw where rnnport cut an encoder-decoder model, from the graphs of its artifact.

Run it with `.venv/bin/python scripts/draw_cut.py DIR -o cut.svg`. A box is a layer: the nodes that
bear its name, the operators that matter, how many weights they read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cut_graph import read_half
from cut_svg import svg

import rnnport
from rnnport.errors import RnnportError, UsageError

__all__ = ["draw"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path, metavar="DIR", help="with encoder and decoder")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the SVG to write")
    options = parser.parse_args()
    try:
        options.out.write_text(draw(options.artifact), encoding="utf-8")
    except RnnportError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def draw(folder: Path) -> str:
    """The SVG.

    Raises:
        UsageError: the artifact has no encoder and decoder.
    """
    artifact = rnnport.open(folder)
    if not artifact.manifest.handoff.ok:
        why = artifact.manifest.handoff.reason or "no hand-off"
        remedy = "pass the artifact of an encoder-decoder model"
        raise UsageError.of(str(folder), why, "encoder.onnx and decoder.onnx", remedy)
    return svg(
        artifact.manifest.name, read_half(artifact, "encoder"), read_half(artifact, "decoder")
    )


if __name__ == "__main__":
    sys.exit(main())
