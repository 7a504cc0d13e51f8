"""The floor: the layer's matrix products alone, by NumPy's BLAS, every step as if valid.

One product projects all inputs at once, then one product a step takes the state; nothing is added,
squashed, moved or returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suite.peers.base import Bind, CannotRun, Run
from suite.subject import Array, Subject

__all__ = ["FloorBlas"]


@dataclass(frozen=True)
class FloorBlas:
    """Matrix products."""

    name: str = "BLAS products"
    role: str = "floor"
    few: bool = False
    distributions: tuple[str, ...] = ("numpy",)

    def prepare(self, subject: Subject) -> Bind:
        """Draw matrices of the layer's shapes."""
        if not subject.model.products:
            raise CannotRun("not matrix products alone")
        rng = np.random.default_rng(1)
        pairs = [
            (
                rng.standard_normal((inputs, wide)).astype(np.float32),
                rng.standard_normal((units, wide)).astype(np.float32),
            )
            for inputs, wide, units in subject.model.products
        ]

        def bind(arrays: list[Array]) -> Run:
            batch, time = arrays[0].shape[:2]
            work = [
                (
                    rng.standard_normal((batch * time, len(kernel))).astype(np.float32),
                    kernel,
                    np.empty((batch * time, kernel.shape[1]), np.float32),
                    rng.standard_normal((batch, len(recurrent))).astype(np.float32),
                    recurrent,
                    np.empty((batch, kernel.shape[1]), np.float32),
                )
                for kernel, recurrent in pairs
            ]

            def run() -> None:
                for x, kernel, projected, h, recurrent, gates in work:
                    np.matmul(x, kernel, out=projected)
                    for _ in range(time):
                        np.matmul(h, recurrent, out=gates)

            return run

        return bind
