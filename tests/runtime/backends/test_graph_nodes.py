from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto

from rnnport.errors import ArtifactDamaged
from rnnport.runtime.backends.graph_nodes import GraphNodes, graph_nodes
from tests.runtime.backends.recurrent_graphs import recurrent_model, saved
from tests.runtime.backends.test_reference_ops import scan_model
from tests.tiny import lstm_model, pair_model

ARTIFACT = Path(__file__).parents[3] / "artifacts" / "digits-lstm"


def walk(graph: onnx.GraphProto, depth: int = 0) -> Iterator[tuple[onnx.NodeProto, int]]:
    """Every node of a graph; those of subgraphs before the node that holds them."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from walk(attribute.g, depth + 1)
        yield node, depth


def assert_like_onnx(path: Path) -> GraphNodes:
    model, found = onnx.load(path), graph_nodes(path)
    expected = list(walk(model.graph))
    assert len(found.nodes) == len(expected)
    for mine, (theirs, depth) in zip(found.nodes, expected, strict=True):
        assert (mine.op, mine.domain, mine.depth) == (theirs.op_type, theirs.domain, depth)
        for own, given_names in ((mine.inputs, theirs.input), (mine.outputs, theirs.output)):
            assert list(own) == list(given_names)[: len(own)]
            assert not any(list(given_names)[len(own) :])
        for attribute in theirs.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if attribute.type in (AttributeProto.INT, AttributeProto.FLOAT):
                assert mine.attributes[attribute.name] == value
            elif attribute.type == AttributeProto.STRING:
                assert mine.attributes[attribute.name] == value.decode()
            elif attribute.type == AttributeProto.INTS:
                assert mine.attributes.get(attribute.name, ()) == tuple(value)
            elif attribute.type == AttributeProto.STRINGS:
                assert mine.strings(attribute.name) == tuple(v.decode() for v in value)
    assert found.opsets == {o.domain: o.version for o in model.opset_import}
    weights = {w.name for w in model.graph.initializer}
    for ports, values in ((found.inputs, model.graph.input), (found.outputs, model.graph.output)):
        assert [(p.name, p.dtype) for p in ports] == [
            (
                v.name,
                onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type).name,
            )
            for v in values
            if v.name not in weights
        ]
    return found


@pytest.mark.parametrize("form", ["model", "stream"])
def test_a_real_artifact_is_read_as_onnx_reads_it(form: str) -> None:
    found = assert_like_onnx(ARTIFACT / f"{form}.onnx")
    assert [node.op for node in found.nodes].count("LSTM") == 1


@pytest.mark.parametrize(
    "model",
    [
        recurrent_model(
            "LSTM",
            lengths=True,
            peepholes=True,
            direction="bidirectional",
            activations=["HardSigmoid", "Tanh", "Tanh"] * 2,
            activation_alpha=[0.2, 0.2],
            clip=2.5,
        ),
        scan_model(scan_input_directions=[1]),
        pair_model(),
    ],
    ids=["LSTM", "Scan", "pair"],
)
def test_attributes_subgraphs_and_ports(model: onnx.ModelProto, tmp_path: Path) -> None:
    found = assert_like_onnx(saved(model, tmp_path))
    outer = [node for node in found.nodes if node.op == "Scan"]
    assert [[n.op for n in node.bodies] for node in outer] == [["Mul", "Add", "Identity"]] * len(
        outer
    )


def test_which_optional_inputs_are_given(tmp_path: Path) -> None:
    (node,) = graph_nodes(saved(recurrent_model("GRU", initial=True), tmp_path)).nodes
    assert [node.has(place) for place in range(7)] == [True] * 4 + [False, True, False]
    assert node.integer("hidden_size", 0) == 4
    assert node.integer("layout", 7) == 7
    assert node.strings("activations") == ()


def test_a_default_is_no_input(tmp_path: Path) -> None:
    """IR 3 lists weights among the inputs."""
    model = lstm_model()
    info = onnx.helper.make_tensor_value_info("W", onnx.TensorProto.FLOAT, [1, 16, 3])
    model.graph.input.append(info)
    found = assert_like_onnx(saved(model, tmp_path))
    assert [port.name for port in found.inputs] == ["x"]


def message(data: bytes, folder: Path) -> str:
    path = folder / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ArtifactDamaged) as caught:
        graph_nodes(path)
    (reason,) = caught.value.reasons
    assert (reason.subject, reason.expected) == (str(path), "an ONNX model")
    return reason.received


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot mmap an empty file"),
        (b"\x08\x08", "0 graphs and 0 opsets"),
        (b"\x08", "the end in the middle of a number"),
        (b"\x08" + b"\xff" * 11, "a number of more than 64 bits"),
        (b"\x00\x00", "field number 0 at byte 1"),
        (b"\x0b", "wire type 3 at byte 1"),
        (b"\x3a\x05\x0a", "5 bytes announced where 1 are left"),
        (b"\x38\x05", "a number where bytes belong"),
        (b"\x3a\x02\x0a\x00\x42\x02\x10\x12", "a node without an operator"),
        (b"\x3a\x05\x0a\x03\x22\x01\xff\x42\x02\x10\x12", "text that is no UTF-8"),
        (b"\x42\x02\x10\x12", "0 graphs and 1 opsets"),
    ],
)
def test_bytes_that_are_no_model(data: bytes, said: str, tmp_path: Path) -> None:
    assert message(data, tmp_path) == said


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactDamaged, match="No such file"):
        graph_nodes(tmp_path / "none.onnx")


def test_graphs_in_graphs_without_end(tmp_path: Path) -> None:
    body = b""
    for _ in range(40):
        attribute = b"\x32" + _sized(body)
        node = b"\x22\x01L" + b"\x2a" + _sized(attribute)
        body = b"\x0a" + _sized(node)
    data = b"\x3a" + _sized(body) + b"\x42\x02\x10\x12"
    assert message(data, tmp_path) == "graphs in graphs, more than 32 deep"


def _sized(data: bytes) -> bytes:
    size, out = len(data), b""
    while True:
        size, low = size >> 7, size & 0x7F
        out += bytes([low | (0x80 if size else 0)])
        if not size:
            return out + data


def test_a_file_cut_short_is_refused_or_ends_between_fields(tmp_path: Path) -> None:
    """No cut reads as the whole model."""
    data = scan_model(scan_input_directions=[0]).SerializeToString()
    path = tmp_path / "cut.onnx"
    refused = 0
    for size in range(1, len(data)):
        path.write_bytes(data[:size])
        try:
            graph_nodes(path)
        except ArtifactDamaged:
            refused += 1
    assert refused >= len(data) - 20


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_other_bytes_are_refused_or_read(data: st.DataObject) -> None:
    """Never another error than ArtifactDamaged."""
    import tempfile

    whole = bytearray(recurrent_model("GRU", lengths=True).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.onnx"
        path.write_bytes(bytes(whole))
        try:
            found = graph_nodes(path)
        except ArtifactDamaged:
            return
        assert all(node.op for node in found.nodes)
        assert all(np.dtype(port.dtype) for port in found.inputs)
