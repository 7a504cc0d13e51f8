"""Frozen graphs (.pb) and SavedModel folders that Keras knows nothing of.

Nothing in them is left of the recurrent layers they came from: tf2onnx converts them as they are.
States that are inputs and outputs may be named, and become those of a stream form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from rnnport.capture.graph_code import GraphCode
from rnnport.capture.graph_plain import PlainGraphs
from rnnport.capture.graph_values import GraphValues
from rnnport.capture.quiet import quiet
from rnnport.capture.source import Input, Source, name_inputs, structure_of
from rnnport.capture.wording import gist
from rnnport.errors import ModelFileError, Reason, UsageError
from rnnport.spec import Structure

__all__ = ["from_frozen", "from_saved_model"]

# What hangs loose in a graph without being an answer.
_NO_OUTPUTS = {"Placeholder", "PlaceholderWithDefault", "Const", "NoOp", "Assert"}
_CLOSED = "a graph keeps nothing of its recurrent layers: tf2onnx converted it as it is, unfused"


@dataclass(frozen=True)
class _Border:
    """Tensor names at the border of a graph, and the port names they get.

    Attributes:
        inputs: tensor name to port name.
        outputs: tensor name to port name.
        pairs: state input port to state output port.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    pairs: dict[str, str]


def from_frozen(path: Path, states: Mapping[str, str] | None) -> Source:
    """A GraphDef without variables.

    Args:
        path: a binary `.pb` file.
        states: tensor that takes a state to the tensor that gives its next value.

    Raises:
        ModelFileError: not a GraphDef, or one with variables.
        UsageError: a state names a tensor that is not there.
    """
    graph_def = _load(path)
    graph = tf.Graph()
    with graph.as_default(), quiet():
        tf.import_graph_def(graph_def, name="")
    ops = graph.get_operations()
    takes = [op.outputs[0] for op in ops if op.type == "Placeholder"]
    ends = [op for op in ops if op.type not in _NO_OUTPUTS and not _read(op)]
    gives = [y for op in ends for y in op.outputs]
    found = {y.name: y for op in ops for y in op.outputs}
    border = _border([x.name for x in takes], [y.name for y in gives], states, list(found))
    inputs = tuple(
        Input(port, found[name].dtype.as_numpy_dtype.__name__, _shape(found[name]))
        for name, port in border.inputs.items()
    )

    def build(flat: Sequence[Any]) -> Any:
        given = dict(zip(border.inputs, flat, strict=True))
        values = tf.import_graph_def(
            graph_def, input_map=given, return_elements=list(border.outputs), name=""
        )
        return values[0] if len(values) == 1 else tuple(values)

    code = GraphCode(path.stem, build, tuple(i.dtype for i in inputs), GraphValues({}, "the graph"))
    names = [i.name for i in inputs]
    return Source(
        name=path.stem,
        kind="frozen graph",
        call=build,
        inputs=inputs,
        structure=_structure(names),
        output_names=tuple(border.outputs.values()),
        graph=PlainGraphs(code, [i.shape for i in inputs], []),
        states=border.pairs,
        notes=(_CLOSED,),
    )


def from_saved_model(path: Path, states: Mapping[str, str] | None) -> Source:
    """The serving signature of a SavedModel, of TensorFlow 1 or 2.

    Args:
        path: the folder.
        states: input of the signature to the output that gives its next value.

    Raises:
        ModelFileError: it cannot be loaded, or has no signature.
        UsageError: a state names an input or output that is not there.
    """
    with quiet():
        try:
            loaded = tf.saved_model.load(str(path))
        except Exception as error:  # TensorFlow's loaders raise many types
            raise ModelFileError.of(
                str(path), gist(error), "a SavedModel this TensorFlow can load", "save it again"
            ) from error
    function = _signature(path, loaded)
    specs = function.structured_input_signature[1]
    wanted = sorted(function.structured_outputs)
    border = _border(sorted(specs), wanted, states, [*specs, *wanted])
    inputs = tuple(
        Input(port, specs[key].dtype.as_numpy_dtype.__name__, _shape(specs[key]))
        for key, port in border.inputs.items()
    )

    def call(flat: Sequence[Any]) -> Any:
        answers = function(**dict(zip(border.inputs, flat, strict=True)))
        values = tuple(answers[key] for key in border.outputs)
        return values[0] if len(values) == 1 else values

    return Source(
        name=path.name,
        kind="SavedModel",
        call=call,
        inputs=inputs,
        structure=_structure([i.name for i in inputs]),
        output_names=tuple(border.outputs.values()),
        layer=loaded,  # its variables live as long as it does
        states=border.pairs,
        notes=(_CLOSED,),
    )


