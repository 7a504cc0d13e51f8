"""Traces a source into one TensorFlow graph with markers in place of its recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from keras import tree

from rnnport.capture.context import TraceContext
from rnnport.capture.intercept import intercepting
from rnnport.capture.large import large_variables, standing_for
from rnnport.capture.patches import trace_patches
from rnnport.capture.source import Source, name_inputs, structure_of
from rnnport.capture.wording import gist
from rnnport.errors import ConversionError, RnnportError
from rnnport.spec import Sampling, Structure

__all__ = ["FrozenGraph", "Trace", "input_sampling", "output_names", "trace"]


@dataclass(frozen=True, eq=False)
class FrozenGraph:
    """A graph of TensorFlow 1 without variables.

    Attributes:
        graph_def: the GraphDef.
        inputs: names of the placeholders that anything depends on.
        outputs: names of the output tensors.
    """

    graph_def: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Trace:
    """A traced model.

    Attributes:
        concrete: the ConcreteFunction, flat inputs to flat outputs; None where `frozen` is given.
        context: markers and facts.
        placeholders: the graph's input tensors, in port order.
        weights: name of a further graph input to the large variable it stands for.
        structure: nesting of the outputs over `output_names`.
        output_names: one for each flat output.
        output_shapes: static shapes, None where dynamic.
        output_dtypes: NumPy dtype names.
        frozen: the graph of TensorFlow 1 code.
    """

    concrete: Any
    context: TraceContext
    placeholders: tuple[Any, ...]
    weights: Mapping[str, Any]
    structure: Structure
    output_names: tuple[str, ...]
    output_shapes: tuple[tuple[int | None, ...], ...]
    output_dtypes: tuple[str, ...]
    frozen: FrozenGraph | None = None


def trace(source: Source, shapes: Sequence[Sequence[int | None]]) -> Trace:
    """Trace once, with every recurrent layer intercepted.

    Args:
        source: the model.
        shapes: one for each input, None on dynamic axes.

    Raises:
        ConversionError: the model's own code failed while being traced.
    """
    if source.graph is not None:
        from rnnport.capture.graph_trace import trace_graph  # it makes a Trace itself

        return trace_graph(source, shapes)
    context = TraceContext()
    seen: dict[str, Any] = {}
    large = large_variables(source)

    def body(*given: Any) -> list[Any]:
        flat, weights = given[: len(source.inputs)], given[len(source.inputs) :]
        with intercepting(context, trace_patches()), standing_for(source, large, weights):
            nest = source.call(list(flat))
        leaves = [leaf for leaf in tree.flatten(nest) if leaf is not None]
        seen.update(placeholders=flat, weights=weights, nest=nest)
        return [tf.identity(leaf) for leaf in leaves]

    signature = [
        tf.TensorSpec(shape, i.dtype, name=f"rnnport_in_{n}")
        for n, (i, shape) in enumerate(zip(source.inputs, shapes, strict=True))
    ]
    signature += [
        tf.TensorSpec(v.shape, v.dtype, name=f"rnnport_weight_{n}") for n, v in enumerate(large)
    ]
    try:
        function = tf.function(body, input_signature=signature, autograph=False)
        concrete = function.get_concrete_function()
    except RnnportError as error:
        raise context.refusal or error from None
    except Exception as error:
        raise ConversionError.of(
            f"tracing of {source.name!r}"
            + (f", layer {context.failed_in!r}" if context.failed_in else ""),
            f"{type(error).__name__}: {gist(error)}",
            "a model that TensorFlow can trace",
            "check that the model runs under tf.function with these shapes: "
            + ", ".join(f"{i.name} {tuple(s)}" for i, s in zip(source.inputs, shapes, strict=True)),
        ) from error
    names = output_names(source, seen["nest"])
    outputs = concrete.outputs
    return Trace(
        concrete=concrete,
        context=context,
        placeholders=tuple(seen["placeholders"]),
        weights={p.op.name: v for p, v in zip(seen["weights"], large, strict=True)},
        structure=structure_of(seen["nest"], names),
        output_names=tuple(names),
        output_shapes=tuple(tuple(y.shape) if y.shape.rank is not None else () for y in outputs),
        output_dtypes=tuple(y.dtype.name for y in outputs),
    )


def output_names(source: Source, nest: Any) -> list[str]:
    """One name for each flat output."""
    leaves = tree.flatten(nest)
    if isinstance(nest, dict) and len(nest) == len(leaves):
        names = [str(key) for key in sorted(nest)]
    elif len(source.output_names) == len(leaves):
        names = list(source.output_names)
    else:
        names = ["output"] if len(leaves) == 1 else [f"output_{i}" for i in range(len(leaves))]
    taken = [i.name for i in source.inputs]
    return name_inputs([*taken, *names])[len(taken) :]


def input_sampling(source: Source, traced: Trace) -> dict[str, Sampling]:
    """How to draw meaningful inputs: vocabularies and padding values, found in the trace."""
    vocabulary: dict[str, int] = {}
    masked: dict[str, float] = {}
    for fact in traced.context.facts:
        name = _origin(source, traced, fact.tensor)
        if name is None:
            continue
        if fact.vocabulary:
            vocabulary[name] = min(fact.vocabulary, vocabulary.get(name, fact.vocabulary))
        if fact.mask_value is not None:
            masked[name] = fact.mask_value
    return {
        i.name: _sampling(i.dtype, vocabulary.get(i.name), masked.get(i.name))
        for i in source.inputs
    }


def _sampling(dtype: str, vocabulary: int | None, mask_value: float | None) -> Sampling:
    if vocabulary is not None:
        return Sampling(kind="ids", high=vocabulary, mask_value=mask_value)
    if dtype == "bool":
        return Sampling(kind="bool")
    if dtype.startswith(("int", "uint")):
        return Sampling(kind="ids", high=8, mask_value=mask_value)
    return Sampling(kind="float", mask_value=mask_value)


def _origin(source: Source, traced: Trace, tensor: Any) -> str | None:
    """The input a tensor was made from, following first operands back."""
    by_op = {id(p.op): i.name for p, i in zip(traced.placeholders, source.inputs, strict=True)}
    op = tensor.op
    for _ in range(32):
        if id(op) in by_op:
            return by_op[id(op)]
        if not op.inputs:
            return None
        op = op.inputs[0].op
    return None
