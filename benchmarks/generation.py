"""Tokens a second: rnnport against the usual loops over Keras, and beams against greedy.

Two models of the Keras seq2seq tutorial's size (256 units, 100 characters): LSTM to LSTM, and GRU
to GRU with attention over a masked source. Their weights are random and the stop never comes, so
that every contender takes all steps. All of them run in one process on the same sources, after
their tokens were seen to be equal. Run it with `./scripts/bench_generate [--json FILE]`; how the
time is taken: timing.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text
from timing import CORES, QUIET, cpu_model, race

import rnnport
from rnnport.cli.quiet import load_exporter
from rnnport.versions import library_versions

WORDS, EMBEDDED, UNITS = 100, 100, 256
START, STOP = 1, 2
SOURCE_STEPS, STEPS = 20, 20
MANY, BEAMS = 64, 8
LIBRARIES = ("tensorflow", "keras", "onnxruntime-gpu", "onnxruntime", "numpy")

Array = NDArray[Any]
Run = Callable[[], Any]

PYTHON_LOOP, GRAPH, GRAPH_ALONE = "runner.generate", "generate.onnx", "generate.onnx, one thread"
PREDICT, COMPILED = "predict per step", "tf.function loop"


@dataclass(frozen=True)
class Contest:
    """A model, its two artifacts, and the inference models of the tutorial."""

    name: str
    greedy: Any
    beams: Any
    encoder: Any
    decoder: Any


@dataclass(frozen=True)
class Row:
    """Two contenders; times are medians of a whole batch, in milliseconds."""

    model: str
    what: str
    ratio: float
    aim: str
    met: bool
    ours_ms: float
    theirs_ms: float
    ours_tokens_per_s: int
    others_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, for each race")
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    console = Console(highlight=False)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name, console.status("loading TensorFlow") as status:
        load_exporter()
        for build in (lstm_models, attention_models):
            contest = build(Path(name))
            for batch in (1, MANY):
                status.update(f"{contest.name}: greedy, {batch} sources")
                rows += time_greedy(contest, batch, options.seconds)
            status.update(f"{contest.name}: {BEAMS} beams")
            rows += time_beams(contest, options.seconds)
    about = {"cpu": cpu_model(), "cores": CORES, "python": platform.python_version()}
    versions = library_versions(*LIBRARIES)
    show(console, rows, about, versions)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "machine": about,
            "versions": versions,
            "models": f"{UNITS} units, {WORDS} tokens, {SOURCE_STEPS} steps in, {STEPS} out",
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def lstm_models(folder: Path) -> Contest:
    """The tutorial: two states handed on, softmax."""
    import keras

    layers, ids = keras.layers, keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    embed, head = layers.Embedding(WORDS, EMBEDDED), layers.Dense(WORDS, activation="softmax")
    recur = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    _, *states = layers.LSTM(UNITS, return_state=True)(layers.Embedding(WORDS, EMBEDDED)(ids))
    y, *_ = recur(embed(target), initial_state=states)
    training = keras.Model([ids, target], head(y))
    given = [keras.Input((UNITS,)) for _ in states]
    y, *after = recur(embed(target), initial_state=given)
    encoder = keras.Model(ids, [*states])
    decoder = keras.Model([target, *given], [head(y), *after])
    return contest("LSTM", training, encoder, decoder, folder)


def attention_models(folder: Path) -> Contest:
    """Dot attention over what the encoder gives; 0 is padding, and scores are logits."""
    import keras

    layers, ids = keras.layers, keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    embed, head, attend = layers.Embedding(WORDS, EMBEDDED), layers.Dense(WORDS), layers.Attention()
    recur = layers.GRU(UNITS, return_sequences=True, return_state=True)
    embedded = layers.Embedding(WORDS, EMBEDDED, mask_zero=True)(ids)
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embedded)
    y, _ = recur(embed(target), initial_state=state)
    training = keras.Model([ids, target], head(layers.Concatenate()([y, attend([y, memory])])))
    given = keras.Input((UNITS,)), keras.Input((None, UNITS)), keras.Input((None,), dtype="bool")
    y, after = recur(embed(target), initial_state=given[0])
    read = attend([y, given[1]], mask=[None, given[2]])
    decoder = keras.Model([target, *given], [head(layers.Concatenate()([y, read])), after])
    encoder = keras.Model(ids, [state, memory, layers.Lambda(lambda x: x != 0)(ids)])
    return contest("GRU with attention", training, encoder, decoder, folder)


def contest(name: str, training: Any, encoder: Any, decoder: Any, folder: Path) -> Contest:
    """Random weights, the stop out of reach, and the exports."""
    rng = np.random.default_rng(4)
    for weight in training.trainable_weights:
        wide = len(weight.shape) > 1
        scale = 2.0 / np.sqrt(weight.shape[0]) if wide else 0.1
        weight.assign(rng.standard_normal(weight.shape).astype("float32") * scale)
    bias = training.layers[-1].bias
    bias.assign(np.where(np.arange(WORDS) == STOP, -60, bias.numpy()).astype("float32"))
    runners = []
    for beams in (1, BEAMS):
        wish = rnnport.Generate(start=START, stop=STOP, max_steps=STEPS, beam_width=beams)
        out = folder / f"{name.split()[0]}-{beams}"
        rnnport.export(training, out, generate=wish)
        runners.append(rnnport.load(out, provider="cpu"))
    return Contest(name, runners[0], runners[1], encoder, decoder)


def sources(batch: int) -> Array:
    return np.random.default_rng(5).integers(3, WORDS, (batch, SOURCE_STEPS)).astype("int32")


def time_greedy(one: Contest, batch: int, seconds: float) -> list[Row]:
    """All loops over the same sources."""
    source = sources(batch)
    contenders: dict[str, Run] = {
        PYTHON_LOOP: lambda: generate(one.greedy, source, 1),
        GRAPH: session_run(one.greedy, source, threads=0),
        GRAPH_ALONE: session_run(one.greedy, source, threads=1),
        PREDICT: lambda: predict_loop(one, source),
        COMPILED: compiled_loop(one, source),
    }
    assert_equal(contenders)
    medians, _, share = race(contenders, seconds)
    ours, alone = medians[PYTHON_LOOP], batch == 1
    graph = min(medians[GRAPH], medians[GRAPH_ALONE])

    def row(what: str, theirs: float, aim: float | None, mine: float = ours) -> Row:
        return compared(one, f"{batch} greedy: {what}", theirs, mine, aim, batch, share)

    return [
        row(f"{PYTHON_LOOP} against {PREDICT}", medians[PREDICT], 50.0 if alone else None),
        row(f"{PYTHON_LOOP} against {COMPILED}", medians[COMPILED], None),
        row(f"{GRAPH} against {PYTHON_LOOP}", ours, 1.0 if alone else None, graph),
        row(f"{GRAPH_ALONE} against {GRAPH}", medians[GRAPH], None, medians[GRAPH_ALONE]),
    ]


def time_beams(one: Contest, seconds: float) -> list[Row]:
    """So many beams against none, over the same sources."""
    source = sources(MANY)
    searches: dict[str, Run] = {
        "beams": lambda: generate(one.beams, source, BEAMS),
        "graph": session_run(one.beams, source, threads=0),
    }
    assert_equal(searches)
    searches["greedy"] = lambda: generate(one.greedy, source, 1)
    medians, _, share = race(searches, seconds)
    beams, greedy, graph = medians["beams"], medians["greedy"], medians["graph"]
    slower = Row(
        one.name,
        f"{MANY} sources, {BEAMS} beams take … of greedy's time",
        round(beams / greedy, 2),
        "at most 8×",
        beams <= 8 * greedy,
        round(beams * 1e3, 3),
        round(greedy * 1e3, 3),
        round(MANY * STEPS / beams),
        round(share, 3),
    )
    what = f"{MANY} sources, {BEAMS} beams: {GRAPH} against {PYTHON_LOOP}"
    return [slower, compared(one, what, beams, graph, None, MANY, share)]


def compared(
    one: Contest,
    what: str,
    theirs: float,
    ours: float,
    aim: float | None,
    batch: int,
    share: float,
) -> Row:
    ratio = theirs / ours
    return Row(
        one.name,
        what,
        round(ratio, 2),
        "" if aim is None else f"at least {aim:g}×",
        aim is None or ratio >= aim,
        round(ours * 1e3, 3),
        round(theirs * 1e3, 3),
        round(batch * STEPS / ours),
        round(share, 3),
    )


def generate(runner: Any, source: Array, beams: int) -> Array:
    return np.array(
        runner.generate(source, start=START, stop=STOP, max_steps=STEPS, beam_width=beams)
    )


def session_run(runner: Any, source: Array, *, threads: int) -> Run:
    """generate.onnx as anybody would run it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    path = runner._artifact.forms["generate"]
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["ids"], {"source": source})[0]


