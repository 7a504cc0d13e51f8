"""Searches in one graph, made from the halves of an artifact, for any wish."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from rnnport.artifact.load import Artifact
from rnnport.graph.generate import greedy_graph
from rnnport.graph.generate_beam import beam_graph
from rnnport.spec import Generate

__all__ = ["search_graph", "search_session", "without_ends"]


def search_graph(artifact: Artifact, wish: Generate, *, logits: bool) -> onnx.ModelProto:
    """What export would write for another wish."""
    encoder, decoder = (ir.load(artifact.forms[name]) for name in ("encoder", "decoder"))
    form = artifact.manifest.forms["decoder"]
    if wish.beam_width == 1:
        model = greedy_graph(encoder, decoder, form, wish)
    else:
        model = beam_graph(encoder, decoder, form, wish, logits=logits)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto)
    return proto


def search_session(artifact: Artifact, wish: Generate, *, logits: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    graph = search_graph(artifact, wish, logits=logits)
    return ort.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def without_ends(ids: np.ndarray) -> list[list[int]]:
    """Rows up to the first -1, behind which nothing else may stand."""
    rows = []
    for row in ids.tolist():
        length = row.index(-1) if -1 in row else len(row)
        assert set(row[length:]) <= {-1}
        rows.append(row[:length])
    return rows
