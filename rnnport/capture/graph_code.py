"""TensorFlow 1 code: a Python function of placeholders, built into graphs of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from keras import tree
from tensorflow.python.ops import control_flow_util

from rnnport.capture.graph_values import GraphValues
from rnnport.capture.quiet import quiet
from rnnport.capture.wording import gist
from rnnport.errors import ConversionError, RnnportError, UsageError

__all__ = ["BuiltGraph", "GraphCode", "build_graph", "needed_names", "open_session"]

Shapes = Sequence[Sequence[int | None]]

_LEGACY = "TF_USE_LEGACY_KERAS"


@dataclass(frozen=True, eq=False)
class GraphCode:
    """What can be built again and again, at any shapes, with the same variables.

    Attributes:
        name: the function's name.
        build: flat placeholders in port order to the nest of outputs.
        dtypes: NumPy dtype name of each placeholder.
        values: of the variables.
        notes: what building it brought to light.
    """

    name: str
    build: Callable[[Sequence[Any]], Any]
    dtypes: tuple[str, ...]
    values: GraphValues
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Remember something for the manifest, once."""
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True, eq=False)
class BuiltGraph:
    """One graph.

    Attributes:
        graph: the tf.Graph.
        placeholders: in port order.
        nest: what the code returned.
        outputs: its leaves in flattening order, each an operation of its own.
    """

    graph: Any
    placeholders: tuple[Any, ...]
    nest: Any
    outputs: tuple[Any, ...]


def build_graph(
    code: GraphCode, shapes: Shapes, around: AbstractContextManager[Any] | None = None
) -> BuiltGraph:
    """Run the code once in a new graph.

    Args:
        code: the code.
        shapes: one for each placeholder, None where dynamic.
        around: entered around the call.

    Raises:
        ConversionError: the code raised.
        UsageError: it needs tf_keras's cells and the process was started without them.
    """
    graph = tf.Graph()
    with graph.as_default(), quiet(), _plain_loops():
        placeholders = [
            tf.compat.v1.placeholder(dtype, shape, name=f"rnnport_in_{n}")
            for n, (dtype, shape) in enumerate(zip(code.dtypes, shapes, strict=True))
        ]
        try:
            with around or nullcontext():
                nest = code.build(placeholders)
            leaves = [leaf for leaf in tree.flatten(nest) if leaf is not None]
            outputs = [tf.identity(y, name=f"rnnport_out_{n}") for n, y in enumerate(leaves)]
        except RnnportError:
            raise
        except Exception as error:
            raise _explain(code.name, error, shapes) from error
    if not outputs:
        raise ConversionError.of(
            f"function {code.name!r}", "no tensor", "a tensor or a nest of tensors", "return it"
        )
    return BuiltGraph(graph, tuple(placeholders), nest, tuple(outputs))


@contextmanager
def _plain_loops() -> Iterator[None]:
    """Loops as TensorFlow 1 wrote them: tf2onnx turns those that stay into Scan or Loop."""
    before = control_flow_util.ENABLE_CONTROL_FLOW_V2
    control_flow_util.ENABLE_CONTROL_FLOW_V2 = False
    try:
        yield
    finally:
        control_flow_util.ENABLE_CONTROL_FLOW_V2 = before


def open_session(code: GraphCode, built: BuiltGraph) -> Any:
    """A v1 session over the graph, its variables filled; on the CPU alone.

    Raises:
        ModelFileError: variables are missing.
    """
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0}, allow_soft_placement=True)
    session = tf.compat.v1.Session(graph=built.graph, config=config)
    with quiet():
        code.values.fill(session, needed_names(built.outputs))
    return session


def needed_names(outputs: Iterable[Any]) -> set[str]:
    """Names of all operations that the tensors depend on."""
    pending = [y.op for y in outputs]
    seen: dict[str, Any] = {}
    while pending:
        op = pending.pop()
        if op.name not in seen:
            seen[op.name] = op
            pending.extend(x.op for x in op.inputs)
    return set(seen)


def _explain(name: str, error: Exception, shapes: Shapes) -> RnnportError:
    subject = f"function {name!r}"
    if _lacks_legacy(error):
        return UsageError.of(
            subject,
            f"cells of tf.compat.v1.nn.rnn_cell in a process without {_LEGACY}=1",
            f"{_LEGACY}=1 before TensorFlow is imported",
            f"start Python with {_LEGACY}=1 in the environment, or set os.environ[{_LEGACY!r}] = "
            "'1' as the first line of the script; tf_keras must be installed",
        )
    if foreign := _foreign(error):
        return ConversionError.of(
            subject,
            f"{foreign!r}, which an earlier call of the function or other code made in its graph",
            "every cell, layer and variable made anew by each call: each has a graph of its own",
            "make the cells and layers inside the function, and let it keep none",
        )
    return ConversionError.of(
        subject,
        f"{type(error).__name__}: {gist(error)}",
        "TensorFlow 1 code that builds a graph from these placeholders: "
        + ", ".join(str(tuple(s)) for s in shapes),
        "call it under tf.Graph().as_default() with such placeholders yourself; decorate "
        "TensorFlow 2 code with tf.function instead",
    )


def _foreign(error: Exception) -> str:
    """The variable or tensor of another graph that the code met; "" for other errors."""
    found = re.search(r'Tensor\("([^":]+)[^\n]*? must be from the same graph', str(error))
    return found[1].removesuffix("/Read/ReadVariableOp") if found else ""


def _lacks_legacy(error: Exception) -> bool:
    told = os.environ.get(_LEGACY, "").lower() in ("1", "true")
    says = "keras" in str(error).lower() or "rnn_cell" in str(error)
    return not told and isinstance(error, (ImportError, AttributeError)) and says