def predict_loop(one: Contest, source: Array) -> Array:
    """The tutorial's loop, for a whole batch."""
    states = aslist(one.encoder.predict(source, verbose=0))
    tokens = np.full((len(source), 1), START, "int32")
    steps = []
    for _ in range(STEPS):
        scores, *after = one.decoder.predict([tokens, *states], verbose=0)
        states[: len(after)] = after
        tokens = scores[:, -1].argmax(-1)[:, None].astype("int32")
        steps.append(tokens[:, 0])
    return np.stack(steps, axis=1)


def compiled_loop(one: Contest, source: Array, *, xla: bool = False) -> Run:
    """The same as one TensorFlow graph, encoder and loop, on request compiled by XLA."""
    import tensorflow as tf

    signature = [tf.TensorSpec(source.shape, tf.int32)]

    @tf.function(input_signature=signature, jit_compile=xla or None)
    def loop(given: Any) -> Any:
        states = aslist(one.encoder(given))
        tokens = tf.fill([len(source), 1], START)
        steps = tf.TensorArray(tf.int32, STEPS)
        for t in tf.range(STEPS):
            scores, *after = one.decoder([tokens, *states])
            states = [*after, *states[len(after) :]]
            tokens = tf.argmax(scores[:, -1], -1, tf.int32)[:, None]
            steps = steps.write(t, tokens[:, 0])
        return tf.transpose(steps.stack())

    tensor = tf.constant(source)
    return lambda: loop(tensor).numpy()