def _read(op: Any) -> bool:
    """Whether any output of an operation goes on."""
    return any(y.consumers() for y in op.outputs)


def _signature(path: Path, loaded: Any) -> Any:
    signatures = dict(getattr(loaded, "signatures", {}))
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    named = ", ".join(signatures) or "none"
    raise ModelFileError.of(
        str(path),
        f"signatures: {named}",
        "a signature named serving_default, or only one",
        "save it with tf.saved_model.save(model, path, signatures=model_function)",
    )


def _load(path: Path) -> Any:
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
        if not graph_def.node:
            raise ValueError("no nodes")
    except Exception as error:  # protobuf's own types
        raise ModelFileError.of(
            str(path),
            f"no GraphDef: {gist(error)}",
            "a frozen graph in binary form",
            "write it with tf.io.write_graph(graph_def, folder, name, as_text=False)",
        ) from error
    kinds = ("VariableV2", "VarHandleOp", "Variable")
    variables = [node.name for node in graph_def.node if node.op in kinds]
    if variables:
        raise ModelFileError.of(
            str(path),
            f"a graph with variables: {', '.join(variables[:8])}",
            "constants in their place",
            "freeze it with tf.compat.v1.graph_util.convert_variables_to_constants",
        )
    return graph_def


def _border(
    takes: Sequence[str],
    gives: Sequence[str],
    states: Mapping[str, str] | None,
    known: Sequence[str],
) -> _Border:
    """Name the ports; a state's pair share the name of what takes it, with _in and _out."""
    pairs = {_tensor(a, known): _tensor(b, known) for a, b in (states or {}).items()}
    _refuse_unknown(pairs, takes, known)
    gives = [*gives, *(b for b in pairs.values() if b not in gives)]
    plain = [name for name in takes if name not in pairs]
    ordered = [*plain, *pairs]
    results = [*(g for g in gives if g not in pairs.values()), *pairs.values()]
    ports = name_inputs([*ordered, *results])
    inputs = dict(zip(ordered, ports, strict=False))
    outputs = dict(zip(results, ports[len(ordered) :], strict=True))
    for name, following in pairs.items():
        base = inputs[name].removesuffix("_in")
        inputs[name], outputs[following] = f"{base}_in", f"{base}_out"
    return _Border(inputs, outputs, {inputs[a]: outputs[b] for a, b in pairs.items()})


def _tensor(name: str, known: Sequence[str]) -> str:
    """A tensor's full name: the first output of an operation may be named without ":0"."""
    return name if name in known or ":" in name else f"{name}:0"


def _refuse_unknown(pairs: Mapping[str, str], takes: Sequence[str], known: Sequence[str]) -> None:
    reasons = [
        Reason(
            f"state {name!r}", "no input of that name", f"one of {', '.join(takes)}", "correct it"
        )
        for name in pairs
        if name not in takes
    ]
    reasons += [
        Reason(
            f"state {name!r}",
            f"its next value {following!r} is no tensor of the graph",
            "a tensor's name, as in 'lstm/add:0'",
            "correct it",
        )
        for name, following in pairs.items()
        if following not in known
    ]
    if reasons:
        raise UsageError(*reasons)


def _shape(spec: Any) -> tuple[int | None, ...]:
    """Declared sizes; the batch is taken to be open where nothing is said at all."""
    return (None,) if spec.shape.rank is None else tuple(spec.shape.as_list())


def _structure(names: Sequence[str]) -> Structure:
    return structure_of(0 if len(names) == 1 else [0] * len(names), names)
