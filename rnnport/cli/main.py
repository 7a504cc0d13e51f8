"""The `rnnport` command itself: its name, its help, its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnport.cli.bench import bench
from rnnport.cli.export import export
from rnnport.cli.generate import generate
from rnnport.cli.inspect import inspect
from rnnport.cli.outcome import EXIT_CODES
from rnnport.cli.run import run
from rnnport.cli.stream import stream
from rnnport.cli.tune import tune
from rnnport.cli.verify import verify

__all__ = ["app", "main"]

app = typer.Typer(
    name="rnnport",
    help="Trained Keras recurrent networks to ONNX: proven equal to TensorFlow, on fused kernels.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (export, inspect, verify, run, stream, generate, bench, tune):
    app.command(epilog=EXIT_CODES)(_command)


def main() -> None:
    """Entry point of the console script."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from rnnport.versions import VERSION

        typer.echo(f"rnnport {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    main()
