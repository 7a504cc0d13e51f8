"""Small artifacts that decode, made with onnx alone: encoder and decoder, or a stream form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnport.artifact.golden import GOLDEN_FILE, write_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.artifact.save import staging
from rnnport.spec import Form, Manifest, Port, Sampling, State, Streamable
from tests.tiny import X, Y, golden_cases, leaf, lstm_model, make_model

E, U, F = 3, 5, 2
Nodes = list[onnx.NodeProto]
Weights = dict[str, np.ndarray]
node = helper.make_node


def ids(name: str, *shape: int | str, high: int = 7, mask: float | None = None) -> Port:
    sampling = Sampling(kind="ids", high=high, mask_value=mask)
    return Port(name=name, dtype="int64", shape=list(shape), sampling=sampling)


def floats(name: str, *shape: int | str) -> Port:
    return Port(name=name, dtype="float32", shape=list(shape), sampling=Sampling())


def plain(name: str, dtype: str, *shape: int | str) -> Port:
    return Port(name=name, dtype=dtype, shape=list(shape))


def state(name: str, start: str = "", units: int = U) -> State:
    return State(
        input=f"{name}_in", output=f"{name}_out", dtype="float32", shape=["B", units], start=start
    )


@dataclass(frozen=True)
class Part:
    """One graph of an artifact."""

    inputs: list[Port]
    outputs: list[Port]
    nodes: Nodes
    weights: Weights
    states: list[State] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    pads: list[str] = field(default_factory=list)

    def model(self) -> onnx.ModelProto:
        before = [Port(name=s.input, dtype=s.dtype, shape=s.shape) for s in self.states]
        after = [Port(name=s.output, dtype=s.dtype, shape=s.shape) for s in self.states]
        read = {name for n in self.nodes for name in n.input}
        used = {name: array for name, array in self.weights.items() if name in read}
        return make_model(self.nodes, [*self.inputs, *before], [*self.outputs, *after], used)


@dataclass(frozen=True)
class Sizes:
    """What the random models are drawn with."""

    seed: int = 0
    words: int = 6
    vocabulary: int = 7
    spread: float = 1.5


def constants() -> Weights:
    return {f"a{n}": np.array([n], np.int64) for n in (0, 1, 2)} | {
        "pad": np.array(0, np.int64),
        "low": np.array(-1e9, np.float32),
    }


def drawn(sizes: Sizes, **shapes: tuple[int, ...]) -> Weights:
    rng = np.random.default_rng(sizes.seed)
    made = {
        name: (rng.standard_normal(shape) * sizes.spread).astype(np.float32)
        for name, shape in shapes.items()
    }
    return made | constants()


def cell(op: str, x: str, y: str, states: Sequence[str], prefix: str, starts: bool = True) -> Nodes:
    """x (B, T, F) to y (B, T, U); states from <s>_in, or zeros, to <s>_out."""
    firsts = [f"{s}_first" for s in states]
    lasts = [f"{s}_last" for s in states]
    given = ["", "", *firsts] if starts else []
    lifted = [node("Unsqueeze", [f"{s}_in", "a0"], [f"{s}_first"]) for s in states]
    return [
        node("Transpose", [x], [f"{y}_xt"], perm=[1, 0, 2]),
        *(lifted if starts else []),
        node(
            op, [f"{y}_xt", f"{prefix}W", f"{prefix}R", *given], [f"{y}_t", *lasts], hidden_size=U
        ),
        node("Squeeze", [f"{y}_t", "a1"], [f"{y}_s"]),
        node("Transpose", [f"{y}_s"], [y], perm=[1, 0, 2]),
        *(
            node("Squeeze", [last, "a0"], [f"{s}_out"])
            for s, last in zip(states, lasts, strict=True)
        ),
    ]


def gru_weights(sizes: Sizes, gates: int = 3) -> Weights:
    return drawn(
        sizes,
        source_table=(sizes.words, E),
        table=(sizes.vocabulary, E),
        eW=(1, gates * U, E),
        eR=(1, gates * U, U),
        dW=(1, gates * U, E),
        dR=(1, gates * U, U),
        out=(U, sizes.vocabulary),
        mix=(2 * U, sizes.vocabulary),
    )


def encoder(op: str, states: Sequence[str], weights: Weights, mask: float | None = None) -> Part:
    """Ids (B, S), their last states handed on under the name <s>_start."""
    nodes = [
        node("Gather", ["source_table", "source"], ["e"]),
        *cell(op, "e", "memory", states, "e", starts=False),
        *(node("Identity", [f"{s}_out"], [f"{s}_start"]) for s in states),
    ]
    outputs = [plain(f"{s}_start", "float32", "B", U) for s in states]
    return Part([ids("source", "B", "S", high=6, mask=mask)], outputs, nodes, weights)


def decoder(op: str, states: Sequence[str], weights: Weights, vocabulary: int) -> Part:
    """Ids (B, T) to logits (B, T, V)."""
    nodes = [
        node("Gather", ["table", "previous"], ["d"]),
        *cell(op, "d", "h", states, "d"),
        node("MatMul", ["h", "out"], ["scores"]),
    ]
    return Part(
        [ids("previous", "B", "T", high=vocabulary)],
        [plain("scores", "float32", "B", "T", vocabulary)],
        nodes,
        weights,
        [state(s, f"{s}_start") for s in states],
    )


def gru(sizes: Sizes = Sizes()) -> dict[str, Part]:
    """(a) GRU to GRU, logits for every step."""
    weights = gru_weights(sizes)
    return {
        "encoder": encoder("GRU", ["gru_h"], weights),
        "decoder": decoder("GRU", ["gru_h"], weights, sizes.vocabulary),
    }


def lstm(sizes: Sizes = Sizes()) -> dict[str, Part]:
    """(b) LSTM to LSTM: two states."""
    weights = gru_weights(sizes, gates=4)
    states = ["lstm_h", "lstm_c"]
    return {
        "encoder": encoder("LSTM", states, weights),
        "decoder": decoder("LSTM", states, weights, sizes.vocabulary),
    }


def last_only(sizes: Sizes = Sizes()) -> dict[str, Part]:
    """(c) Probabilities of the last step only."""
    weights = gru_weights(sizes)
    part = decoder("GRU", ["gru_h"], weights, sizes.vocabulary)
    nodes = [
        *part.nodes[:-1],
        node("MatMul", ["gru_h_out", "out"], ["logits"]),
        node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    outputs = [plain("scores", "float32", "B", sizes.vocabulary)]
    return {
        "encoder": encoder("GRU", ["gru_h"], weights),
        "decoder": Part(part.inputs, outputs, nodes, weights, part.states),
    }


def attention(sizes: Sizes = Sizes(), masked: bool = True) -> dict[str, Part]:
    """(d) Dot attention over the encoder's outputs; id 0 is padding, held and not attended to.

    The encoder's GRU holds its state over padding, by an extra column on the update gate.
    """
    weights = gru_weights(sizes)
    hold = np.zeros((1, 3 * U, 1), np.float32)
    hold[:, :U] = 1e30
    weights["eW1"] = np.concatenate([weights["eW"], hold], axis=2)
    mask = [
        node("Equal", ["source", "pad"], ["padding"]),
        node("Not", ["padding"], ["valid"]),
        node("Cast", ["padding"], ["held"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["held", "a2"], ["column"]),
    ]
    embed = [node("Gather", ["source_table", "source"], ["e0"])]
    if masked:
        embed += [*mask, node("Concat", ["e0", "column"], ["e"], axis=2)]
    else:
        embed.append(node("Identity", ["e0"], ["e"]))
    recur = cell("GRU", "e", "memory", ["gru_h"], "e", starts=False)
    if masked:
        recur[1] = node(
            "GRU", ["memory_xt", "eW1", "eR"], ["memory_t", "gru_h_last"], hidden_size=U
        )
    handed = [plain("gru_h_start", "float32", "B", U), plain("memory", "float32", "B", "S", U)]
    handed += [plain("valid", "bool", "B", "S")] if masked else []
    source = ids("source", "B", "S", high=6, mask=0.0 if masked else None)
    encode = Part(
        [source],
        handed,
        [*embed, *recur, node("Identity", ["gru_h_out"], ["gru_h_start"])],
        weights,
        pads=["S"] if masked else [],
    )
    start = decoder("GRU", ["gru_h"], weights, sizes.vocabulary)
    nodes = [
        *start.nodes[:-1],
        node("Transpose", ["memory"], ["keys"], perm=[0, 2, 1]),
        node("MatMul", ["h", "keys"], ["match"]),
        *(
            [
                node("Unsqueeze", ["valid", "a1"], ["seen"]),
                node("Where", ["seen", "match", "low"], ["kept"]),
            ]
            if masked
            else [node("Identity", ["match"], ["kept"])]
        ),
        node("Softmax", ["kept"], ["weights"], axis=-1),
        node("MatMul", ["weights", "memory"], ["read"]),
        node("Concat", ["h", "read"], ["both"], axis=2),
        node("MatMul", ["both", "mix"], ["scores"]),
    ]
    inputs = [*start.inputs, *handed[1:]]
    names = [port.name for port in handed[1:]]
    return {
        "encoder": encode,
        "decoder": Part(inputs, start.outputs, nodes, weights, start.states, names),
    }


def unmasked(sizes: Sizes = Sizes()) -> dict[str, Part]:
    """(e) The same without a mask: sources of unequal length cannot share a batch."""
    return attention(sizes, masked=False)


def dropping(sizes: Sizes = Sizes()) -> dict[str, Part]:
    """(k) The same where some layer masks id 0, but the attention looks at it all the same."""
    parts = attention(sizes, masked=False)
    source = ids("source", "B", "S", high=6, mask=0.0)
    return parts | {"encoder": replace(parts["encoder"], inputs=[source])}


def one_hot(sizes: Sizes = Sizes()) -> dict[str, Part]:
    """(f) One-hot rows in, on both sides."""
    weights = gru_weights(sizes)
    weights |= {
        "eW": weights["eW"] @ weights["source_table"].T,
        "dW": weights["dW"] @ weights["table"].T,
    }
    source = [
        *cell("GRU", "source", "memory", ["gru_h"], "e", starts=False),
        node("Identity", ["gru_h_out"], ["gru_h_start"]),
    ]
    steps = [
        *cell("GRU", "previous", "h", ["gru_h"], "d"),
        node("MatMul", ["h", "out"], ["scores"]),
    ]
    handed = [plain("gru_h_start", "float32", "B", U)]
    v = sizes.vocabulary
    return {
        "encoder": Part([floats("source", "B", "S", sizes.words)], handed, source, weights),
        "decoder": Part(
            [floats("previous", "B", "T", v)],
            [plain("scores", "float32", "B", "T", v)],
            steps,
            weights,
            [state("gru_h", "gru_h_start")],
        ),
    }


def language(sizes: Sizes = Sizes(), speaker: bool = False) -> dict[str, Part]:
    """(g) No encoder: ids (B, T) to logits (B, T, V); a fixed input too, where wanted."""
    weights = gru_weights(sizes)
    part = decoder("GRU", ["gru_h"], weights, sizes.vocabulary)
    nodes, inputs = part.nodes, part.inputs
    if speaker:
        nodes = [
            *part.nodes[:-1],
            node("Unsqueeze", ["speaker", "a1"], ["voice"]),
            node("Add", ["h", "voice"], ["spoken"]),
            node("MatMul", ["spoken", "out"], ["scores"]),
        ]
        inputs = [*part.inputs, floats("speaker", "B", U)]
    fixed = ["speaker"] if speaker else []
    return {"stream": Part(inputs, part.outputs, nodes, weights, [state("gru_h")], fixed)}


def speaking(sizes: Sizes = Sizes()) -> dict[str, Part]:
    """(h) A language model with a fixed input."""
    return language(sizes, speaker=True)


def forecaster(sizes: Sizes = Sizes(spread=0.7)) -> dict[str, Part]:
    """(i) Floats (B, S, F) to floats (B, T, F)."""
    shapes = {"eW": (1, 3 * U, F), "eR": (1, 3 * U, U), "dW": (1, 3 * U, F), "dR": (1, 3 * U, U)}
    weights = drawn(sizes, out=(U, F), **shapes)
    encode = [
        *cell("GRU", "source", "memory", ["gru_h"], "e", starts=False),
        node("Identity", ["gru_h_out"], ["gru_h_start"]),
    ]
    decode = [*cell("GRU", "previous", "h", ["gru_h"], "d"), node("MatMul", ["h", "out"], ["y"])]
    handed = [plain("gru_h_start", "float32", "B", U)]
    return {
        "encoder": Part([floats("source", "B", "S", F)], handed, encode, weights),
        "decoder": Part(
            [floats("previous", "B", "T", F)],
            [plain("y", "float32", "B", "T", F)],
            decode,
            weights,
            [state("gru_h", "gru_h_start")],
        ),
    }


def walker(sizes: Sizes = Sizes(spread=0.7)) -> dict[str, Part]:
    """(j) A forecaster without an encoder, of exactly one step: (B, F) to (B, F)."""
    part = forecaster(sizes)["decoder"]
    nodes = [
        node("Unsqueeze", ["previous1", "a1"], ["previous"]),
        *part.nodes,
        node("Squeeze", ["y", "a1"], ["y1"]),
    ]
    inputs, outputs = [floats("previous1", "B", F)], [plain("y1", "float32", "B", F)]
    return {"stream": Part(inputs, outputs, nodes, part.weights, [state("gru_h")])}


GRAPHS = {
    "gru": gru,
    "lstm": lstm,
    "last_only": last_only,
    "attention": attention,
    "unmasked": unmasked,
    "dropping": dropping,
    "one_hot": one_hot,
    "language": language,
    "speaking": speaking,
    "forecaster": forecaster,
    "walker": walker,
}


def seq2seq_artifact(out: Path, parts: dict[str, Part], name: str = "tiny") -> Artifact:
    """An artifact of these forms; its model.onnx is some other model, which nothing here runs."""
    model = lstm_model()
    with staging(out) as draft:
        onnx.save(model, draft.folder / "model.onnx")
        write_golden(draft.folder / GOLDEN_FILE, golden_cases(model, [X]))
        forms = {"model": Form(record=record(draft.folder / "model.onnx"), inputs=[X], outputs=[Y])}
        for kind, part in parts.items():
            path = draft.folder / f"{kind}.onnx"
            onnx.save(part.model(), path)
            forms[kind] = Form(
                record=record(path),
                inputs=part.inputs,
                outputs=part.outputs,
                states=part.states,
                fixed=part.fixed,
                pads=part.pads,
            )
        streams = "stream" in parts
        return draft.commit(
            Manifest(
                name=name,
                versions={},
                source={},
                target="portable",
                opset=18,
                forms=forms,
                input_structure=leaf("x"),
                output_structure=leaf("y"),
                golden=record(draft.folder / GOLDEN_FILE),
                streamable=Streamable(
                    ok=streams,
                    reason="" if streams else "it reads backwards",
                    layer="" if streams else "lstm",
                ),
                handoff=Streamable(ok="decoder" in parts),
            )
        )
