"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnport.errors import UsageError

__all__ = ["Folder", "Json", "ProviderName", "sizes"]

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


def sizes(option: str, text: str) -> list[int]:
    """Sizes out of a list with commas.

    Raises:
        UsageError: it is no such list.
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        expected = "whole numbers from 1 up with commas between"
        raise UsageError.of(option, repr(text), expected, f"{option} 1,8,32, say") from error
