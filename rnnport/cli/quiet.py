"""Load TensorFlow without its noise; what it had to say is shown only if it fails."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from rnnport.errors import UsageError

__all__ = ["load_exporter", "silent_stderr"]

_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_CPP_MAX_VLOG_LEVEL": "-1",
    "ABSL_MIN_LOG_LEVEL": "3",
    "AUTOGRAPH_VERBOSITY": "0",
}
_LOGGERS = ("tensorflow", "absl", "keras", "tf_keras", "tf2onnx", "h5py")


def load_exporter() -> None:
    """Import the exporting side of rnnport, TensorFlow with it, silently.

    Raises:
        UsageError: TensorFlow, or another part of the export extra, is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    try:
        with silent_stderr():
            importlib.import_module("rnnport.exporting")
    except ModuleNotFoundError as error:
        raise UsageError.of(
            "rnnport export",
            f"no module named {error.name!r}",
            "TensorFlow, Keras, tf2onnx and onnx",
            "pip install 'rnnport[export]'",
        ) from error


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 to a file: libraries in C++ write there, past sys.stderr.

    The file is shown if the block fails, unless it only lacks a module or Ctrl-C ended it.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except ModuleNotFoundError:
            raise
        except Exception:
            captured.seek(0)
            os.write(original, captured.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
