"""One of two models before it is known what the other gives or takes: its ports at real sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from rnnport.capture.axes import AxisPlan, find_axes
from rnnport.capture.cases import golden_cases, output_ports
from rnnport.capture.pair import labels, one_step
from rnnport.capture.reference import Reference
from rnnport.capture.refuse import refuse_dtypes
from rnnport.capture.source import Source
from rnnport.capture.trace import trace
from rnnport.errors import ConversionError, UnsupportedModel
from rnnport.exporting import first_trace
from rnnport.spec import Port

__all__ = ["Half", "study", "study_decoder"]


@dataclass(frozen=True, eq=False)
class Half:
    """A model, what it takes and what it gives.

    Attributes:
        source: its inputs have the dtypes that the model means.
        plan: its inputs, axis letters where TensorFlow lets them vary.
        outputs: as they were seen, under the names the model itself gives them.
        keyed: whether it gives a dict.
    """

    source: Source
    plan: AxisPlan
    outputs: list[Port]
    keyed: bool


def study(source: Source) -> Half:
    """Trace, find the axes, and run the model to see what it gives.

    Raises:
        ModelError: as export of a single model.
    """
    refuse_dtypes(source)
    source, sampling, first = first_trace(source)
    reference = Reference(source)
    plan = find_axes(source, sampling, reference)
    traced = first if first is not None else trace(source, plan.shapes)
    cases, sizes, notes = golden_cases(plan, reference, traced.output_names)
    if not cases:
        raise ConversionError.of(
            f"model {source.name!r}", "; ".join(notes), "a model that runs", "run it once yourself"
        )
    ports = output_ports(traced.output_names, traced.output_shapes, cases, sizes)
    outputs = [
        msgspec.structs.replace(port, name=name)
        for port, name in zip(ports, labels(traced), strict=True)
    ]
    return Half(source, plan, outputs, traced.structure.kind == "dict")


def study_decoder(source: Source, own: Sequence[str] | None) -> Half:
    """The same for a decoder: one that takes no sequence may still take a single step.

    Args:
        source: the decoder.
        own: inputs given anew for every step; the first where None.

    Raises:
        ModelError: it takes neither.
    """
    try:
        return study(source)
    except (ConversionError, UnsupportedModel):
        names = own if own is not None else [source.inputs[0].name]
        stepped = one_step(source, names)
        if stepped == source:
            raise
        return study(stepped)
