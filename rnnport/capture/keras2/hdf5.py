"""Whole models of Keras 2 in HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
from tf_keras.src.saving.legacy.hdf5_format import load_weights_from_hdf5_group
from tf_keras.src.saving.legacy.model_config import model_from_config
from tf_keras.src.saving.serialization_lib import SafeModeScope

from rnnport.capture.file_kind import hdf5_config
from rnnport.capture.keras2.first_input import first_weights
from rnnport.capture.keras2.repairs import repair
from rnnport.capture.keras2.safety import refuse_code, refuse_unknown
from rnnport.capture.opened import Opened
from rnnport.errors import ModelFileError

__all__ = ["load"]


def load(path: Path, custom_objects: dict[str, Any]) -> Opened:
    """Build the model that a repaired description gives, and load its weights.

    Args:
        path: an `.h5` or `.hdf5` file with a model_config.
        custom_objects: classes and functions it names.
    """
    config, _ = hdf5_config(path)
    refuse_code(config, custom_objects, path)
    with h5py.File(path, "r") as file, SafeModeScope(safe_mode=True):
        if "model_weights" not in file:
            raise ModelFileError.of(
                str(path),
                "a model_config without model_weights",
                "a whole model written by model.save('x.h5')",
                "save the model again",
            )
        weights = file["model_weights"]
        config, notes = repair(config, first_weights(weights), custom_objects)
        refuse_unknown(config, custom_objects, path)
        model = model_from_config(config, custom_objects=custom_objects)
        load_weights_from_hdf5_group(weights, model)
    return Opened(model, f"{path.suffix} file", notes)
