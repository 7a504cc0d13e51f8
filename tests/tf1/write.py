"""Exports every TensorFlow 1 model; run in a process with TF_USE_LEGACY_KERAS=1.

`python -m tests.tf1.write DIR` trains nothing: it gives every variable a random value, saves a
checkpoint, exports, and writes what the session answers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import rnnport
from tests.tf1 import custom_models, models, raw_models  # noqa: F401  they fill CASES
from tests.tf1.cases import CASES, KEPT, Case, arrays

v1 = tf.compat.v1


def session_of(one: Case, seed: int) -> Any:
    """A session over the plain graph with random weights, its placeholders and flat outputs."""
    graph = tf.Graph()
    with graph.as_default():
        feeds = [v1.placeholder(s.dtype, s.shape) for s in one.signature]
        outputs = [tf.identity(y) for y in tf.nest.flatten(one.build(*feeds))]
        session = v1.Session(graph=graph)
        rng = np.random.default_rng(seed)
        for variable in v1.global_variables():
            fan = max(1, int(np.prod(variable.shape[:-1])))
            wide = 1.2 / np.sqrt(fan) if len(variable.shape) > 1 else 0.3
            value = (rng.standard_normal(variable.shape) * wide).astype(np.float32)
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})
    return session, feeds, outputs


def write(name: str, folder: Path) -> None:
    """Export one case from its checkpoint and keep what the session answers."""
    one = CASES[name]
    session, feeds, outputs = session_of(one, seed=len(name))
    with session.graph.as_default():
        place = folder / "checkpoints" / name
        place.mkdir(parents=True)
        prefix = v1.train.Saver().save(session, str(place / "model"))
    KEPT["probability"] = 0.5
    rnnport.export(one.build, folder / name, input_signature=one.signature, checkpoint=prefix)
    KEPT["probability"] = 1.0
    rng = np.random.default_rng(3)
    for k, (batch, time) in enumerate(one.sizes):
        given = arrays(one, batch, time, rng)
        answers = session.run(outputs, dict(zip(feeds, given, strict=True)))
        kept = {f"in{i}": a for i, a in enumerate(given)}
        kept |= {f"out{i}": a for i, a in enumerate(answers)}
        np.savez(folder / f"{name}.{k}.npz", **kept)


if __name__ == "__main__":
    import traceback

    target = Path(sys.argv[1])
    for each in sys.argv[2:] or CASES:
        try:
            write(each, target)
        except Exception:
            (target / f"{each}.error").write_text(traceback.format_exc())
