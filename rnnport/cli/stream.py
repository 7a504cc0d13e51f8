"""`rnnport stream DIR`: JSON lines in, JSON lines out."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from rnnport.cli.options import Folder, ProviderName
from rnnport.cli.outcome import INTERRUPTED, OK, REFUSED, finish, outcome
from rnnport.errors import UsageError

if TYPE_CHECKING:
    from rnnport.cli.stream_desk import Desk
    from rnnport.cli.stream_lines import Source
    from rnnport.cli.stream_loop import Tally
    from rnnport.runtime.runner import Runner

__all__ = ["stream"]


def stream(
    folder: Folder,
    source: Annotated[
        Path | None,
        typer.Option("--input", "-i", metavar="FILE", help="Read lines there, not from stdin."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save-state",
            metavar="FILE",
            help="Write all open streams there at the end, on Ctrl-C and on SIGTERM.",
        ),
    ] = None,
    load: Annotated[
        Path | None,
        typer.Option("--load-state", metavar="FILE", help="Go on with the streams saved there."),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1, help="Step so many waiting lines at once: faster, equal but for rounding."
        ),
    ] = 1,
    provider: ProviderName = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Threads inside one operator; else as many as it likes.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary on stderr, and a refusal, as JSON too.")
    ] = False,
) -> None:
    """Step live streams: JSON lines in, JSON lines out, at once. No TensorFlow needed.

    {"id": "a", "x": [0.1, 0.2]} is a step of stream a. Its answer is
    {"id": "a", "y": [...]}. An id's first line opens its stream.

    Lists one level deeper are a chunk of steps. Several inputs go into
    "inputs": {"name": ...}, those that stay the same into "fixed" on an
    id's first line. "reset": true starts anew before the step, "end": true
    closes the stream after it.

    Every line is answered by one line, in order. One that cannot be done
    changes nothing and is answered by {"line": 17, "error": "..."}. The rest
    goes on, and the exit code will be 2.
    """
    with outcome(as_json):
        import rnnport
        from rnnport.cli.stream_desk import Desk
        from rnnport.cli.stream_loop import answer_all, listening
        from rnnport.cli.stream_state import check_place, load_state, save_state

        if save is not None:
            check_place(save)
        runner = rnnport.load(folder, provider=provider, threads=threads)
        desk = Desk(runner)
        if load is not None:
            load_state(load, desk)
        with _open(source) as lines, listening() as stop:
            if source is None:
                _greet(desk)
            tally = answer_all(desk, lines, sys.stdout.buffer, batch, stop)
            if save is not None:
                save_state(save, desk)
        _summarise(runner, desk, tally, save, as_json)
        finish(INTERRUPTED if tally.stopped else REFUSED if tally.refused else OK)


@contextlib.contextmanager
def _open(source: Path | None) -> Iterator[Source]:
    """Where lines come from."""
    if source is None:
        yield cast("Source", sys.stdin.buffer)
        return
    try:
        file = source.open("rb")
    except OSError as error:
        expected, remedy = "a file of JSON lines", "check the path and its permissions"
        raise UsageError.of(f"--input {source}", error.strerror, expected, remedy) from error
    with file:
        yield file


def _greet(desk: Desk) -> None:
    """Tell somebody at a keyboard what to type."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"type lines like {desk.takes}, Ctrl-D to end\n")


def _summarise(runner: Runner, desk: Desk, tally: Tally, saved: Path | None, as_json: bool) -> None:
    """One line on stderr, since stdout belongs to the answers."""
    if as_json:
        facts = {"provider": runner.provider, **asdict(tally), "open": len(desk)}
        facts["saved"] = None if saved is None else str(saved)
        sys.stderr.write(json.dumps(facts, ensure_ascii=False) + "\n")
        return
    from rich.text import Text

    from rnnport.cli.show import stderr

    good = not (tally.stopped or tally.refused)
    line = Text.assemble(("✓ ", "bold green") if good else ("! ", "bold yellow"))
    line.append(runner.manifest.name, "bold")
    line.append(f" on {runner.provider}: {_count(tally.answered, 'line')} answered")
    if tally.refused:
        line.append(f", {tally.refused} refused", "yellow")
    if tally.stopped:
        line.append(f", stopped after line {tally.line}", "yellow")
    line.append(f"; {_count(len(desk), 'stream')} open")
    line.append("" if saved is None else f", saved to {saved}")
    stderr().print(line, soft_wrap=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
