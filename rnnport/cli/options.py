"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Folder", "Json", "ProviderName"]

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The artifact's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead.")]
ProviderName = Annotated[
    str,
    typer.Option(
        "--provider",
        help="cpu, cuda, openvino, web (onnxruntime-web under Node), reference (float64), or auto: "
        "CUDA where it works, else the CPU.",
    ),
]
