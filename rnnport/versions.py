"""Version of rnnport, and of the libraries at hand."""

from __future__ import annotations

from importlib import metadata

__all__ = ["VERSION", "library_versions"]

VERSION = "0.1.0"


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions of distributions; those not installed are left out."""
    found = {"rnnport": VERSION}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
