"""Graphs of an artifact with layers switched, in a folder of their own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from rnnport.artifact.golden import read_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.parity.subject import run_form
from rnnport.spec import Form, LayerReport

if TYPE_CHECKING:
    from rnnport.graph.retune import Switch

__all__ = ["SAME", "Graphs", "Variant", "differs", "names_in", "retold", "same"]

Arrays = Mapping[str, Any]

# Of the largest magnitude, or of 1: what a switched graph may differ by.
SAME = 1e-6


@dataclass(frozen=True)
class Variant:
    """A graph.

    Attributes:
        path: the file; data beside it.
        form: what it is.
        switched: layers that were switched, to what.
    """

    path: Path
    form: Form
    switched: tuple[tuple[str, str], ...] = ()


class Graphs:
    """The best graphs so far, and what could be tried.

    Args:
        artifact: where it all began.
        folder: for files.

    Attributes:
        notes: what cannot be tried, and why.
    """

    def __init__(self, artifact: Artifact, folder: Path) -> None:
        self._artifact, self._folder = artifact, folder
        forms = artifact.manifest.forms
        self._original = {n: Variant(artifact.forms[n], form) for n, form in forms.items()}
        self._best = dict(self._original)
        self._count = 0
        self.notes: list[str] = []
        self._retune = self._tools()

    def original(self, name: str) -> Variant:
        """The graph of a form as it was."""
        return self._original[name]

    def best(self, name: str) -> Variant:
        """The graph of a form that is fastest so far."""
        return self._best[name]

    def keep(self, name: str, variant: Variant) -> None:
        """Make a variant the best."""
        self._best[name] = variant

    def drop(self, variant: Variant) -> None:
        """Remove the files of a variant that lost."""
        place = variant.path.parent
        if place.parent == self._folder and variant.switched:
            shutil.rmtree(place, ignore_errors=True)

    @property
    def changed(self) -> dict[str, Variant]:
        """Forms whose graphs were switched."""
        return {name: variant for name, variant in self._best.items() if variant.switched}

    def switches(self, name: str) -> Sequence[Switch]:
        """Layers of a form that can be switched; none where there is no such form."""
        if self._retune is None or name not in self._best:
            return []
        return list(self._retune.switches(_load(self._best[name].path)))

    def switched(self, name: str, wish: Switch) -> Variant | None:
        """The best graph with one layer switched.

        Returns:
            None where model.onnx then gives other outputs than it did at first, by more than SAME.
        """
        from rnnport.graph.finish import count_ops, write_onnx
        from rnnport.graph.step_weights import step_weights

        assert self._retune is not None
        base = self._best[name]
        self._count += 1
        place = self._folder / str(self._count)
        place.mkdir()
        model = _load(base.path)
        self._retune.switch(model, wish)
        switched = (*base.switched, (wish.layer, wish.then))
        _tell(model, self._artifact.manifest.layers, switched)
        path = place / base.form.record.file
        data = write_onnx(model, path)
        form = msgspec.structs.replace(
            base.form,
            record=record(path),
            data=[record(d) for d in data],
            op_counts=count_ops(model),
            step_weights=step_weights(model),
        )
        variant = Variant(path, form, switched)
        if name == "model" and not self._same(variant):
            self.notes.append(differs(wish.layer, wish.then))
            self.drop(variant)
            return None
        return variant

    def names(self, name: str) -> set[str]:
        """Values in the best graph of a form."""
        return names_in(_load(self._best[name].path))

    def _same(self, other: Variant) -> bool:
        """Whether model.onnx still gives the outputs it gave at first, on every golden case."""
        run = run_form(other.path, other.form)
        return all(same(expected, run(given)) for given, expected in self._at_first)

    @cached_property
    def _at_first(self) -> list[tuple[Arrays, Arrays]]:
        """Inputs of every golden case, and what model.onnx gave for them at first."""
        first = self.original("model")
        golden = self._artifact.path / self._artifact.manifest.golden.file
        run = run_form(first.path, first.form)
        cases = [
            {port.name: case.inputs[port.name] for port in first.form.inputs}
            for case in read_golden(golden)
        ]
        return [(given, run(given)) for given in cases]

    def _tools(self) -> Any:
        if self._artifact.manifest.target not in ("portable", "cpu"):
            target = self._artifact.manifest.target
            self.notes.append(f"target {target}: operators stay, which were chosen for it")
            return None
        if self._artifact.manifest.precision != "float32":
            self.notes.append(f"{self._artifact.manifest.precision}: layers stay as they are")
            return None
        try:
            from rnnport.graph import retune
        except ModuleNotFoundError as error:
            said = f"layers stay as they are: {error.name} is not installed"
            self.notes.append(f"{said}; pip install 'rnnport[export]'")
            return None
        return retune


def differs(layer: str, operator: str) -> str:
    """What to note of a layer that does not stay the same."""
    return f"{layer} as {operator}: outputs differ by more than {SAME:g}"


def same(expected: Mapping[str, Any], received: Mapping[str, Any]) -> bool:
    """Whether all arrays are equal to within SAME of their largest magnitude, or of 1."""
    return expected.keys() == received.keys() and all(
        _close(expected[name], received[name]) for name in expected
    )


def _close(one: Any, other: Any) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    finite = np.isfinite(one)
    if not np.array_equal(finite, np.isfinite(other)):
        return False
    largest = max(1.0, float(np.abs(one[finite]).max(initial=0.0)))
    return float(np.abs(one[finite] - other[finite]).max(initial=0.0)) <= SAME * largest


def _load(path: Path) -> Any:
    import onnx_ir as ir

    model = ir.load(path)
    ir.external_data.load_to_model(model)
    return model


def _tell(model: Any, layers: Sequence[LayerReport], switched: Sequence[tuple[str, str]]) -> None:
    """Bring what the graph says about itself up to date."""
    if "rnnport.layers" in model.metadata_props:
        told = msgspec.json.encode(retold(layers, switched, names_in(model))).decode()
        model.metadata_props["rnnport.layers"] = told


def names_in(model: Any) -> set[str]:
    """Names of all values that nodes of the main graph make."""
    return {str(value.name) for node in model.graph for value in node.outputs}


def retold(
    layers: Sequence[LayerReport], switched: Sequence[tuple[str, str]], names: set[str]
) -> list[LayerReport]:
    """Layer reports after switching.

    Args:
        layers: before.
        switched: layer to its operator.
        names: values that there are.
    """
    then = dict(switched)
    return [
        msgspec.structs.replace(
            layer,
            lowering=then.get(layer.name, layer.lowering),
            reason="tuned by measurement" if layer.name in then else layer.reason,
            value=layer.value if layer.value in names else "",
        )
        for layer in layers
    ]
