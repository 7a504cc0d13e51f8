"""Frozen graphs (.pb) and SavedModel folders that Keras knows nothing of.

Nothing in them is left of the recurrent layers they came from: tf2onnx converts them as they are.
States that are inputs and outputs may be named, and become those of a stream form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from rnnport.capture.graph_border import Tensors, name_border
from rnnport.capture.graph_code import GraphCode
from rnnport.capture.graph_plain import PlainGraphs
from rnnport.capture.graph_values import GraphValues
from rnnport.capture.quiet import quiet
from rnnport.capture.source import Input, Source, structure_of
from rnnport.capture.wording import gist
from rnnport.errors import ModelFileError
from rnnport.spec import Structure

__all__ = ["from_frozen", "from_saved_model"]

# What hangs loose in a graph without being an answer.
_NO_OUTPUTS = {"Placeholder", "PlaceholderWithDefault", "Const", "NoOp", "Assert"}
_CLOSED = "a graph keeps nothing of its recurrent layers: tf2onnx converted it as it is, unfused"


def from_frozen(path: Path, states: Mapping[str, str] | None) -> Source:
    """A GraphDef without variables.

    Args:
        path: a binary `.pb` file.
        states: tensor that takes a state to the tensor that gives its next value.

    Raises:
        ModelFileError: not a GraphDef, or one with variables.
        UsageError: a state names a tensor that is not there, or that cannot be its next value.
    """
    graph_def = _load(path)
    graph = tf.Graph()
    with graph.as_default(), quiet():
        tf.import_graph_def(graph_def, name="")
    ops = graph.get_operations()
    takes = {op.outputs[0].name: op.outputs[0] for op in ops if op.type == "Placeholder"}
    ends = [op for op in ops if op.type not in _NO_OUTPUTS and not _read(op)]
    gives = [y.name for op in ends for y in op.outputs]
    found = {y.name: y for op in ops for y in op.outputs}
    border = name_border(Tensors(takes, found, "tensor of the graph", True), gives, states)
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
        UsageError: a state names what is not there, or what cannot be its next value.
    """
    with quiet():
        try:
            loaded = tf.saved_model.load(str(path))
        except Exception as error:  # TensorFlow's loaders raise many types
            raise ModelFileError.of(
                str(path), gist(error), "a SavedModel this TensorFlow can load", "save it again"
            ) from error
    function = _signature(path, loaded)
    specs = dict(sorted(function.structured_input_signature[1].items()))
    answers = dict(sorted(function.structured_outputs.items()))
    tensors = Tensors(specs, answers, "output of the signature", False)
    border = name_border(tensors, list(answers), states)
    inputs = tuple(
        Input(port, specs[key].dtype.as_numpy_dtype.__name__, _shape(specs[key]))
        for key, port in border.inputs.items()
    )

    def call(flat: Sequence[Any]) -> Any:
        given = function(**dict(zip(border.inputs, flat, strict=True)))
        values = tuple(given[key] for key in border.outputs)
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


def _shape(spec: Any) -> tuple[int | None, ...]:
    """Declared sizes; the batch is taken to be open where nothing is said at all."""
    return (None,) if spec.shape.rank is None else tuple(spec.shape.as_list())


def _structure(names: Sequence[str]) -> Structure:
    return structure_of(0 if len(names) == 1 else [0] * len(names), names)
