"""Nouns shared by all rooms: ports, structures, layer reports, the manifest.

Frozen msgspec structs, so that the manifest on disk and the facts in memory are one thing. Axis
letters: B batch, T time (T2, T3… further independent times), F features, U units, V vocabulary.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "CHECK_KINDS",
    "SCHEMA_VERSION",
    "Check",
    "FileRecord",
    "FixedAxis",
    "Form",
    "Generate",
    "Lack",
    "LayerReport",
    "Manifest",
    "Paid",
    "Port",
    "Sampling",
    "State",
    "Streamable",
    "Structure",
    "StructureKind",
    "Tuned",
]

SCHEMA_VERSION = 1

CHECK_KINDS = (
    "shapes",
    "masks",
    "scale",
    "drift",
    "fresh",
    "axes",
    "isolation",
    "determinism",
    "structure",
    "streaming",
    "round trip",
    "hand-off",
    "generation",
    "accuracy",
    "precision",
)
"""Questions a parity report answers, in the order in which it lists them."""

Axis = int | str


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything written to rnnport.json: unknown fields are refused."""


class Sampling(Strict, frozen=True, kw_only=True):
    """How to draw a meaningful random array for an input.

    Attributes:
        kind: "float" standard normal values, "ids" integers in [0, high), "bool" coin tosses.
        high: exclusive upper bound for ids (the smallest vocabulary the input feeds).
        mask_value: the value that marks a masked step along axis 1, or None where nothing masks.
    """

    kind: Literal["float", "ids", "bool"] = "float"
    high: int = 2
    mask_value: float | None = None


class Port(Strict, frozen=True, kw_only=True):
    """One named tensor at the border of a graph.

    Attributes:
        name: the ONNX value name.
        dtype: NumPy dtype name, "float32" or "int64" say.
        shape: sizes, or axis letters where dynamic, e.g. ["B", "T", 36].
        sampling: how verify draws inputs; None on outputs.
    """

    name: str
    dtype: str
    shape: list[Axis]
    sampling: Sampling | None = None

    @property
    def has_time(self) -> bool:
        """Whether an axis is a time, T or T2 and so on."""
        return any(isinstance(axis, str) and axis.startswith("T") for axis in self.shape)

    @property
    def is_ids(self) -> bool:
        """Whether it takes ids. Embeddings take them as floats too; then the hint says so."""
        hint = self.sampling
        return self.dtype.startswith(("int", "uint")) or (hint is not None and hint.kind == "ids")

    def timed(self) -> Port:
        """The port with a time axis, where it has none."""
        return self if self.has_time else self.with_time()

    def with_time(self) -> Port:
        """The same for a sequence of what is one step here: T behind the batch."""
        return msgspec.structs.replace(self, shape=[self.shape[0], "T", *self.shape[1:]])


class State(Strict, frozen=True, kw_only=True):
    """A state carried from one call of a stream form to the next. All zeros is a fresh stream.

    Attributes:
        input: name of the graph input that takes the state.
        output: name of the graph output that gives its next value.
        dtype: NumPy dtype name.
        shape: as in Port; axis 0 is the batch.
        start: the model input whose value a stream may start from instead of zeros, or "".
        end: the model output that gives the value out and that the stream form leaves out, or "".
    """

    input: str
    output: str
    dtype: str
    shape: list[Axis]
    start: str = ""
    end: str = ""

    @property
    def name(self) -> str:
        """What the two have in common: "lstm_h" of lstm_h_in and lstm_h_out."""
        return self.input.removesuffix("_in")


StructureKind = Literal["leaf", "tuple", "list", "dict"]


class Structure(Strict, frozen=True, kw_only=True):
    """The nesting Keras gives its outputs (or takes its inputs) in.

    Attributes:
        kind: "leaf", "tuple", "list" or "dict".
        name: port name, for a leaf.
        keys: dict keys, in Keras's order.
        items: children, one for each key or element.
    """

    kind: StructureKind
    name: str = ""
    keys: list[str] = []
    items: list[Structure] = []


