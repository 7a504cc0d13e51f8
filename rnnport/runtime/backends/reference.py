"""ONNX's own evaluator in float64, with correct recurrence: the arbiter, slow and independent."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnport.errors import ArtifactDamaged, ProviderUnavailable
from rnnport.runtime.backends.base import Array, RunFailed, Value
from rnnport.spec import Lack

__all__ = ["Reference", "ReferenceSession"]


class Reference:
    """The backend."""

    name = "reference"
    target = "portable"

    def require(self) -> None:
        """Return where onnx is installed.

        Raises:
            ProviderUnavailable: it is not.
        """
        if importlib.util.find_spec("onnx") is None:
            raise ProviderUnavailable.of(
                "provider 'reference'",
                "no package onnx",
                "onnx, whose evaluator runs the graph",
                "pip install 'rnnport[reference]'",
            )

    def lacks(self, path: Path) -> list[Lack]:
        """Operators without a reference implementation."""
        self.require()
        from rnnport.runtime.backends.reference_lacks import reference_lacks

        return reference_lacks(path)

    def open(
        self, path: Path, threads: int | None, *, arena: bool, spin: bool | None = None
    ) -> ReferenceSession:
        """Open a graph; threads, arena and spin have no meaning here."""
        self.require()
        return ReferenceSession(path)


class ReferenceSession:
    """A graph in float64.

    Args:
        path: the .onnx file; external data lies beside it.

    Raises:
        ArtifactDamaged: onnx does not take the file.
    """

    def __init__(self, path: Path) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        from rnnport.runtime.backends.reference_ops import OPERATORS
        from rnnport.runtime.backends.reference_wide import widen

        self._runtime = f"onnx {onnx.__version__}"
        try:
            model = onnx.load(path)
            given = {weight.name for weight in model.graph.initializer}
            self._inputs = [_value(v) for v in model.graph.input if v.name not in given]
            self._outputs = [_value(v) for v in model.graph.output]
            widen(model)
            self._evaluator = ReferenceEvaluator(model, new_ops=OPERATORS)
        except Exception as error:
            raise ArtifactDamaged.of(
                str(path),
                f"{self._runtime}: {_line(error)}",
                "a graph that onnx's evaluator opens",
                "pip install -U onnx, or export the model again",
            ) from error

    def get_inputs(self) -> list[Value]:
        """The inputs."""
        return self._inputs

    def get_outputs(self) -> list[Value]:
        """The outputs."""
        return self._outputs

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """Run in float64; outputs are rounded to the dtypes that the graph declares."""
        wanted = self._names(names)
        dtypes = {value.name: value.dtype for value in self._outputs}
        found = self.run_exact(wanted, feeds)
        with np.errstate(all="ignore"):
            return [array.astype(dtypes[n]) for n, array in zip(wanted, found, strict=True)]

    def run_exact(self, names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """The same without the last rounding: float outputs are float64.

        Args:
            names: the outputs wanted, in order; None for all.
            feeds: every input by name; float inputs may be float64.

        Raises:
            RunFailed: inputs do not fit, or something was computed in less than float64.
        """
        wanted = self._names(names)
        arrays = self._widened(feeds)
        # Masked steps may hold NaN, and held gates saturate by overflow.
        with np.errstate(all="ignore"):
            try:
                results: Any = self._evaluator.run(None, arrays, intermediate=True)
            except Exception as error:
                raise RunFailed(self._runtime, _line(error)) from error
        self._check_exact(results)
        return [np.asarray(results[name]) for name in wanted]

    def _names(self, names: Sequence[str] | None) -> list[str]:
        known = [value.name for value in self._outputs]
        if unknown := set(names or ()) - set(known):
            raise RunFailed(self._runtime, f"no outputs {sorted(unknown)}, but {known}")
        return known if names is None else list(names)

    def _widened(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        known = [value.name for value in self._inputs]
        if set(feeds) != set(known):
            raise RunFailed(self._runtime, f"inputs {sorted(feeds)}, where it takes {known}")
        arrays = {}
        for value in self._inputs:
            array = np.asarray(feeds[value.name])
            floating = np.issubdtype(np.dtype(value.dtype), np.floating)
            arrays[value.name] = array.astype(np.float64 if floating else value.dtype)
        return arrays

    def _check_exact(self, results: Mapping[str, Any]) -> None:
        for name, array in results.items():
            if isinstance(array, np.ndarray) and array.dtype in (np.float32, np.float16):
                raise RunFailed(self._runtime, f"{name!r} was computed in {array.dtype}")


def _value(info: Any) -> Value:
    import onnx

    dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    return Value(info.name, dtype.name)


def _line(error: BaseException) -> str:
    """What was said first: the evaluator wraps its errors in others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
