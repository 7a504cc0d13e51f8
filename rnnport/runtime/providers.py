"""Provider names, and which of them runs here."""

from __future__ import annotations

from rnnport.errors import ProviderUnavailable, UnknownProvider
from rnnport.runtime.backends.registry import BACKENDS

__all__ = ["PROVIDERS", "resolve_provider"]

PROVIDERS = (*BACKENDS, "auto")


def resolve_provider(name: str) -> str:
    """Turn a provider name into the one that will run.

    Args:
        name: of a backend, or "auto" (CUDA where it really works, else the CPU).

    Raises:
        ProviderUnavailable: it was asked for by name and does not work here.
        UnknownProvider: any other name.
    """
    if name == "auto":
        return "cuda" if _works("cuda") else "cpu"
    if name not in PROVIDERS:
        expected = f"one of {', '.join(PROVIDERS)}"
        raise UnknownProvider.of("provider", repr(name), expected, "choose one of those")
    BACKENDS[name].require()
    return name


def _works(name: str) -> bool:
    try:
        BACKENDS[name].require()
    except ProviderUnavailable:
        return False
    return True
