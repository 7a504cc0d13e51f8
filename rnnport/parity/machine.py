"""Facts around a report: versions, the machine, the files."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from rnnport.artifact.load import Artifact
from rnnport.parity.facts import FormFacts
from rnnport.versions import VERSION

__all__ = ["form_facts", "machine", "versions_here"]

_RUNTIMES = {
    "cpu": ("onnxruntime-gpu", "onnxruntime"),
    "cuda": ("onnxruntime-gpu",),
    "auto": ("onnxruntime-gpu", "onnxruntime"),
    "openvino": ("openvino",),
    "reference": ("onnx",),
}


def versions_here(provider: str) -> dict[str, str]:
    """Versions of what runs: rnnport, Python, NumPy and the provider's runtime."""
    found = {"rnnport": VERSION, "python": platform.python_version()}
    for name in ("numpy", *_RUNTIMES.get(provider, ())):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Processor, cores that this process may use, and system; no name, no address."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": str(cores),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def form_facts(artifact: Artifact) -> dict[str, FormFacts]:
    """Of every form its file, size with external data, and operators."""
    return {
        name: FormFacts(
            file=form.record.file,
            size=form.size,
            op_counts=form.op_counts,
        )
        for name, form in artifact.manifest.forms.items()
    }
