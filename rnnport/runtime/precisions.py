"""Which runtimes gain from a precision; others are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rnnport.errors import ProviderLacks
from rnnport.runtime.providers import resolve_provider
from rnnport.spec import Manifest

__all__ = ["provider_for"]

_REFUSED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("float16", "cpu"): "LSTM, GRU and RNN have no float16 kernels: every one would be cast to "
        "float32 and back, slower than float32 and no more exact than float16",
        ("float16", "web"): "the kernels are the CPU's, which has none for float16",
        ("float16", "openvino"): "rnnport has not tried float16 graphs on it",
        ("int8", "cuda"): "the int8 kernels are the CPU's alone: every layer would be copied to "
        "the host and back",
    }
)
"""Precision and provider to the reason."""

_HOME = {"float16": "cuda", "int8": "cpu"}


def provider_for(manifest: Manifest, provider: str, resolved: str) -> str:
    """The provider that runs this artifact.

    Args:
        manifest: says the precision.
        provider: as it was asked for; "auto" is the one that the precision was made for.
        resolved: what resolve_provider makes of it.

    Raises:
        ProviderLacks: the precision gains nothing there.
        ProviderUnavailable: "auto", and the one that it was made for does not work here.
    """
    precision = manifest.precision
    if provider == "auto" and precision in _HOME:
        return resolve_provider(_HOME[precision])
    reason = _REFUSED.get((precision, resolved))
    if reason is None:
        return resolved
    raise ProviderLacks.of(
        f"provider {resolved!r}, artifact {manifest.name!r}",
        f"precision {precision}: {reason}",
        f"provider {_HOME[precision]!r}",
        "choose that provider, or export the model with precision='float32'",
    )
