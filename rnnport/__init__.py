"""Trained Keras recurrent networks to ONNX: proven equal, on fused kernels, with explicit states.

Public API: `export` (needs the `export` extra), `open`, `verify`, `load`, `tune`. Importing rnnport
imports neither TensorFlow nor onnxruntime; each is loaded by the call that needs it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnport import errors
from rnnport.errors import RnnportError, UsageError
from rnnport.spec import Generate
from rnnport.versions import VERSION as __version__

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact
    from rnnport.parity.report import ParityReport
    from rnnport.progress import Progress
    from rnnport.runtime.runner import Runner
    from rnnport.tuning.report import TuneReport

__all__ = [
    "Generate",
    "RnnportError",
    "__version__",
    "errors",
    "export",
    "load",
    "open",
    "tune",
    "verify",
]

_TARGETS = ("portable", "cpu", "cuda", "openvino")
_OPSETS = (18,)
_PRECISIONS = {
    "float32": ("portable", "cpu", "cuda", "openvino"),
    "float16": ("cuda", "portable"),
    "int8": ("cpu", "portable"),
}
"""Precision to targets; where "portable" is not the first, it means the first."""
_SOURCE_FORMATS = ("keras", "tf_keras", "saved_model", "graph")


def export(
    model: Any,
    out: str | os.PathLike[str],
    *,
    name: str | None = None,
    target: str = "portable",
    opset: int = 18,
    overwrite: bool = False,
    verify: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    source_format: str | None = None,
    states: Mapping[str, str] | None = None,
    checkpoint: Any = None,
    encoder: Any = None,
    decoder: Any = None,
    decoder_inputs: str | Sequence[str] | None = None,
    generate: Generate | None = None,
    precision: str = "float32",
    progress: Progress | None = None,
) -> Artifact:
    """Export a recurrent model to an artifact folder, with proof that it equals TensorFlow.

    The model is left as it was: its outputs, its states and its training are unharmed.

    Args:
        model: Model, layer or cell of Keras 3 or tf_keras; path of a `.keras` or `.h5` file or of
            a SavedModel folder; tf.function; a plain Python function is TensorFlow 1 code: it is
            given tf.compat.v1 placeholders by `input_signature` and returns a tensor or a nest of
            tensors. It is called several times, each time in a tf.Graph of its own.
            tf.compat.v1.nn.rnn_cell needs a process started with TF_USE_LEGACY_KERAS=1. Also the
            path of a frozen graph (`.pb`), which tf2onnx converts as it is, like SavedModels that
            Keras did not write.
        out: the folder to write; it appears whole or not at all.
        name: the artifact's name; the model's where None.
        target: "portable" runs alike on every runtime that has its operators; "cpu", "cuda" and
            "openvino" are tuned.
        opset: ONNX opset of the default domain.
        overwrite: replace an artifact that is there.
        verify: refuse to write a graph that differs from TensorFlow; where False, failed checks
            are written to the manifest instead.
        custom_objects: classes and functions that a model file names.
        input_signature: specs (shape, dtype) of the inputs, for models that do not know them;
            for two models {"encoder": specs, "decoder": specs}.
        source_format: for files: "keras" (3), "tf_keras" (Keras 2) or "saved_model" (its graph as
            it is, whoever wrote it); found out from the file where None. "graph" for TensorFlow 1
            code.
        states: with encoder and decoder, {"decoder input": "decoder output"} for every state, where
            names, order and shapes do not tell; of a frozen graph or SavedModel, the tensor (or
            signature input) that takes a state to the one that gives its next value.
        checkpoint: variables of TensorFlow 1 code: the prefix tf.compat.v1.train.Saver.save was
            given, a folder with a checkpoint, or a live v1 Session. Without one they hold what
            their initialisers give, as the manifest then says.
        encoder: with decoder and in place of model: what makes the decoder's states and context.
        decoder: takes its own inputs, states and context; gives an output and the next states.
        decoder_inputs: names of the inputs that only the decoder depends on; found from the state
            hand-off where None.
        generate: `rnnport.Generate(start=, stop=, max_steps=)` adds generate.onnx, the whole decode
            loop of an encoder-decoder model in one graph.
        precision: "float32"; "int8" for CPUs, a quarter of the size and, where there are LSTMs,
            faster; "float16" for CUDA. They are held to a budget in place of equality, and the
            manifest says what was paid.
        progress: called with a stage's name and the fraction done.

    Returns:
        The artifact, opened and checked.

    Raises:
        UsageError: an argument that cannot be right.
        ModelError: the model cannot be read or exported; says why and what to do.
        ParityError: the graph differs from TensorFlow, or costs more than its precision's budget.
        ArtifactError: the folder cannot be written.
    """
    two = encoder is not None or decoder is not None
    _refuse_values(target, opset)
    target = _target(target, precision)
    if precision == "float16" and generate is not None:
        raise UsageError.of(
            "generate, precision",
            "generate= with float16",
            "generate.onnx in float32 or int8: a loop in float16 was not proven token for token",
            "leave generate out and call runner.generate",
        )
    _refuse_format(source_format)
    if two:
        _refuse_half(model, encoder, decoder)
    from rnnport.artifact.save import check_target
    from rnnport.generate_wish import check_wish
    from rnnport.model_file import check_model_file

    # What can be refused before TensorFlow's slow import is.
    wish = None if generate is None else check_wish(generate)
    check_target(out, overwrite=overwrite)
    for one in (encoder, decoder) if two else (model,):
        if isinstance(one, (str, os.PathLike)):
            check_model_file(Path(one))
    from rnnport.exporting import Settings, run_export

    named = [decoder_inputs] if isinstance(decoder_inputs, str) else decoder_inputs
    settings = Settings(
        name,
        target,
        opset,
        overwrite,
        verify,
        custom_objects,
        input_signature,
        named,
        wish,
        checkpoint,
        states,
        source_format,
        precision,
    )
    report = progress or (lambda stage, fraction: None)
    if two:
        from rnnport.pair_exporting import run_pair_export

        return run_pair_export(encoder, decoder, out, settings, states, report)
    return run_export(model, out, settings, report)


def open(out: str | os.PathLike[str]) -> Artifact:
    """Open an artifact folder; every file is checked against the manifest.

    Raises:
        ArtifactDamaged: a file is missing, changed or foreign.
    """
    from rnnport.artifact.load import open_artifact

    return open_artifact(out)


def load(
    out: str | os.PathLike[str] | Artifact,
    *,
    provider: str = "auto",
    threads: int | None = None,
    spin: bool | None = None,
) -> Runner:
    """Load an artifact for inference; needs neither TensorFlow nor onnx.

    Args:
        out: an artifact or its folder.
        provider: "cpu", "cuda", "openvino", "web" (onnxruntime-web under Node), "reference" (ONNX's
            evaluator in float64), or "auto" (CUDA when it really works, else CPU).
        threads: intra-op threads; the runtime's choice where None.
        spin: whether idle threads of onnxruntime wait for the next run at full speed. None, the
            default, does: fastest on cores of one's own. False leaves the cores to others.

    Raises:
        ArtifactDamaged: a file is missing, changed or foreign.
        ProviderUnavailable: the provider cannot run here; says what is missing. ProviderLacks where
            it does not run an operator of the graph, or runs it wrong.
    """
    from rnnport.runtime.runner import load as load_runner

    return load_runner(out, provider=provider, threads=threads, spin=spin)


def verify(
    out: str | os.PathLike[str] | Artifact,
    *,
    provider: str = "cpu",
    model: Any = None,
    report: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    checkpoint: Any = None,
    source_format: str | None = None,
    states: Mapping[str, str] | None = None,
    seed: int = 0,
    checks: Collection[str] | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Ask of an artifact whether anything changed, on one runtime.

    Golden inputs and outputs (shapes, masks, scale, drift), streaming, state round trip, hand-off,
    isolation of rows, dynamic axes, determinism, structure, and accuracy against float64.

    Args:
        out: an artifact or its folder.
        provider: the runtime to check.
        model: the Keras model or its file; compared on fresh inputs at sizes and with masks that
            export did not use. Needs TensorFlow. Where None, golden.npz alone is compared.
        report: also write the report there, as one self-contained HTML file (.html).
        custom_objects: for a model file.
        input_signature: as in export, for models that do not know their inputs.
        checkpoint: as in export, for TensorFlow 1 code.
        source_format: as in export, for a model file.
        states: as in export, for a graph's file.
        seed: of everything drawn beyond golden.npz; the same seed asks the same.
        checks: questions to ask, of `rnnport.spec.CHECK_KINDS`; all where None.
        progress: called with a question's kind and the fraction done.

    Raises:
        UsageError: an argument that cannot be right.
        ModelError: the model cannot be read.
        ArtifactDamaged: a file is missing, changed or foreign.
        ProviderUnavailable: the provider cannot run here; says what is missing.
        SaveFailed: the report cannot be written.
    """
    _refuse_format(source_format)
    from rnnport.parity.verify import verify as run_verify
    from rnnport.parity.writing import check_report_path, write_report

    if report is not None:
        check_report_path(report, ".html")
    reference = None
    if model is not None:
        from rnnport.capture.reference import open_reference

        reference = open_reference(
            model,
            custom_objects=custom_objects,
            input_signature=input_signature,
            checkpoint=checkpoint,
            source_format=source_format,
            states=states,
        )
    found = run_verify(
        out, provider=provider, reference=reference, seed=seed, kinds=checks, progress=progress
    )
    if report is not None:
        write_report(found, report)
    return found


