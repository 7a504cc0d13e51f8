"""torch.nn with the same weights, where torch is installed: plain recurrent layers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from suite.peers.base import Bind, CannotRun, Run
from suite.subject import Array, Subject
from suite.workloads import KINDS

__all__ = ["Torch"]

_NAMES = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


@dataclass(frozen=True)
class Torch:
    """Eager, under inference_mode: its recurrent layers are one operator each."""

    name: str = "torch.nn"
    role: str = "peer"
    few: bool = False
    distributions: tuple[str, ...] = ("torch",)

    def prepare(self, subject: Subject) -> Bind:
        """Copy the weights."""
        model = subject.model
        try:
            import torch
        except ModuleNotFoundError as error:
            raise CannotRun("torch is not installed") from error
        if model.masked:
            raise CannotRun("torch packs right-padded sequences; it has no other masks")
        if model.kind not in KINDS or not model.units:
            raise CannotRun("no such layer in torch.nn")
        torch.set_num_threads(subject.threads)
        made = getattr(torch.nn, _NAMES[model.kind])(
            model.features,
            model.units,
            num_layers=model.depth,
            batch_first=True,
            bidirectional=model.bidirectional,
        ).eval()
        with torch.no_grad():
            for name, values in _weights(subject).items():
                getattr(made, name).copy_(torch.from_numpy(values))

        def bind(arrays: list[Array]) -> Run:
            tensor = torch.from_numpy(arrays[0])

            def run() -> Any:
                with torch.inference_mode():
                    return made(tensor)[0].numpy()

            return run

        return bind


def _weights(subject: Subject) -> dict[str, Array]:
    """Names of torch's parameters to values."""
    found: dict[str, Array] = {}
    model = subject.model
    per_layer = 3 * (2 if model.bidirectional else 1)
    arrays = [np.asarray(w) for w in subject.keras.get_weights()]
    for layer in range(model.depth):
        of_layer = arrays[layer * per_layer : (layer + 1) * per_layer]
        for way, suffix in enumerate(("", "_reverse")[: per_layer // 3]):
            kernel, recurrent, bias = of_layer[3 * way : 3 * way + 3]
            ins, outs = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
            end = f"_l{layer}{suffix}"
            found |= {
                f"weight_ih{end}": _gates(model.kind, kernel.T),
                f"weight_hh{end}": _gates(model.kind, recurrent.T),
                f"bias_ih{end}": _gates(model.kind, ins),
                f"bias_hh{end}": _gates(model.kind, outs),
            }
    return found


def _gates(kind: str, values: Array) -> Array:
    """Keras's z r h along axis 0 as torch's r z n; the other kinds agree on the order."""
    if kind == "GRU":
        z, r, h = np.split(values, 3)
        values = np.concatenate([r, z, h])
    return np.array(values, np.float32, order="C")
