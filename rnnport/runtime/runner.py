"""Runner: the drop-in for the Keras model, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NoReturn

from numpy.typing import NDArray

from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import InputError, NotStreamable, NotYetAvailable
from rnnport.runtime.checks import check_inputs
from rnnport.runtime.providers import resolve_provider
from rnnport.runtime.session import check_threads, open_session
from rnnport.runtime.structure import bind, pack
from rnnport.spec import Form, Manifest

__all__ = ["Runner", "load"]

_FORM = "model"


class Runner:
    """Runs model.onnx. Safe for calls from several threads; holds no state between calls.

    Attributes:
        provider: the provider that really runs, "cpu" or "cuda".
    """

    def __init__(self, artifact: Artifact, session: Any, provider: str) -> None:
        self.provider = provider
        self._artifact = artifact
        self._session = session
        self._form: Form = artifact.manifest.forms[_FORM]

    @property
    def manifest(self) -> Manifest:
        """What rnnport.json says."""
        return self._artifact.manifest

    @property
    def input_names(self) -> tuple[str, ...]:
        """Input names in call order."""
        return tuple(port.name for port in self._form.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Output names in the order of Keras's outputs."""
        return tuple(port.name for port in self._form.outputs)

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the model once.

        Args:
            *args: arrays in Keras's input order, or one dict, list or tuple nested as the Keras
                model takes it. Nested Python lists count as arrays.
            **kwargs: arrays by input name.

        Returns:
            The outputs nested as Keras gives them: an array, a tuple of them, or a dict. Shapes
            and dtypes are those of the manifest's output ports.

        Raises:
            InputError: names, ranks, sizes or dtypes do not fit; lists everything that is wrong.
        """
        given = bind(self._form.inputs, self.manifest.input_structure, args, kwargs)
        return pack(self.manifest.output_structure, self.run_named(given))

    def run_named(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run the model once, flat: input name to array in, output name to array out.

        Raises:
            InputError: as in run.
        """
        arrays = check_inputs(self._form.inputs, inputs, self.manifest.fixed_axes)
        try:
            outputs = self._session.run(list(self.output_names), arrays)
        except Exception as error:
            raise self._refused(error) from error
        return dict(zip(self.output_names, outputs, strict=True))

    def stepper(self, batch_size: int = 1) -> NoReturn:
        """Step a stream; comes with the stream form.

        Raises:
            NotStreamable: the model looks ahead; names the layer and why.
            NotYetAvailable: in this version, in every other case.
        """
        verdict = self.manifest.streamable
        if not verdict.ok:
            where = f"layer {verdict.layer!r}" if verdict.layer else "model"
            remedy = "use runner.run on whole sequences"
            raise NotStreamable.of(where, verdict.reason, "a model that never looks ahead", remedy)
        remedy = "use runner.run on whole sequences, or a later version of rnnport"
        raise NotYetAvailable.of("stepper", "not in this version", "run", remedy)

    def __repr__(self) -> str:
        return f"<Runner {self.manifest.name!r} on {self.provider}: {self._artifact.path}>"

    def _refused(self, error: Exception) -> InputError:
        """Onnxruntime's refusal of inputs whose shapes and dtypes fit, such as ids out of range."""
        return InputError.of(
            f"run of {self._artifact.forms[_FORM].name}",
            f"onnxruntime: {' '.join(str(error).split())[:500]}",
            "values the model can take",
            "check that ids are below the vocabulary's size and sequences not too short",
        )


def load(
    out: str | os.PathLike[str] | Artifact, *, provider: str = "auto", threads: int | None = None
) -> Runner:
    """Open an artifact for running.

    Args:
        out: the artifact's folder, or an opened Artifact (not checked again).
        provider: "cpu", "cuda", or "auto" (CUDA where it really works, else the CPU).
        threads: for the work inside one operator; None leaves the choice to onnxruntime.

    Raises:
        UsageError: no such folder, or threads or provider that make no sense.
        ArtifactDamaged: the folder is not as rnnport wrote it.
        ProviderUnavailable: "cuda" was asked for by name and does not work here.
        NotYetAvailable: a provider, or an artifact without model.onnx, for a later version.
    """
    check_threads(threads)
    resolved = resolve_provider(provider)
    artifact = out if isinstance(out, Artifact) else open_artifact(out)
    if _FORM not in artifact.forms:
        received = f"forms {', '.join(artifact.forms)}"
        remedy = "use a later version of rnnport"
        raise NotYetAvailable.of(f"artifact {artifact.path}", received, "model.onnx", remedy)
    return Runner(artifact, open_session(artifact.forms[_FORM], resolved, threads), resolved)