def tune(
    folder: str | os.PathLike[str],
    *,
    batch: Sequence[int] | None = None,
    time: Sequence[int] | None = None,
    threads: int | None = None,
    seconds: float = 0.3,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> TuneReport:
    """Measure on this machine how an artifact runs fastest on the CPU, and keep that.

    At every size: the whole batch on all threads, one thread, parts of the batch side by side. For
    every recurrent layer that has both: the fused operator and a Scan, in model.onnx and, step by
    step, in stream.onnx (needs the `export` extra). Contenders take turns; one replaces what is
    there only if it is faster by more than 3 %, twice; an operator also only if no size loses as
    much. Outputs stay the same to 1e-6, and the tuned artifact passes its own verification before
    it takes the old one's place.

    Args:
        folder: the artifact.
        batch: batch sizes B it shall be fast at; None for 1, 8 and 32, or the model's own.
        time: lengths T; None for those of 1, 20 and 100 that it takes, or the model's own.
        threads: to use, as `load(threads=)` will say; as many as there are processors where None.
        seconds: for each candidate and size.
        out: a new folder for the tuned artifact; the old one's place where None.
        progress: called with a stage's name and the fraction done.

    Returns:
        What was tried and kept; nothing was written where its `changed` is False.

    Raises:
        UsageError: sizes, threads or seconds that make no sense; sizes the model does not take; the
            current folder.
        ProviderLacks: a float16 artifact, which is not for the CPU.
        ArtifactDamaged: a file is missing, changed or foreign.
        ParityError: the tuned artifact fails its verification; the old one stays.
        SaveFailed, ArtifactExists: the folder cannot be written, holds other files, or was changed
            meanwhile.
    """
    from rnnport.tuning import tune as run_tune

    return run_tune(
        folder,
        batch=batch,
        time=time,
        threads=threads,
        seconds=seconds,
        out=out,
        progress=progress,
    )


def _refuse_half(model: Any, encoder: Any, decoder: Any) -> None:
    """Two models need both, and no third."""
    given = {"model": model, "encoder": encoder, "decoder": decoder}
    names = [name for name, value in given.items() if value is not None]
    if names != ["encoder", "decoder"]:
        raise UsageError.of(
            "model, encoder, decoder",
            " and ".join(names),
            "one model, or encoder and decoder",
            "pass None for the model, and both encoder= and decoder=",
        )


def _refuse_values(target: str, opset: int) -> None:
    if target not in _TARGETS:
        raise UsageError.of("target", repr(target), f"one of {', '.join(_TARGETS)}", "choose one")
    if opset not in _OPSETS:
        raise UsageError.of("opset", opset, "18", "leave it out")


def _target(target: str, precision: str) -> str:
    """The lowering target that a precision needs; "portable" takes what it needs."""
    if precision not in _PRECISIONS:
        expected = f"one of {', '.join(_PRECISIONS)}"
        raise UsageError.of("precision", repr(precision), expected, "choose one")
    able = _PRECISIONS[precision]
    if target not in able:
        raise UsageError.of(
            "precision, target",
            f"{precision}, {target}",
            f"target {able[0]!r}: {precision} gains nothing elsewhere",
            "choose that target, or leave precision out",
        )
    return able[0] if target == "portable" else target


def _refuse_format(source_format: str | None) -> None:
    if source_format is not None and source_format not in _SOURCE_FORMATS:
        formats = f"one of {', '.join(_SOURCE_FORMATS)}"
        raise UsageError.of("source_format", repr(source_format), formats, "choose one")
