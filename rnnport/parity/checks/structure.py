"""The graphs themselves: the operators that export wrote, no Loop, every layer on its kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rnnport.parity.subject import Subject
from rnnport.runtime.backends.graph_nodes import graph_nodes
from rnnport.spec import Check

__all__ = ["check_structure"]

_FUSED = ("LSTM", "GRU", "RNN", "Scan")


def check_structure(subject: Subject) -> list[Check]:
    """Read every form's file again and compare it with what the manifest says of it."""
    checks = []
    for name, path in subject.artifact.forms.items():
        found = Counter(node.op for node in graph_nodes(path).nodes)
        checks.append(_same(name, found, subject.manifest.forms[name].op_counts))
        # Loops that export reported stand for what it was not given as a layer.
        if not subject.manifest.forms[name].op_counts.get("Loop"):
            loops = found["Loop"]
            note = f"{loops} of its nodes are Loop" if loops else ""
            checks.append(_check(f"{name}.onnx has no Loop", loops, note))
        if name == "model":
            missing = list(_missing(subject, found))
            checks.append(_check("every layer on its kernel", len(missing), "; ".join(missing)))
    return checks


def _same(name: str, found: Counter[str], claimed: dict[str, int]) -> Check:
    ops = sorted({*found, *claimed})
    wrong = [
        f"{found[op]} {op}, not {claimed.get(op, 0)}"
        for op in ops
        if found[op] != claimed.get(op, 0)
    ]
    return _check(f"{name}.onnx has the operators exported", len(wrong), "; ".join(wrong))


def _check(name: str, wrong: int, note: str) -> Check:
    return Check(
        name=name,
        output="",
        error=float(wrong),
        bound=0.0,
        passed=not wrong,
        note=note,
        kind="structure",
    )


def _missing(subject: Subject, found: Counter[str]) -> Iterator[str]:
    for layer in subject.manifest.layers:
        op = next((op for op in _FUSED if layer.lowering.startswith(op)), None)
        if op is not None and not found[op]:
            yield f"layer {layer.name!r} should be {op}, and there is none"
