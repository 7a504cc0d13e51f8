"""Provider names, and which of them runs here."""

from __future__ import annotations

from typing import Any

from rnnport.errors import NotYetAvailable, ProviderUnavailable, UnknownProvider
from rnnport.runtime.cuda_probe import probe_cuda

__all__ = ["PROVIDERS", "resolve_provider", "session_providers"]

PROVIDERS = ("cpu", "cuda", "auto")
_ANNOUNCED = ("openvino", "web", "reference")
_CPU: tuple[str, dict[str, Any]] = ("CPUExecutionProvider", {})
# TF32 rounds products to 10 bits of mantissa, far above the CUDA tolerance.
_CUDA: tuple[str, dict[str, Any]] = ("CUDAExecutionProvider", {"use_tf32": "0"})


def resolve_provider(name: str) -> str:
    """Turn a provider name into the one that will run, "cpu" or "cuda".

    Args:
        name: "cpu", "cuda", or "auto" (CUDA where it really works, else the CPU).

    Raises:
        ProviderUnavailable: "cuda" was asked for by name and does not work here.
        NotYetAvailable: a provider that rnnport will have.
        UnknownProvider: any other name.
    """
    if name == "cpu":
        return "cpu"
    if name == "auto":
        return "cuda" if probe_cuda().works else "cpu"
    if name == "cuda":
        return _require_cuda()
    expected = f"one of {', '.join(PROVIDERS)}"
    if name in _ANNOUNCED:
        remedy = "choose one of those, or a later version of rnnport"
        raise NotYetAvailable.of(f"provider {name!r}", "not in this version", expected, remedy)
    raise UnknownProvider.of("provider", repr(name), expected, "choose one of those")


def session_providers(provider: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and options for onnxruntime, best first; the CPU takes what CUDA leaves."""
    return [_CUDA, _CPU] if provider == "cuda" else [_CPU]


def _require_cuda() -> str:
    probe = probe_cuda()
    if not probe.works:
        raise ProviderUnavailable.of(
            "provider 'cuda'",
            f"{probe.step} failed: {probe.detail}",
            "an NVIDIA GPU, its driver, CUDA 13 and cuDNN 9 that run a small LSTM",
            probe.remedy,
        )
    return "cuda"
