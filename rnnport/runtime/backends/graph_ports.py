"""Names and dtypes of a graph's inputs and outputs, read without onnx."""

from __future__ import annotations

from rnnport.runtime.backends.base import Value
from rnnport.runtime.backends.wire import Damaged, messages, text, whole

__all__ = ["graph_ports"]

_GRAPH_WEIGHTS, _GRAPH_INPUTS, _GRAPH_OUTPUTS = 5, 11, 12
_WEIGHT_NAME = 8

# TensorProto.DataType to NumPy's names.
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}


def graph_ports(graph: memoryview) -> tuple[list[Value], list[Value]]:
    """Inputs, those with a default left out, and outputs of a GraphProto.

    Raises:
        Damaged: one is no tensor of numbers.
    """
    given: set[str] = set()
    inputs: list[Value] = []
    outputs: list[Value] = []
    for number, value in messages(graph):
        if number == _GRAPH_WEIGHTS:
            given.update(text(v) for n, v in messages(whole(value)) if n == _WEIGHT_NAME)
        elif number == _GRAPH_INPUTS:
            inputs.append(_port(whole(value)))
        elif number == _GRAPH_OUTPUTS:
            outputs.append(_port(whole(value)))
    return [port for port in inputs if port.name not in given], outputs


def _port(data: memoryview) -> Value:
    name, dtype = "", 0
    for number, value in messages(data):
        if number == 1:
            name = text(value)
        elif number == 2:
            dtype = _element_type(whole(value))
    if dtype not in _DTYPES:
        raise Damaged(f"{name!r} is no tensor of numbers (type {dtype})")
    return Value(name, _DTYPES[dtype])


def _element_type(data: memoryview) -> int:
    """TypeProto.tensor_type.elem_type."""
    for number, value in messages(data):
        if number == 1:
            for inner, found in messages(whole(value)):
                if inner == 1 and isinstance(found, int):
                    return found
    return 0
