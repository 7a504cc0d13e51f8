"""A session over a form's file, on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnport.errors import InputError, ProviderLacks, Reason, UsageError
from rnnport.runtime.backends.base import RunFailed
from rnnport.runtime.backends.registry import BACKENDS
from rnnport.spec import Lack

__all__ = ["check_spin", "check_threads", "open_session", "provider_lacks", "run_refused"]


def check_threads(threads: int | None) -> None:
    """Refuse a thread count that is no positive integer.

    Raises:
        UsageError: threads is neither None nor an integer from 1 up.
    """
    if threads is None or (isinstance(threads, int) and type(threads) is not bool and threads > 0):
        return
    remedy = "pass None to let onnxruntime choose"
    raise UsageError.of("threads", repr(threads), "a whole number from 1 up, or None", remedy)


def check_spin(spin: object) -> None:
    """Refuse what is neither True, False nor None.

    Raises:
        UsageError: it is neither.
    """
    if spin is not None and not isinstance(spin, bool):
        expected = "True, False or None"
        raise UsageError.of("spin", repr(spin), expected, "pass False to leave the cores to others")


def open_session(
    path: Path,
    provider: str = "cpu",
    threads: int | None = None,
    *,
    arena: bool = True,
    spin: bool | None = None,
) -> Any:
    """Open a form; by path, since external data lies beside the file.

    Args:
        path: the .onnx file, already checked by open_artifact.
        provider: a resolved provider.
        threads: for the work inside one operator; None leaves the choice to the runtime.
        arena: keep freed memory at hand; without it very small runs are faster.
        spin: whether idle threads of onnxruntime wait for work at full speed; None is True.

    Returns:
        A session as in backends/base.py; for "cpu" and "cuda" an onnxruntime.InferenceSession. Its
        run may be called from several threads.

    Raises:
        UsageError: threads or spin makes no sense.
        ArtifactDamaged: the runtime does not take the file.
        ProviderLacks: the runtime does not run an operator, or runs it wrong.
        ProviderUnavailable: the provider works, but not for this session.
    """
    check_threads(threads)
    check_spin(spin)
    backend = BACKENDS[provider]
    if found := backend.lacks(path):
        raise provider_lacks(provider, path, found)
    return backend.open(path, threads, arena=arena, spin=spin)


def provider_lacks(provider: str, path: Path, lacks: Sequence[Lack]) -> ProviderLacks:
    """The refusal of a graph, one reason for each lack."""
    expected = f"operators that {provider} runs, and rightly"
    target = BACKENDS[provider].target
    remedy = f"export the model with target={target!r}, or choose another provider"
    return ProviderLacks(
        *(
            Reason(f"provider {provider!r}, {path.name}", f"{k.op}: {k.reason}", expected, remedy)
            for k in lacks
        )
    )


def run_refused(file: str, error: Exception) -> InputError:
    """A runtime's refusal of inputs whose shapes and dtypes fit, such as ids out of range."""
    runtime = error.runtime if isinstance(error, RunFailed) else "onnxruntime"
    detail = error.detail if isinstance(error, RunFailed) else str(error)
    return InputError.of(
        f"run of {file}",
        f"{runtime}: {' '.join(detail.split())[:500]}",
        "values the model can take",
        "check that ids are below the vocabulary's size and sequences not too short",
    )
