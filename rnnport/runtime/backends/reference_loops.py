"""Scan and Loop for ONNX's ReferenceEvaluator, as the specification says.

The stock Scan takes no directions or axes, the stock Loop no missing condition and no scalar scan
outputs (onnx 1.23).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["Loop", "Scan"]

Array = NDArray[Any]


class Scan(OpRun):
    """Scan-11, directions and axes included."""

    def need_context(self) -> bool:
        """The body sees the values around it."""
        return True

    def _run(self, *inputs: Array, context: dict[str, Any], body: Any, **given: Any) -> Any:
        count = given["num_scan_inputs"]
        states, scanned = list(inputs[:-count]), list(inputs[-count:])
        axes = given.get("scan_input_axes") or [0] * count
        ways = given.get("scan_input_directions") or [0] * count
        rows = [
            np.moveaxis(x, axis, 0)[:: -1 if way else 1]
            for x, axis, way in zip(scanned, axes, ways, strict=True)
        ]
        lengths = {len(row) for row in rows}
        if len(lengths) != 1:
            raise ValueError(f"Scan over inputs of {sorted(lengths)} steps")
        outputs: list[list[Array]] = []
        for step in zip(*rows, strict=True):
            feeds = dict(zip(body.input_names, [*states, *step], strict=True))
            found = body.run(None, {**context, **feeds})
            states = found[: len(states)]
            outputs.append(found[len(states) :])
        if not outputs and len(body.output_names) > len(states):
            raise ValueError("Scan over no steps has no outputs to give")
        return (*states, *self._joined(list(zip(*outputs, strict=True)), given))

    def _joined(self, outputs: Sequence[Sequence[Array]], given: dict[str, Any]) -> list[Array]:
        axes = given.get("scan_output_axes") or [0] * len(outputs)
        ways = given.get("scan_output_directions") or [0] * len(outputs)
        joined = []
        for steps, axis, way in zip(outputs, axes, ways, strict=True):
            y = np.stack(steps)[:: -1 if way else 1]
            joined.append(np.moveaxis(y, 0, axis))
        return joined


class Loop(OpRun):
    """Loop-16 of tensors."""

    def need_context(self) -> bool:
        """The body sees the values around it."""
        return True

    def _run(
        self,
        limit: Array | None,
        condition: Array | None = None,
        *inputs: Array,
        context: dict[str, Any],
        body: Any,
        attributes: Any = None,
    ) -> Any:
        carried, outputs = list(inputs), []
        goes = True if condition is None else bool(condition.item())
        most = None if limit is None else int(limit.item())
        count = 0
        while goes and (most is None or count < most):
            values = [np.array(count, np.int64), np.array(True), *carried]
            feeds = dict(zip(body.input_names, values, strict=True))
            going, *found = body.run(None, {**context, **feeds})
            goes = bool(going.item())
            carried = found[: len(carried)]
            outputs.append(found[len(carried) :])
            count += 1
        wanted = len(body.output_names) - 1 - len(carried)
        if not outputs and wanted:
            raise ValueError("Loop without a step has no outputs to give")
        return (*carried, *(np.stack(steps) for steps in zip(*outputs, strict=True)))
