"""What the providers of onnxruntime share: options, the provider list, opening."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnxruntime as ort

from rnnport.errors import ArtifactDamaged, ProviderLacks, ProviderUnavailable
from rnnport.runtime.backends.graph_nodes import Node, graph_nodes
from rnnport.spec import Lack

__all__ = ["onnxruntime_lacks", "open_onnxruntime", "open_refused", "session_providers"]

_FATAL = 4
_CPU: tuple[str, dict[str, Any]] = ("CPUExecutionProvider", {})
# TF32 rounds products to 10 bits of mantissa, far above the CUDA tolerance.
_CUDA: tuple[str, dict[str, Any]] = ("CUDAExecutionProvider", {"use_tf32": "0"})
_NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)")
_RECURRENT = {"LSTM", "GRU", "RNN"}
# Of it onnxruntime 1.31.1 dies on the CPU (SIGSEGV while opening) where it has put casts around
# operators without float16 kernels; there, where float16 is only ever checked, nothing is fused.
_DEADLY_TO_HALF = ["MatmulTransposeFusion"]
_DOMAINS = {"", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}


def session_providers(provider: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and options for onnxruntime, best first; the CPU takes what CUDA leaves."""
    return [_CUDA, _CPU] if provider == "cuda" else [_CPU]


def onnxruntime_lacks(path: Path) -> list[Lack]:
    """Operators of strangers, and the layout that onnxruntime does not implement."""
    found = {(n.op, why): None for n in graph_nodes(path).nodes if (why := _why(n))}
    return [Lack(form=path.stem, op=op, reason=why) for op, why in found]


def _why(node: Node) -> str:
    if node.domain not in _DOMAINS:
        return f"onnxruntime has no operators of domain {node.domain}"
    if node.domain == "" and node.op in _RECURRENT and node.integer("layout", 0):
        return "onnxruntime does not implement layout 1"
    return ""


def _is_half(path: Path) -> bool:
    """Whether graph/float16.py made it, which marks the values that it makes or renames."""
    values = (name for node in graph_nodes(path).nodes for name in node.outputs)
    return any(name.startswith("float16/") or name.endswith("/half") for name in values)


def open_onnxruntime(
    path: Path, provider: str, threads: int | None, *, arena: bool, spin: bool | None = None
) -> Any:
    """Open a graph.

    Args:
        path: the .onnx file; external data lies beside it.
        provider: "cpu" or "cuda".
        threads: for the work inside one operator; None leaves the choice to onnxruntime.
        arena: keep freed memory at hand; without it very small runs are faster.
        spin: whether idle threads wait for work at full speed; None is True.

    Returns:
        An onnxruntime.InferenceSession; its run may be called from several threads.

    Raises:
        ProviderLacks: there is no kernel for an operator and its types.
        ArtifactDamaged: onnxruntime does not take the file.
    """
    half = _is_half(path)
    options = _options(threads, arena, spin)
    if half and provider == "cpu":
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(
            str(path),
            options,
            providers=session_providers(provider),
            disabled_optimizers=_DEADLY_TO_HALF if half else None,
            enable_fallback=0,
        )
    except Exception as error:
        detail = f"onnxruntime {ort.__version__}: {' '.join(str(error).split())[:500]}"
        newer = "pip install -U onnxruntime-gpu, or export the model again with a lower opset"
        raise open_refused(provider, path, detail, newer) from error


def _options(threads: int | None, arena: bool, spin: bool | None) -> Any:
    """Session options, as measured for recurrent graphs (docs/runtime.md)."""
    options = ort.SessionOptions()
    # Its errors come as exceptions; printing them as well would be noise.
    options.log_severity_level = _FATAL
    options.enable_cpu_mem_arena = arena
    # A plan of the memory for every shape seen. In the arena it saves up to 9 % of a small run;
    # without the arena it takes another block for each shape, and memory grows without end.
    options.enable_mem_pattern = arena
    if threads is not None:
        options.intra_op_num_threads = threads
    # Spinning makes runs that follow one another up to a third faster, and takes from other
    # processes, between runs as well, about half of what they get done.
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0" if spin is False else "1"
    )
    return options


def open_refused(
    provider: str, path: Path, detail: str, remedy: str
) -> ProviderUnavailable | ArtifactDamaged:
    """What onnxruntime's refusal to open a graph means.

    Args:
        provider: "cpu", "cuda" or "web".
        path: the graph.
        detail: runtime, version and what it said.
        remedy: for a file that it does not take at all.
    """
    if missing := _NO_KERNEL.search(detail):
        return ProviderLacks.of(
            f"provider {provider!r}, {path.name}",
            f"{missing[1]}: onnxruntime has no implementation for these types",
            f"operators that {provider} runs, and rightly",
            "choose another provider",
        )
    return ArtifactDamaged.of(str(path), detail, "a graph that onnxruntime opens", remedy)