class FileRecord(Strict, frozen=True, kw_only=True):
    """A file of the artifact: plain file name, size in bytes, sha256 in hex."""

    file: str
    size: int
    sha256: str


class Form(Strict, frozen=True, kw_only=True):
    """One ONNX graph of the artifact.

    Attributes:
        record: the .onnx file.
        data: external data files belonging to it (models over 1 GB).
        inputs: graph inputs in call order, states left out.
        outputs: graph outputs in order, states left out.
        states: state pairs; empty for model.onnx.
        fixed: inputs of a stream form that stay the same for the whole stream; all others are
            given anew for every step.
        pads: letters of the inputs of "model" or "encoder" whose sizes may differ within a batch:
            export saw that a short row, padded on the right with the mask value (of "model" with
            anything where nothing masks), gives what it gives alone.
        op_counts: nodes by op type, subgraphs included.
        step_weights: multiplications that a step of one row takes, in each node of an operator
            (LSTM, GRU, RNN, Scan); where nothing is convolved, as many as it has weights.
    """

    record: FileRecord
    data: list[FileRecord] = []
    inputs: list[Port]
    outputs: list[Port]
    states: list[State] = []
    fixed: list[str] = []
    pads: list[str] = []
    op_counts: dict[str, int] = {}
    step_weights: dict[str, list[int]] = {}

    @property
    def per_step(self) -> list[Port]:
        """Inputs given anew for every step."""
        return [port for port in self.inputs if port.name not in self.fixed]

    @property
    def size(self) -> int:
        """Bytes of the graph and of its external data."""
        return self.record.size + sum(data.size for data in self.data)


class LayerReport(Strict, frozen=True, kw_only=True):
    """How one recurrent layer was lowered.

    Attributes:
        name: the Keras layer's name (path).
        kind: "LSTM", "GRU", "SimpleRNN", …
        units: units of each cell in the layer.
        lowering: e.g. "LSTM", "GRU bidirectional", "GRU with hold column", "Scan".
        reason: why, where it is not simply the fused op.
        value: the tensor in model.onnx that holds what the layer gives, or "" where none does.
    """

    name: str
    kind: str
    units: list[int]
    lowering: str
    reason: str = ""
    value: str = ""


class FixedAxis(Strict, frozen=True, kw_only=True):
    """An axis that stays at one size, and which layer is to blame."""

    input: str
    axis: int
    size: int
    layer: str
    reason: str


class Streamable(Strict, frozen=True, kw_only=True):
    """Whether a form exists (stream, or encoder and decoder); where not, the reason and layer."""

    ok: bool
    reason: str = ""
    layer: str = ""


