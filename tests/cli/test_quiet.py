from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

import pytest

from rnnport.cli.quiet import load_exporter, silent_stderr
from rnnport.errors import UsageError


def test_noise_on_the_descriptor_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_stderr():
        os.write(2, b"noise from C++\n")
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_noise_is_shown_where_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with silent_stderr():
            os.write(2, b"libfoo.so: wrong version\n")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "libfoo.so: wrong version\n"


def test_without_tensorflow_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> Any:
        os.write(2, b"noise\n")
        raise ModuleNotFoundError(name="tensorflow")

    monkeypatch.setattr(importlib, "import_module", absent)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(UsageError) as caught, warnings.catch_warnings():
        load_exporter()
    assert str(caught.value) == (
        "rnnport export | received: no module named 'tensorflow' | "
        "expected: TensorFlow, Keras, tf2onnx and onnx | remedy: pip install 'rnnport[export]'"
    )
    assert capfd.readouterr().err == ""
