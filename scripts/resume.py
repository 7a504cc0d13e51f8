"""Go on with a stream in a process of its own: `resume.py DIR SNAPSHOT IN.npy OUT.npy`.

Restores the snapshot, steps through IN (T, B, F…) and writes the outputs (T, B, F…). Prints one
JSON object: foreign, the modules of the training side that got imported (none).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from infer import FOREIGN

import rnnport


def main(artifact: str, snapshot: str, source: str, target: str) -> None:
    steps = np.load(source, allow_pickle=False)
    stepper = rnnport.load(artifact, provider="cpu").stepper(steps.shape[1])
    stepper.restore(Path(snapshot).read_bytes())
    np.save(target, np.stack([stepper.step(step) for step in steps]))
    foreign = sorted({name.partition(".")[0] for name in sys.modules} & set(FOREIGN))
    print(json.dumps({"foreign": foreign}))


if __name__ == "__main__":
    main(*sys.argv[1:])
