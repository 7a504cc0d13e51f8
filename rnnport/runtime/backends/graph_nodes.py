"""An .onnx file read without onnx: what a runtime lacks is seen before it runs.

Field numbers: onnx.proto. Weights are skipped, and files are mapped, so size costs nothing.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from rnnport.errors import ArtifactDamaged
from rnnport.runtime.backends.base import Value
from rnnport.runtime.backends.graph_ports import graph_ports
from rnnport.runtime.backends.wire import Damaged, integers, messages, text, whole

__all__ = ["GraphNodes", "Node", "graph_nodes"]

_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_FUNCTIONS = 7, 8, 25
_GRAPH_NODES, _FUNCTION_NODES = 1, 7
_DEEPEST = 32

Attribute = int | float | str | tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        op: its operator.
        domain: "" for ONNX's own.
        inputs: names; "" for those left out, none at the end.
        outputs: names, likewise.
        attributes: those that are numbers, strings, or lists of integers or strings.
        bodies: the nodes of its subgraphs, without those of theirs.
        depth: 0 in the main graph, 1 in a subgraph of one of its nodes, and so on.
    """

    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    bodies: tuple[Node, ...] = ()
    depth: int = 0

    def has(self, place: int) -> bool:
        """Whether an optional input is given."""
        return place < len(self.inputs) and self.inputs[place] != ""

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty where the attribute is left out."""
        value = self.attributes.get(name, ())
        return tuple(v for v in value if isinstance(v, str)) if isinstance(value, tuple) else ()


@dataclass(frozen=True)
class GraphNodes:
    """What a model's file says.

    Attributes:
        nodes: all of them, subgraphs and functions included.
        opsets: version by domain.
        inputs: of the main graph, those with a default left out.
        outputs: of the main graph.
    """

    nodes: list[Node] = field(default_factory=list)
    opsets: dict[str, int] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)


def graph_nodes(path: Path) -> GraphNodes:
    """Read a model's file; once for all who ask while it stays as it is.

    Raises:
        ArtifactDamaged: it is no ONNX model, or cut short.
    """
    try:
        seen = path.stat()
    except OSError as error:
        raise _damaged(path, error) from error
    return _read(path, seen.st_ino, seen.st_size, seen.st_mtime_ns)


@lru_cache(maxsize=16)
def _read(path: Path, inode: int, size: int, changed: int) -> GraphNodes:
    """The file as it was when it had this inode, size and time."""
    try:
        with path.open("rb") as file:
            # Closed when nothing points into it any more; a traceback may for a while.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _model(memoryview(data))
    except (Damaged, ValueError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ArtifactDamaged:
    return ArtifactDamaged.of(str(path), str(error), "an ONNX model", "export the model again")


def _model(data: memoryview) -> GraphNodes:
    found, graphs = GraphNodes(), 0
    for number, value in messages(data):
        if number == _MODEL_GRAPH:
            graphs += 1
            _graph(whole(value), found.nodes, _GRAPH_NODES, 0)
            inputs, outputs = graph_ports(whole(value))
            found.inputs.extend(inputs)
            found.outputs.extend(outputs)
        elif number == _MODEL_FUNCTIONS:
            _graph(whole(value), found.nodes, _FUNCTION_NODES, 0)
        elif number == _MODEL_OPSETS:
            domain, version = _opset(whole(value))
            found.opsets[domain] = version
    # A graph in two parts is one graph: protobuf merges them.
    if not graphs or not found.opsets:
        raise Damaged(f"{graphs} graphs and {len(found.opsets)} opsets")
    return found


def _opset(data: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in messages(data):
        if number == 1:
            domain = text(value)
        elif number == 2:
            (version,) = integers(value)
    return domain, version


def _graph(data: memoryview, into: list[Node], field_number: int, depth: int) -> list[Node]:
    """Add a graph's nodes and those of its subgraphs; return its own."""
    if depth > _DEEPEST:
        raise Damaged(f"graphs in graphs, more than {_DEEPEST} deep")
    own = []
    for number, value in messages(data):
        if number == field_number:
            node = _node(whole(value), into, depth)
            into.append(node)
            own.append(node)
    return own


def _node(data: memoryview, into: list[Node], depth: int) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    bodies: list[Node] = []
    op = domain = ""
    attributes: dict[str, Attribute] = {}
    for number, value in messages(data):
        if number == 1:
            inputs.append(text(value))
        elif number == 2:
            outputs.append(text(value))
        elif number == 4:
            op = text(value)
        elif number == 5:
            _attribute(whole(value), attributes, bodies, into, depth)
        elif number == 7:
            domain = text(value)
    if not op:
        raise Damaged("a node without an operator")
    domain = "" if domain == "ai.onnx" else domain
    given = _without_tail(inputs), _without_tail(outputs)
    return Node(op, domain, *given, attributes, tuple(bodies), depth)


def _without_tail(names: list[str]) -> tuple[str, ...]:
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _attribute(
    data: memoryview,
    attributes: dict[str, Attribute],
    bodies: list[Node],
    into: list[Node],
    depth: int,
) -> None:
    name = ""
    one: int | float | str | None = None
    ints: list[int] = []
    strings: list[str] = []
    for number, value in messages(data):
        if number == 1:
            name = text(value)
        elif number == 2 and len(whole(value)) == 4:
            (one,) = struct.unpack("<f", whole(value))
        elif number == 3:
            (one,) = integers(value)
        elif number == 4:
            one = bytes(whole(value)).decode(errors="replace")
        elif number == 8:
            ints += integers(value)
        elif number == 9:
            strings.append(bytes(whole(value)).decode(errors="replace"))
        elif number in (6, 11):
            bodies += _graph(whole(value), into, _GRAPH_NODES, depth + 1)
    if one is not None:
        attributes[name] = one
    elif ints or strings:
        attributes[name] = tuple(ints) if ints else tuple(strings)
