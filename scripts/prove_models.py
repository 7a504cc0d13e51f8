"""What scripts/prove proves: artifacts of every mission row's tests, and of published models."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fetch import Unavailable, package_file

__all__ = ["REAL", "collect_rows", "export_real", "published"]

ROOT = Path(__file__).resolve().parents[1]
REAL = "real models"


def collect_rows(rows: list[str], folder: Path) -> int:
    """Run the rows' tests, which leave their artifacts in folder/ROW; their exit status."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal"]
    command += ["-p", "tests.support_rows", "--keep-artifacts", str(folder)]
    command += ["--rows", *rows, "--ignore", "tests/test_support.py"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode


def export_real(folder: Path) -> Iterator[str]:
    """Export the published models that can be fetched; a line for each of the others."""
    import rnnport
    from rnnport.cli.quiet import load_exporter

    load_exporter()
    for name, load in _PUBLISHED.items():
        try:
            model, keywords = load()
        except Unavailable as error:
            yield f"{name}: {error}"
            continue
        rnnport.export(model, folder / REAL / name, overwrite=True, **keywords)


_Loaded = tuple[Any, dict[str, Any]]


def published(name: str) -> _Loaded:
    """A published model, or its file, and keywords for rnnport.export.

    Raises:
        Unavailable: it cannot be fetched; says why.
    """
    return _PUBLISHED[name]()


def _sleep(kind: str, sha256: str) -> Callable[[], _Loaded]:
    def load() -> _Loaded:
        archive = package_file("sleepecg==0.5.9", f"sleepecg/classifiers/{kind}.zip", sha256)
        folder = ROOT / ".cache" / "prove" / kind
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as bundle:
            bundle.extract("classifier.keras", folder)
        return folder / "classifier.keras", {}

    return load


def _light_curves() -> _Loaded:
    from rapid_model import model_file

    return model_file(), {}


def _domains() -> _Loaded:
    sha256 = "b1b048885e6dc45bf79f129d2cb2d35521cf7a614b1334c700fc23e42d379f12"
    return package_file("dgaintel==2.3", "dgaintel/domain_classifier_model.h5", sha256), {}


def _spelling() -> _Loaded:
    from g2p_model import read_weights, rebuild, weights_file

    import rnnport

    wish = rnnport.Generate(start=2, stop=3, max_steps=20)
    return rebuild(read_weights(weights_file())), {"generate": wish}


# Of the archives.
_WRN = "5622a858c855b0090e1fbcbdc35334ea459707c830eae1a26a4375e33091e869"
_WS = "316ce8c1f2740097d4e07723fab83b85c260a0a63d5a97275c16b668bfd5ea73"
_WEIGHTED = "3756efdb9143653a71e273b27b128bfcd1c1e4d60e846f11208dcb76195c6129"

_PUBLISHED: dict[str, Callable[[], _Loaded]] = {
    "sleepecg wrn-gru-mesa": _sleep("wrn-gru-mesa", _WRN),
    "sleepecg ws-gru-mesa": _sleep("ws-gru-mesa", _WS),
    "sleepecg wrn-gru-mesa-weighted": _sleep("wrn-gru-mesa-weighted", _WEIGHTED),
    "astrorapid": _light_curves,
    "dgaintel": _domains,
    "g2p-en": _spelling,
}
