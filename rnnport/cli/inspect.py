"""`rnnport inspect DIR`."""

from __future__ import annotations

from rnnport.cli.options import Folder, Json
from rnnport.cli.outcome import outcome, print_json

__all__ = ["inspect"]


def inspect(folder: Folder, as_json: Json = False) -> None:
    """Show an artifact: ports, layers and how each was lowered, operators, sizes, versions."""
    with outcome(as_json):
        import msgspec

        import rnnport

        artifact = rnnport.open(folder)
        if as_json:
            print_json({"path": str(artifact.path), **msgspec.to_builtins(artifact.manifest)})
            return
        from rnnport.cli.show import stdout
        from rnnport.cli.summary import artifact_details

        stdout().print(artifact_details(artifact))
