"""The left context of a causal convolution: zeros in the whole form, a state in a stream."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.carried import ContextSpec
from rnnport.graph.emit import Emitter

__all__ = ["lower_context"]


def lower_context(emit: Emitter, spec: ContextSpec, inputs: list[ir.Value]) -> list[ir.Value]:
    """(B, length + T, F), and in a stream the last `length` steps of it, (B, length, F)."""
    x = inputs[0]
    if not spec.stream:
        return [emit.op("Pad", x, emit.ints(0, spec.length, 0, 0, 0, 0))]
    whole = emit.op("Concat", inputs[1], x, axis=1)
    kept = emit.op(
        "Slice", whole, emit.ints(-spec.length), emit.ints(2**62), emit.ints(1)
    )  # a chunk shorter than the context leaves part of the old one in it
    return [whole, kept]
