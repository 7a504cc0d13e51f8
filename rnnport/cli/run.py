"""`rnnport run DIR -i in.npz -o out.npz`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnport.cli.options import Folder, Json, ProviderName
from rnnport.cli.outcome import outcome, print_json
from rnnport.errors import SaveFailed, UsageError

if TYPE_CHECKING:
    from rnnport.runtime.runner import Runner

__all__ = ["run"]


def run(
    folder: Folder,
    inputs: Annotated[
        Path,
        typer.Option(
            "--inputs",
            "-i",
            metavar="FILE",
            help=".npz with an array for each input name; for a single input any .npz or .npy.",
        ),
    ],
    outputs: Annotated[
        Path,
        typer.Option(
            "--outputs", "-o", metavar="FILE", help=".npz to write, an array for each output name."
        ),
    ],
    provider: ProviderName = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Threads inside one operator; else as many as it likes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an artifact on arrays from a file. No TensorFlow needed."""
    with outcome(as_json):
        import rnnport

        runner = rnnport.load(folder, provider=provider, threads=threads)
        arrays = _read(inputs, runner.input_names)
        started = time.perf_counter()
        results = runner.run_named(arrays)
        seconds = time.perf_counter() - started
        _write(outputs, results)
        _show(runner, results, outputs, seconds, as_json)


def _read(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Arrays by input name."""
    import numpy as np

    from rnnport.npz import decode_npz

    try:
        if path.suffix == ".npy":
            return _for_single_input({"": np.load(path, allow_pickle=False)}, names, path)
        arrays = decode_npz(path)
    except OSError as error:
        remedy = "check the path and its permissions"
        expected = "a .npz or .npy file"
        raise UsageError.of(f"inputs {path}", error.strerror, expected, remedy) from error
    except (ValueError, EOFError) as error:
        remedy = "write it with numpy.savez, arrays of numbers only"
        raise UsageError.of(f"inputs {path}", error, "a .npz or .npy file", remedy) from error
    return arrays if set(arrays) & set(names) else _for_single_input(arrays, names, path)


def _for_single_input(arrays: dict[str, Any], names: tuple[str, ...], path: Path) -> dict[str, Any]:
    """A single array needs no name where there is a single input."""
    if len(arrays) == len(names) == 1:
        return {names[0]: next(iter(arrays.values()))}
    received = f"{len(arrays)} arrays: {', '.join(arrays)}" if len(arrays) != 1 else "one array"
    remedy = "write a .npz whose arrays have these names"
    raise UsageError.of(f"inputs {path}", received, f"arrays named {', '.join(names)}", remedy)


def _write(path: Path, results: Mapping[str, Any]) -> None:
    from rnnport.npz import encode_npz, replace_file

    try:
        replace_file(path, encode_npz(results))
    except OSError as error:
        expected = "a place where the file can be written"
        raise SaveFailed.of(
            f"outputs {path}", error.strerror, expected, "choose another path, or free some space"
        ) from error


def _show(
    runner: Runner, results: Mapping[str, Any], path: Path, seconds: float, as_json: bool
) -> None:
    shapes = {
        name: {"dtype": array.dtype.name, "shape": list(array.shape)}
        for name, array in results.items()
    }
    if as_json:
        head = {"provider": runner.provider, "seconds": round(seconds, 6), "path": str(path)}
        print_json({**head, "outputs": shapes})
        return
    from rich.text import Text

    from rnnport.cli.show import facts, stdout

    head_line = Text.assemble(("✓ ", "bold green"), (runner.manifest.name, "bold"))
    head_line.append(f" on {runner.provider} in {seconds * 1000:.1f} ms → {path}")
    console = stdout()
    console.print(head_line)
    console.print(
        facts(
            {
                f"  {name}": f"{array.dtype.name}  {' × '.join(map(str, array.shape)) or 'scalar'}"
                for name, array in results.items()
            }
        )
    )
