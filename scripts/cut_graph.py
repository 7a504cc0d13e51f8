"""The two halves of an encoder-decoder artifact, read from their ONNX graphs, layer by layer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact
    from rnnport.spec import Form, Port

__all__ = ["Box", "Half", "read_half"]

RECURRENT = ("GRU", "LSTM", "RNN", "Scan", "Loop")
TELLING = ("Softmax", "Concat", "Conv", "ScatterElements", "ReduceSum")  # worth a line in a box
Weights = dict[str, tuple[int, ...]]


@dataclass
class Box:
    """The nodes of one layer.

    Attributes:
        label: the layer's name.
        ops: operator of every node, in order.
        tells: what its chief operators are, with sizes.
        numbers: how many weights they read.
    """

    label: str
    ops: list[str] = field(default_factory=list)
    tells: list[str] = field(default_factory=list)
    numbers: int = 0

    @property
    def counts(self) -> str:
        """E.g. "Add, Cast ×3"."""
        counted = Counter(self.ops).items()
        return ", ".join(op if n == 1 else f"{op} ×{n}" for op, n in counted)


@dataclass
class Half:
    """One graph. Items of `edges` are keys of `boxes`, or a port of `inputs` or `outputs` by name.

    Attributes:
        form: what the manifest says of it.
        boxes: by key, in the graph's order.
        inputs: given by the caller: neither state nor context.
        outputs: given to the caller: neither state nor handed over.
        edges: from item to item.
        reads: tensors that come in as state or context, to the boxes that read them.
        gives: tensors that go out as state or are handed over, to the box that makes them.
    """

    form: Form
    boxes: dict[str, Box]
    inputs: list[Port]
    outputs: list[Port]
    edges: list[tuple[str, str]] = field(default_factory=list)
    reads: dict[str, list[str]] = field(default_factory=dict)
    gives: dict[str, str] = field(default_factory=dict)


def read_half(artifact: Artifact, name: str) -> Half:
    """Group the nodes of "encoder" or "decoder", and find what flows between the groups."""
    form, path = artifact.manifest.forms[name], Path(artifact.forms[name])
    graph = onnx.load(path, load_external_data=False).graph
    layers = [layer.name for layer in artifact.manifest.layers]
    keys = _settled(graph, [_key(node.name, layers) for node in graph.node])
    handed = name == "encoder"
    half = Half(
        form,
        _boxes(graph, keys, layers),
        [port for port in form.inputs if port.name not in form.fixed],
        [] if handed else list(form.outputs),
    )
    _connect(half, graph, keys)
    return half


def _key(name: str, layers: Sequence[str]) -> str | None:
    """The layer a node belongs to, by its name: "model/layer/op", or "layer/op" of a recurrent one.

    What the model does between layers, "model/op", stands alone; a node without a scope has None.
    """
    for layer in sorted(layers, key=len, reverse=True):
        if name.startswith(f"{layer}/"):
            return layer
    parts = name.split("/")
    if len(parts) > 2:
        return "/".join(parts[:2])
    return re.sub(r"__\d+$", "", name) if len(parts) == 2 else None


def _settled(graph: Any, keys: list[str | None]) -> list[str]:
    """Nodes without a scope join the layer that alone reads them, else that alone feeds them."""
    made = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    before = [{made[name] for name in node.input if name in made} for node in graph.node]
    after = [{j for j, b in enumerate(before) if i in b} for i in range(len(keys))]
    found, changed = list(keys), True
    while changed:
        changed = False
        for near in (after, before):
            for i, key in enumerate(found):
                around = {found[j] for j in near[i]}
                if key is None and len(around) == 1 and None not in around:
                    found[i], changed = around.pop(), True
    return [key or node.op_type for key, node in zip(found, graph.node, strict=True)]


def _boxes(graph: Any, keys: Sequence[str], layers: Sequence[str]) -> dict[str, Box]:
    weights = {w.name: tuple(w.dims) for w in graph.initializer if len(w.dims) and _float(w)}
    boxes = {key: Box(label) for key, label in _labels(keys, layers).items()}
    read: dict[str, set[str]] = {key: set() for key in boxes}
    for node, key in zip(graph.node, keys, strict=True):
        boxes[key].ops.append(node.op_type)
        read[key].update(name for name in node.input if name in weights)
        if (told := _told(node, weights)) and told not in boxes[key].tells:
            boxes[key].tells.append(told)
    for key, box in boxes.items():
        box.numbers = sum(prod(weights[name]) for name in read[key])
        steps = [told for told in box.tells if told.split(",")[0] in RECURRENT]
        box.tells = steps or box.tells or list(dict.fromkeys(box.ops))[:3]
    return boxes


def _labels(keys: Sequence[str], layers: Sequence[str]) -> dict[str, str]:
    """Names without the number that tracing adds, unless two would then be alike."""
    whole = {key: key if key in layers else key.rsplit("/", 1)[-1] for key in dict.fromkeys(keys)}
    short = {
        key: name if key in layers else re.sub(r"_\d+$", "", name) for key, name in whole.items()
    }
    alike = Counter(short.values())
    return {key: name if alike[name] == 1 else whole[key] for key, name in short.items()}


def _float(weight: Any) -> bool:
    return weight.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def _told(node: Any, weights: Weights) -> str:
    """A chief operator, with the size of its weights; else nothing."""
    if node.op_type in RECURRENT:
        facts = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        units = facts.get("hidden_size")
        return node.op_type if units is None else f"{node.op_type}, {units} units"
    shapes = [weights[name] for name in node.input if name in weights]
    if node.op_type in ("Gather", "MatMul", "Gemm", "Einsum", "Conv"):
        sizes = [" × ".join(map(str, shape)) for shape in shapes if len(shape) > 1]
        return " ".join([node.op_type, *sizes[:1]])
    return node.op_type if node.op_type in TELLING else ""


def _connect(half: Half, graph: Any, keys: Sequence[str]) -> None:
    own = {port.name for port in half.inputs}
    came = {i.name for i in graph.input} - own
    made = {name: key for node, key in zip(graph.node, keys, strict=True) for name in node.output}
    for node, key in zip(graph.node, keys, strict=True):
        for name in node.input:
            if name in came and key not in half.reads.setdefault(name, []):
                half.reads[name].append(key)
            source = name if name in own else made.get(name) if name else None
            if source is not None and source != key and (source, key) not in half.edges:
                half.edges.append((source, key))
    shown = {port.name for port in half.outputs}
    for output in graph.output:
        if output.name in shown:
            half.edges.append((made[output.name], output.name))
        else:
            half.gives[output.name] = made[output.name]
