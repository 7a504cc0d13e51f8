"""Run an artifact in a process of its own and say what that took: `infer.py DIR IN.npy OUT.npy`.

Prints one JSON object: foreign, the modules of the training side that got imported (none);
answered, the wall clock when the first output was there; memory, the most bytes held.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

import rnnport

FOREIGN = ("tensorflow", "keras", "tf_keras", "tf2onnx", "onnx", "onnxscript")


def main(artifact: str, source: str, target: str) -> None:
    runner = rnnport.load(artifact, provider="cpu")
    inputs = np.load(source, allow_pickle=False)
    runner.run(inputs[:1])
    answered = time.time()
    memory = peak_memory()
    np.save(target, runner.run(inputs))
    foreign = sorted({name.partition(".")[0] for name in sys.modules} & set(FOREIGN))
    print(json.dumps({"foreign": foreign, "answered": answered, "memory": memory}))


def peak_memory() -> int:
    """The most bytes this process held, or 0 where that is unknown."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory before exec
        fields = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
