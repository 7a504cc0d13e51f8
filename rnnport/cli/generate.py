"""`rnnport generate DIR`: source lines in, generated lines out."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from rnnport.cli.options import Folder, ProviderName
from rnnport.cli.outcome import outcome
from rnnport.errors import UsageError

if TYPE_CHECKING:
    from rnnport.cli.generate_lines import Reader, Writer
    from rnnport.cli.vocabulary import Vocabulary
    from rnnport.runtime.runner import Runner

__all__ = ["generate"]


def generate(
    folder: Folder,
    stop: Annotated[
        list[str],
        typer.Option(metavar="ID", help="Ends a sequence: an id, or a token of --target-vocab."),
    ],
    max_steps: Annotated[int, typer.Option(help="The most tokens, stop included.")],
    start: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Fed first. Only a model without encoder needs none."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", "-i", metavar="FILE", help="Read lines there, not from stdin."),
    ] = None,
    source_vocab: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read text: one token a line, id = line from 0; or JSON."
        ),
    ] = None,
    target_vocab: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write text; a file of the same kind.")
    ] = None,
    chars: Annotated[
        bool, typer.Option("--chars/--words", help="What a token of the source is.")
    ] = False,
    join: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Between target tokens; nothing for characters, else a space."
        ),
    ] = None,
    unknown: Annotated[
        str | None,
        typer.Option(metavar="ID", help="For source tokens that --source-vocab lacks."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--source-end", metavar="ID", help="Put after every source."),
    ] = None,
    beam_width: Annotated[int, typer.Option(help="Hypotheses kept; 1 is greedy search.")] = 1,
    length_penalty: Annotated[
        float, typer.Option(help="Divides scores by ((5 + length) / 6) to this power.")
    ] = 0.0,
    temperature: Annotated[float | None, typer.Option(help="Sample; below 1 less boldly.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample from so many tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Sample from so much probability.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Sample, always the same, whatever the batch.")
    ] = None,
    scores: Annotated[
        str, typer.Option(metavar="NAME", help="The decoder's output that scores tokens.")
    ] = "",
    batch: Annotated[int, typer.Option(min=1, help="Decode so many lines at once.")] = 64,
    provider: ProviderName = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Threads inside one operator; else as many as it likes.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line: ids, text, score.")
    ] = False,
) -> None:
    """Generate a sequence from every line: ids, or text with vocabulary files. No TensorFlow.

    Without vocabulary files a line is ids separated by spaces. With --source-vocab it is text, of
    words or of characters; with --target-vocab what comes out is text. A model without encoder
    takes a line as its prompt and goes on with it; one file serves for both then.

    rnnport generate g2p --source-vocab letters.txt --target-vocab phonemes.txt --chars
    --source-end "</s>" --start "<s>" --stop "</s>" --max-steps 20
    """
    with outcome(as_json):
        import rnnport

        keywords = {
            "max_steps": max_steps,
            "beam_width": beam_width,
            "length_penalty": length_penalty,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "output": scores,
        }
        runner = rnnport.load(folder, provider=provider, threads=threads)
        files = _vocabularies(runner, source_vocab, target_vocab)
        reader = _reader(runner, files, chars, unknown, end, scores)
        writer = _writer(files, join, as_json)
        keywords |= _ids(files.target, start, stop)
        with _open(source) as lines:
            size = 1 if lines.isatty() else batch
            tally = _answer(runner, lines, reader, writer, keywords, size, seed)
        _summarise(runner, tally, as_json)


@dataclass(frozen=True)
class _Files:
    source: Vocabulary | None
    target: Vocabulary | None


@dataclass
class _Tally:
    sources: int = 0
    tokens: int = 0
    seconds: float = 0.0


def _vocabularies(runner: Runner, source: Path | None, target: Path | None) -> _Files:
    from rnnport.cli.vocabulary import load_vocabulary

    if "decoder" not in runner.manifest.forms:
        source, target = source or target, target or source
    found = [
        None if path is None else load_vocabulary(path, option)
        for path, option in ((source, "--source-vocab"), (target, "--target-vocab"))
    ]
    return _Files(*found)


def _reader(
    runner: Runner,
    files: _Files,
    chars: bool,
    unknown: str | None,
    end: str | None,
    scores: str,
) -> Reader:
    from rnnport.cli.generate_lines import Reader, token_id
    from rnnport.runtime.decode_plan import DecodePlan

    plan = DecodePlan.of(runner.manifest, scores)
    if len(plan.sources) > 1:
        names = ", ".join(port.name for port in plan.sources)
        received, expected = f"{len(plan.sources)} inputs: {names}", "one input for the source"
        raise UsageError.of("source", received, expected, "use runner.generate in Python")
    # A prompt is ids whatever the decoder takes.
    port = _prompt(plan.step.name) if plan.encoder is None else plan.sources[0]
    return Reader(
        port,
        files.source,
        chars,
        None if unknown is None else token_id(unknown, files.source, "--unknown"),
        None if end is None else token_id(end, files.source, "--source-end"),
    )


def _prompt(name: str) -> Any:
    from rnnport.spec import Port

    return Port(name=name, dtype="int64", shape=["B", "S"])


def _writer(files: _Files, join: str | None, as_json: bool) -> Writer:
    from rnnport.cli.generate_lines import Writer

    return Writer(files.target, join, as_json)


def _ids(target: Vocabulary | None, start: str | None, stop: list[str]) -> dict[str, Any]:
    from rnnport.cli.generate_lines import token_id

    return {
        "start": None if start is None else token_id(start, target, "--start"),
        "stop": {token_id(one, target, "--stop") for one in stop},
    }


@contextlib.contextmanager
def _open(source: Path | None) -> Iterator[TextIO]:
    """Where lines come from."""
    if source is None:
        yield (
            io.TextIOWrapper(sys.stdin.buffer, "utf-8")
            if hasattr(sys.stdin, "buffer")
            else sys.stdin
        )
        return
    try:
        file = source.open(encoding="utf-8")
    except OSError as error:
        expected, remedy = "a file of source lines", "check the path and its permissions"
        raise UsageError.of(f"--input {source}", error.strerror, expected, remedy) from error
    with file:
        yield file


def _answer(
    runner: Runner,
    lines: TextIO,
    reader: Reader,
    writer: Writer,
    keywords: dict[str, Any],
    size: int,
    seed: int | None,
) -> _Tally:
    """Read, generate and write, batch after batch."""
    from rnnport.cli.generate_lines import in_batches

    tally = _Tally()
    for texts in in_batches(lines, size):
        first = tally.sources
        sources = [reader.source(text, first + i) for i, text in enumerate(texts, 1)]
        began = time.perf_counter()
        ids, scores = runner.generate(
            sources, seed=seed, first_source=first, return_scores=True, **keywords
        )
        tally.seconds += time.perf_counter() - began
        for one, score in zip(ids, scores, strict=True):
            sys.stdout.write(writer.line(one.tolist(), float(score)) + "\n")
        sys.stdout.flush()
        tally.sources += len(texts)
        tally.tokens += sum(map(len, ids))
    return tally


def _summarise(runner: Runner, tally: _Tally, as_json: bool) -> None:
    """One line on stderr, since stdout belongs to the results."""
    speed = tally.tokens / tally.seconds if tally.seconds else 0.0
    if as_json:
        facts = {"provider": runner.provider, "sources": tally.sources, "tokens": tally.tokens}
        facts |= {"seconds": round(tally.seconds, 6)}
        sys.stderr.write(json.dumps(facts) + "\n")
        return
    from rich.text import Text

    from rnnport.cli.show import stderr

    line = Text.assemble(("✓ ", "bold green"), (runner.manifest.name, "bold"))
    line.append(f" on {runner.provider}: {tally.sources} lines, {tally.tokens} tokens")
    line.append(f" in {tally.seconds:.2f} s, {speed:,.0f} tokens/s")
    stderr().print(line, soft_wrap=True)
