"""The best hypothesis of a beam search so far, and its tokens by way of pointers back.

Axis letters: B sources, K beams, N steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.decode_loop import BOOL, DOUBLE, ENDED, INT64, value
from rnnport.graph.emit import Emitter

__all__ = ["Hypothesis", "better", "no_hypothesis", "trace_back"]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One finished hypothesis a source, (B, 1) each.

    Attributes:
        score: float64; −inf where there is none.
        step: the number of its last token.
        beam: the beam that it continued there.
        token: the last token, ENDED for a stop.
    """

    score: ir.Value
    step: ir.Value
    beam: ir.Value
    token: ir.Value

    @property
    def values(self) -> Sequence[ir.Value]:
        """All four."""
        return self.score, self.step, self.beam, self.token

    @classmethod
    def inputs(cls) -> Hypothesis:
        """What a body is given."""
        kinds = {"score": DOUBLE, "step": INT64, "beam": INT64, "token": INT64}
        made = [value(f"step/best_{name}", kind, ["B", 1]) for name, kind in kinds.items()]
        return cls(*made)


def no_hypothesis(emit: Emitter, shape: ir.Value) -> Hypothesis:
    """What a search begins with; one that finds nothing gives no token."""
    nothing = emit.op("Expand", emit.weight("generate_dead", np.array(-np.inf)), shape)
    zero = emit.op("Expand", emit.integer(0), shape)
    return Hypothesis(nothing, zero, zero, emit.op("Expand", emit.integer(ENDED), shape))


def better(emit: Emitter, old: Hypothesis, new: Hypothesis) -> Hypothesis:
    """The one of the higher score; of equals the old one."""
    higher = emit.op("Greater", new.score, old.score)
    pairs = zip(new.values, old.values, strict=True)
    return Hypothesis(*(emit.op("Where", higher, n, o) for n, o in pairs))


def trace_back(emit: Emitter, best: Hypothesis, beams: ir.Value, tokens: ir.Value) -> ir.Value:
    """Tokens of hypotheses: a Scan from the last step to the first.

    Args:
        emit: of the graph that holds the rest.
        best: whose tokens.
        beams: which beam each live one continued, (N, B, K).
        tokens: by which token, (N, B, K).

    Returns:
        (B, n), n the longest hypothesis with its stop; ENDED in place of a stop and after it.
    """
    longest = emit.op("ReduceMax", best.step, keepdims=0)
    steps = emit.op("Add", longest, emit.integer(1))
    end = emit.op("Reshape", steps, emit.ints(1))
    told = [emit.op("Slice", each, emit.ints(0), end, emit.ints(0)) for each in (beams, tokens)]
    numbers = emit.op("Range", emit.integer(0), steps, emit.integer(1))
    # Step and token stay as they are: OpenVINO takes no body that reads them from around it.
    *_, found = emit.nodes(
        "Scan",
        [best.beam, best.step, best.token, *told, numbers],
        4,
        body=_step_back(emit),
        num_scan_inputs=3,
        scan_input_directions=[1, 1, 1],
        scan_output_directions=[1],
    )
    return emit.op("Transpose", emit.op("Squeeze", found, emit.ints(2)), perm=[1, 0])


def _step_back(outer: Emitter) -> ir.Graph:
    """Beam (B, 1), beams and tokens of a step, its number: the beam before, and the token.

    Between them the last step and its token, (B, 1) each, handed on.
    """
    beam, end_step, end_token = (
        value(f"back/{name}", INT64, ["B", 1]) for name in ("beam", "end_step", "end_token")
    )
    beams, tokens = (value(f"back/{name}", INT64, ["B", "K"]) for name in ("beams", "tokens"))
    number = value("back/number", INT64, [])
    given = [beam, end_step, end_token, beams, tokens, number]
    graph = ir.Graph(given, [], nodes=[], name="back/body")
    emit = Emitter(graph, weights=outer.weights, prefix="back/")
    inside, last = (emit.op(op, number, end_step) for op in ("Less", "Equal"))
    end = emit.op("Where", last, end_token, emit.integer(ENDED))
    token = emit.op("Where", inside, emit.op("GatherElements", tokens, beam, axis=1), end)
    before = emit.op("Where", inside, emit.op("GatherElements", beams, beam, axis=1), beam)
    kept = [emit.op("Identity", one) for one in (end_step, end_token)]
    for one in (token, before, *kept):
        one.type, one.shape = ir.TensorType(INT64), ir.Shape(["B", 1])
    inside.type = last.type = ir.TensorType(BOOL)
    graph.outputs.extend([before, *kept, token])
    return graph
