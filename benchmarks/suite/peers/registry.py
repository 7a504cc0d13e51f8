"""All contenders, in the order of the tables."""

from __future__ import annotations

from suite.peers.base import Peer
from suite.peers.floor_blas import FloorBlas
from suite.peers.floor_op import FloorOp
from suite.peers.keras_predict import KerasPredict
from suite.peers.openvino import OpenVino
from suite.peers.ours import Ours
from suite.peers.tensorflow import TfFunction, Xla
from suite.peers.tf2onnx import Tf2Onnx
from suite.peers.torch import Torch

__all__ = [
    "FLOORS",
    "ON_OUR_GRAPH",
    "OURS",
    "PEERS",
    "PORTABLE",
    "REFERENCE",
    "RIVALS",
    "STRANGERS",
]

PEERS: tuple[Peer, ...] = (
    Ours("cpu"),
    Ours("portable"),
    KerasPredict(),
    TfFunction(),
    Xla(),
    Tf2Onnx(),
    Torch(),
    OpenVino(ours=False),
    OpenVino(ours=True),
    FloorBlas(),
    FloorOp(),
)

OURS, PORTABLE = PEERS[0].name, PEERS[1].name
REFERENCE = TfFunction.name
ON_OUR_GRAPH = OpenVino(ours=True).name
RIVALS = tuple(peer.name for peer in PEERS if peer.role == "peer")
# What can be run without rnnport; OpenVINO on its graph is rnnport.load(provider="openvino").
STRANGERS = tuple(name for name in RIVALS if name != ON_OUR_GRAPH)
FLOORS = tuple(peer.name for peer in PEERS if peer.role == "floor")
