"""`rnnport export MODEL -o DIR`, and of two models with --encoder and --decoder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnport.cli.options import Json
from rnnport.cli.outcome import outcome, print_json
from rnnport.cli.progress import progress

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact
    from rnnport.spec import Generate

__all__ = ["export"]


def export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write.")],
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A .keras or .h5 file, a .pb or a SavedModel."),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --decoder, in place of MODEL: two models."),
    ] = None,
    decoder: Annotated[Path | None, typer.Option(metavar="FILE", help="See --encoder.")] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IN=OUT",
            help="A state of --decoder, else found, or of a graph: what takes it and what renews "
            "it; repeatable.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The artifact's name; else the model's.")] = None,
    source_format: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="keras (3), tf_keras (Keras 2), saved_model; else found.",
        ),
    ] = None,
    target: Annotated[
        str, typer.Option(help="portable runs alike everywhere; cpu, cuda, openvino are tuned.")
    ] = "portable",
    precision: Annotated[
        str, typer.Option(help="float32; int8 for CPUs and float16 for CUDA, held to a budget.")
    ] = "float32",
    opset: Annotated[int, typer.Option(help="ONNX opset.")] = 18,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an artifact that is there.")
    ] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Write the artifact even if it fails parity.")
    ] = False,
    decoder_input: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An input of the decoder alone; repeatable. Else found."),
    ] = None,
    start: Annotated[
        int | None, typer.Option(help="With --stop and --max-steps: write generate.onnx too.")
    ] = None,
    stop: Annotated[
        list[int] | None, typer.Option(help="A token that ends a row; repeatable.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="The most tokens of a row, the stop among them.")
    ] = None,
    beam_width: Annotated[
        int, typer.Option(help="Hypotheses that generate.onnx keeps; 1 is greedy search.")
    ] = 1,
    length_penalty: Annotated[
        float, typer.Option(help="Divides scores of beams by ((5 + length) / 6) to this power.")
    ] = 0.0,
    scores: Annotated[
        str, typer.Option(metavar="NAME", help="The decoder's output that scores tokens.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Export a recurrent Keras model to ONNX, with proof that nothing changed."""
    with outcome(as_json):
        import rnnport
        from rnnport.artifact.save import check_target
        from rnnport.cli.quiet import load_exporter
        from rnnport.model_file import check_model_file

        # Before the seconds that TensorFlow takes to load; export itself looks again.
        check_target(out, overwrite=overwrite)
        models = _models(model, encoder, decoder, state)
        for path in models.values():
            if isinstance(path, Path):
                check_model_file(path)
        wish = _wish(start, stop, max_steps, beam_width, length_penalty, scores)
        started = time.perf_counter()
        with progress(shown=not as_json) as report:
            report("loading TensorFlow", 0.0)
            load_exporter()
            artifact = rnnport.export(
                out=out,
                **models,
                name=name,
                source_format=source_format,
                target=target,
                opset=opset,
                precision=precision,
                overwrite=overwrite,
                verify=not no_verify,
                decoder_inputs=decoder_input or None,
                generate=wish,
                progress=report,
            )
        _summarise(artifact, time.perf_counter() - started, as_json)


def _models(
    model: Path | None, encoder: Path | None, decoder: Path | None, state: list[str] | None
) -> dict[str, Any]:
    """What is exported, as keywords: one model, or an encoder and a decoder."""
    from rnnport.errors import UsageError
    from rnnport.model_file import is_graph

    two = encoder is not None or decoder is not None
    named = two or (model is not None and is_graph(model))
    if (model is None) != two or (encoder is None) != (decoder is None) or (state and not named):
        given = {"MODEL": model, "--encoder": encoder, "--decoder": decoder, "--state": state}
        received = ", ".join(name for name, value in given.items() if value) or "nothing"
        expected = "MODEL, or --encoder and --decoder; --state with these, or with a graph"
        raise UsageError.of("models", received, expected, "pass one or the other")
    pairs = dict(_split(one) for one in state) if state else None
    if not two:
        return {"model": model, **({"states": pairs} if pairs else {})}
    return {"model": None, "encoder": encoder, "decoder": decoder, "states": pairs}


def _split(state: str) -> tuple[str, str]:
    from rnnport.errors import UsageError

    name, sign, following = state.partition("=")
    if not sign:
        expected, remedy = "IN=OUT", "name what takes the state and what renews it"
        raise UsageError.of("--state", state, expected, remedy)
    return name, following


def _wish(
    start: int | None,
    stop: list[int] | None,
    max_steps: int | None,
    beam_width: int,
    length_penalty: float,
    scores: str,
) -> Generate | None:
    """What generate.onnx shall do, if it was asked for: the first three options or none."""
    from rnnport.errors import UsageError
    from rnnport.spec import Generate

    more = beam_width != 1 or length_penalty != 0 or scores
    if start is None and not stop and max_steps is None and not more:
        return None
    if start is None or not stop or max_steps is None:
        given = {"--start": start, "--stop": stop or None, "--max-steps": max_steps}
        missing = ", ".join(name for name, value in given.items() if value is None)
        expected = "--start, --stop and --max-steps together"
        raise UsageError.of("generate", f"no {missing}", expected, "add what is missing")
    return Generate(
        start=start,
        stop=stop,
        max_steps=max_steps,
        beam_width=beam_width,
        length_penalty=length_penalty,
        output=scores,
    )


def _summarise(artifact: Artifact, seconds: float, as_json: bool) -> None:
    import msgspec

    from rnnport.cli.show import stdout
    from rnnport.cli.summary import export_summary

    if as_json:
        manifest = msgspec.to_builtins(artifact.manifest)
        print_json({"path": str(artifact.path), "seconds": round(seconds, 3), **manifest})
    else:
        stdout().print(export_summary(artifact, seconds))