def aslist(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def assert_equal(contenders: Mapping[str, Run]) -> None:
    """All give the same tokens, and not one token all along."""
    expected = None
    for name, run in contenders.items():
        tokens = run()
        expected = tokens if expected is None else expected
        if tokens.shape != expected.shape or (tokens != expected).any() or not np.ptp(tokens):
            raise SystemExit(f"{name} gives other tokens")


def show(
    console: Console, rows: list[Row], about: Mapping[str, Any], versions: Mapping[str, str]
) -> None:
    """Ratios first."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(f"{UNITS} units, {WORDS} tokens, {STEPS} steps")
    for column in ("ratio", "aim", "tokens/s", "medians, ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for entry in rows:
        disturbed = entry.others_share > QUIET
        style = "bold yellow" if disturbed else "bold green" if entry.met else "bold red"
        table.add_row(
            f"{entry.model}, {entry.what}",
            Text(f"{entry.ratio:.2f}×", style=style),
            Text(entry.aim + (" disturbed" if disturbed else ""), style="dim"),
            f"{entry.ours_tokens_per_s:,}",
            Text(f"{entry.ours_ms:,.2f} {entry.theirs_ms:,.2f}", style="dim"),
        )
    console.print(table)
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    console.print(Text(f"{about['cpu']}, {about['cores']} cores; {made}", style="dim"))


if __name__ == "__main__":
    main()
