"""Whole models of Keras 2 in `.keras` archives, as TensorFlow 2.12 to 2.15 wrote them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import tf_keras

from rnnport.capture.keras2.safety import refuse_code
from rnnport.capture.opened import Opened

__all__ = ["load"]


def load(path: Path, custom_objects: dict[str, Any]) -> Opened:
    """Load with tf_keras, in safe mode.

    Args:
        path: a `.keras` file.
        custom_objects: classes and functions it names.
    """
    with zipfile.ZipFile(path) as archive:
        refuse_code(json.loads(archive.read("config.json")), custom_objects, path)
    model = tf_keras.models.load_model(
        str(path), custom_objects=custom_objects, compile=False, safe_mode=True
    )
    return Opened(model, f"{path.suffix} file")
