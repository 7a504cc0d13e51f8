"""Small tf_keras models, files that older versions wrote, and what an export is held against."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras.src.saving.legacy.hdf5_format import save_model_to_hdf5

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.samples import draw
from tests.tiny_keras import lively

L = tf_keras.layers
Change = Callable[[dict[str, Any]], Any]


def functional(
    layer: Any, *, features: int = 3, time: int | None = None, mask: bool = False
) -> Any:
    """One layer over (B, T, F), behind a Masking layer where wanted."""
    x = L.Input((time, features), name="x")
    return lively(tf_keras.Model(x, layer(L.Masking()(x) if mask else x), name="one"))


class Prove:
    """Exports into one folder and checks numbers and structure.

    Args:
        folder: for the artifact.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        model: Any,
        *,
        live: Any = None,
        time: int = 7,
        scan: int = 0,
        streams: bool | None = None,
        export: dict[str, Any] | None = None,
        **fused: int,
    ) -> Artifact:
        """Export `model`, or the file it is, and hold it against `live` in tf_keras, unpatched."""
        artifact = rnnport.export(model, self.folder / "out", overwrite=True, **(export or {}))
        ops = artifact.manifest.forms["model"].op_counts
        found = {kind: ops.get(kind, 0) for kind in ("LSTM", "GRU", "RNN")}
        assert found == {kind: fused.get(kind, 0) for kind in found}
        assert (ops.get("Scan", 0), ops.get("Loop", 0)) == (scan, 0)
        report = rnnport.verify(artifact, model=model, **(export or {}))
        assert report.passed, report.failures
        if not isinstance(model, (str, Path)) and live is None:
            live = model
        if live is not None:
            assert_equal(artifact, live, time)
        if streams is not None:
            assert artifact.manifest.streamable.ok is streams, artifact.manifest.streamable
        return artifact


def assert_equal(artifact: Artifact, live: Any, time: int, tolerance: float = 1e-5) -> None:
    """The artifact gives what the live model gives, outside of any interception."""
    ports = artifact.manifest.forms["model"].inputs
    runner = rnnport.load(artifact, provider="cpu")
    for seed, mask in enumerate(("none", "right", "interior")):
        sizes = {"B": 3, "T": time, "T2": time + 1}
        arrays = draw(ports, sizes, mask=mask, seed=seed)
        given = [tf.constant(arrays[port.name]) for port in ports]
        if any(layer.stateful for layer in getattr(live, "layers", [])):
            live.reset_states()
        expected = tf.nest.flatten(live(given[0] if len(given) == 1 else given))
        found = runner.run_named(arrays)
        received = [found[port.name] for port in artifact.manifest.forms["model"].outputs]
        for e, r in zip(expected, received, strict=True):
            assert tuple(e.shape) == r.shape
            scale = max(1.0, float(np.abs(e).max()))
            np.testing.assert_allclose(r, e, rtol=0, atol=tolerance * scale)


def old_file(
    model: Any,
    path: Path,
    *changes: Change,
    version: str | None = "2.1.6",
    attributes: str = "bytes",
) -> Path:
    """The model as an older Keras would have written it.

    Args:
        model: of tf_keras.
        path: where to write.
        changes: each edits the model_config in place, or returns another.
        version: the keras_version attribute; None leaves it out.
        attributes: "bytes" as h5py 2 gave them, or "text".
    """
    save_model_to_hdf5(model, str(path), include_optimizer=False)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for change in changes:
            config = change(config) or config
        text = json.dumps(config)
        file.attrs["model_config"] = text.encode() if attributes == "bytes" else text
        for place in (file, file["model_weights"]):
            if version is None:
                del place.attrs["keras_version"]
            else:
                place.attrs["keras_version"] = version.encode()
    return path


def every(config: Any, kind: str) -> list[dict[str, Any]]:
    """The configs of all layers of one class, nested ones too."""
    found = []
    if isinstance(config, dict):
        if config.get("class_name") == kind:
            found.append(config["config"])
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            found += every(value, kind)
    return found