class Check(Strict, frozen=True, kw_only=True):
    """One row of a parity report.

    Attributes:
        name: what was compared, e.g. "golden 3: left-padded, B=4 T=11".
        output: the output port compared.
        error: max |received - expected|; None where nothing could be compared.
        bound: tolerance × max(1, largest expected magnitude).
        passed: the verdict.
        note: why a check failed or is uninformative.
        kind: which question it answers, one of CHECK_KINDS, or "".
        start: where a difference starts, in words; "" where the check passed.
    """

    name: str
    output: str
    error: float | None
    bound: float
    passed: bool
    note: str = ""
    kind: str = ""
    start: str = ""


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a graph that a runtime does not do, or does wrong without saying so.

    Attributes:
        form: the graph, e.g. "model".
        op: the operator, e.g. "LSTM".
        reason: what about it, e.g. "ignores sequence_lens without an error".
    """

    form: str
    op: str
    reason: str


class Paid(Strict, frozen=True, kw_only=True):
    """What a smaller precision costs at one output, against TensorFlow in float32.

    Over golden cases of shapes and masks, of all of the output's finite values.

    Attributes:
        output: the output port.
        worst: max |y - expected| over max(1, the largest expected magnitude of its case).
        mean: quadratic mean of y - expected over the standard deviation of expected.
        decisions: decisions that the expected output takes; 0 where it takes none.
        flipped: how many of them come out otherwise.
        rule: how a decision is read: "argmax" of the last axis, "half" where a probability of its
            own lies above or below 0.5, or "".
    """

    output: str
    worst: float
    mean: float
    decisions: int = 0
    flipped: int = 0
    rule: Literal["argmax", "half", ""] = ""


class Tuned(Strict, frozen=True, kw_only=True):
    """How runs of about these sizes are spread over the cores, as `rnnport tune` measured it.

    Attributes:
        batch: B.
        time: T; 1 where no axis is a time.
        threads: as many as there were to use; it holds for runners with as many.
        parts: parts of the batch that run side by side; 1 for the whole batch.
        one_thread: each part runs on one thread.
        before_us: median of a run before tuning, in microseconds.
        after_us: likewise after.
    """

    batch: int
    time: int
    threads: int
    parts: int = 1
    one_thread: bool = False
    before_us: float
    after_us: float


class Generate(Strict, frozen=True, kw_only=True):
    """What generate.onnx shall do; `rnnport.export(…, generate=Generate(…))`.

    Attributes:
        start: the first token the decoder is given.
        stop: the token, or tokens, that end a row.
        max_steps: the most tokens of a row, the stop among them.
        beam_width: hypotheses kept for each source; 1 is greedy.
        length_penalty: alpha in ((5 + length) / 6) ** alpha, by which a hypothesis' log probability
            is divided, as in runner.generate; greedy search does not look at it.
        output: the decoder's output that scores tokens; "" where its width tells.
    """

    start: int
    stop: int | list[int]
    max_steps: int
    beam_width: int = 1
    length_penalty: float = 0.0
    output: str = ""

    @property
    def stops(self) -> list[int]:
        """The stop tokens, at least one."""
        return [self.stop] if isinstance(self.stop, int) else list(self.stop)


class Manifest(Strict, frozen=True, kw_only=True):
    """rnnport.json.

    Attributes:
        schema: version of this layout; other versions are refused.
        name: the model's name.
        versions: of rnnport and the libraries that made the artifact.
        source: what was exported: {"kind": "keras file", "framework": "keras 3.15.1", …}.
        target: lowering target, "portable", "cpu", "cuda" or "openvino".
        opset: ONNX opset of the default domain.
        precision: "float32", "float16" or "int8".
        forms: "model" and, where they exist, "stream", "encoder", "decoder", "generate".
        input_structure: nesting of the Keras inputs over the ports of form "model".
        output_structure: nesting of the Keras outputs.
        golden: golden.npz.
        layers: recurrent layers and their lowering.
        fixed_axes: axes that could not be made dynamic.
        streamable: verdict on streaming.
        handoff: verdict on cutting the model into encoder and decoder.
        generate: what generate.onnx does, where there is one.
        notes: what export wants the reader to know.
        conditioning: outputs that last bits of the weights move by more than the tolerance, and by
            how much, over max(1, the largest magnitude); empty for all but chaotic models.
        parity: the checks that ran at export.
        mixes_rows: whether rows of a batch influence one another: in TensorFlow as well, or in int8
            by the scale that they share.
        paid: what a precision other than float32 costs, by output; empty for float32.
        tuned: what `rnnport tune` measured for form "model".
    """

    schema: int = SCHEMA_VERSION
    name: str
    versions: dict[str, str]
    source: dict[str, str]
    target: str
    opset: int
    precision: str = "float32"
    forms: dict[str, Form]
    input_structure: Structure
    output_structure: Structure
    golden: FileRecord
    layers: list[LayerReport] = []
    fixed_axes: list[FixedAxis] = []
    streamable: Streamable
    handoff: Streamable = Streamable(ok=False)
    generate: Generate | None = None
    notes: list[str] = []
    conditioning: dict[str, float] = {}
    parity: list[Check] = []
    mixes_rows: bool = False
    paid: list[Paid] = []
    tuned: list[Tuned] = []
