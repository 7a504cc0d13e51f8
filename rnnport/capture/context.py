"""What one trace collects: recurrent markers, facts about inputs, notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rnnport.errors import RnnportError
from rnnport.graph.skeleton import Spec
from rnnport.recurrent import Activation, CellSpec

__all__ = ["InputFact", "OpaqueLayer", "TraceContext"]


@dataclass(frozen=True, eq=False)
class InputFact:
    """Something a layer revealed about the tensor it was given.

    Attributes:
        tensor: the symbolic tensor.
        vocabulary: ids below this are valid (an Embedding's input_dim); 0 where unknown.
        mask_value: steps equal to this are masked; None where nothing masks.
    """

    tensor: Any
    vocabulary: int = 0
    mask_value: float | None = None


@dataclass(frozen=True)
class OpaqueLayer:
    """A recurrent layer whose loop rnnport cannot open: left to tf2onnx as a rule; and why."""

    name: str
    kind: str
    reason: str
    lowering: str = "tf2onnx"
    units: tuple[int, ...] = ()


@dataclass
class TraceContext:
    """Collects while a model is traced; one for each trace.

    Attributes:
        specs: marker token to the layer's call it stands for.
        facts: what Embedding and Masking layers revealed.
        opaque: recurrent layers whose state stays inside the graph.
        suspended: handlers stand aside while positive.
        pair: name of the Bidirectional whose direction is being called.
        input_order: whether that direction gives its outputs in the input's time order.
        cells: cell id to spec, so that a layer called twice shares its weights.
        activations: activation id to spec.
        keep: objects whose id is a key above, kept alive.
        names: how often each name was asked for.
        notes: for the manifest.
        variables: values by name, of TensorFlow 1 code.
        lengths: layers of TensorFlow 1 code that were told where each row ends.
        arrays: TensorArray id to the sequence that was unstacked into it.
        probe: notes what the function of a raw_rnn reads; None but while it is looked at.
        inner: how many TimeDistributed layers stand around the call.
        prefixed: the causal convolution being called has its context already.
        failed_in: name of the innermost layer an exception came out of.
        refusal: the first refusal of a handler, as it was worded.
    """

    specs: dict[str, Spec] = field(default_factory=dict)
    facts: list[InputFact] = field(default_factory=list)
    opaque: list[OpaqueLayer] = field(default_factory=list)
    suspended: int = 0
    pair: str = ""
    input_order: bool = False
    cells: dict[int, CellSpec] = field(default_factory=dict)
    activations: dict[int, Activation] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    variables: Mapping[str, Any] = field(default_factory=dict)
    lengths: list[str] = field(default_factory=list)
    arrays: dict[int, Any] = field(default_factory=dict)
    probe: Any = None
    inner: int = 0
    prefixed: bool = False
    failed_in: str = ""
    refusal: RnnportError | None = None

    @contextmanager
    def standing_aside(self) -> Iterator[None]:
        """Let the original methods run."""
        self.suspended += 1
        try:
            yield
        finally:
            self.suspended -= 1

    @contextmanager
    def folded(self) -> Iterator[None]:
        """Batch and time are one axis: what is called now starts anew for every step."""
        self.inner += 1
        try:
            yield
        finally:
            self.inner -= 1

    @contextmanager
    def half_of(self, pair: str, *, input_order: bool) -> Iterator[None]:
        """One direction of a Bidirectional is being called."""
        saved = self.pair, self.input_order
        self.pair, self.input_order = pair, input_order
        try:
            yield
        finally:
            self.pair, self.input_order = saved

    def take_half(self) -> tuple[str, bool]:
        """Pair name and time order for the recurrent call now being recorded."""
        half = self.pair, self.input_order
        self.pair, self.input_order = "", False
        return half

    def unique(self, name: str) -> str:
        """A name not given before in this trace."""
        count = self.names.get(name, 0)
        self.names[name] = count + 1
        return name if count == 0 else self.unique(f"{name}_{count}")
