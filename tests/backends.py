"""Which providers run on this machine, for tests."""

from __future__ import annotations

from typing import Any

import pytest

from rnnport.errors import ProviderUnavailable
from rnnport.runtime.backends.registry import BACKENDS

__all__ = ["needs", "providers"]


def _missing(provider: str) -> str:
    try:
        BACKENDS[provider].require()
    except ProviderUnavailable as error:
        return error.reasons[0].received
    return ""


def needs(provider: str) -> pytest.MarkDecorator:
    """Skips a test where the provider does not run, and says why."""
    why = _missing(provider)
    return pytest.mark.skipif(bool(why), reason=f"provider {provider}: {why}")


def providers(*names: str) -> list[Any]:
    """Parameters for pytest: each provider with its condition."""
    return [pytest.param(name, marks=needs(name), id=name) for name in names]
