"""Runners over tiny models that decode, and plain loops to compare them with, one row at a time."""

from __future__ import annotations

import atexit
import functools
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from rnnport.runtime.runner import Runner, load
from tests.tiny_seq2seq import GRAPHS, Sizes, seq2seq_artifact

WITH_ENCODER = ["attention", "gru", "last_only", "lstm", "one_hot", "unmasked"]
States = dict[str, np.ndarray]


@functools.cache
def _root() -> Path:
    root = tempfile.mkdtemp(prefix="rnnport-seq2seq-")
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return Path(root)


def folder(name: str, sizes: Sizes | None = None) -> Path:
    """An artifact nobody may change."""
    return _folder(name, sizes)


def runner(name: str, sizes: Sizes | None = None) -> Runner:
    return _runner(name, sizes)


@functools.cache
def _folder(name: str, sizes: Sizes | None) -> Path:
    parts = GRAPHS[name]() if sizes is None else GRAPHS[name](sizes)
    place = _root() / f"{name}-{'' if sizes is None else hash(sizes)}"
    return seq2seq_artifact(place, parts, name).path


@functools.cache
def _runner(name: str, sizes: Sizes | None) -> Runner:
    return load(_folder(name, sizes), provider="cpu", threads=1)


@functools.cache
def _session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path: Path, feeds: States) -> States:
    session = _session(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


@dataclass(frozen=True)
class Plain:
    """One source, decoded with session.run alone.

    Attributes:
        states: by the decoder's input names, batch size 1.
        context: the same, never changed.
        scores: (V,), after the start or the prompt.
    """

    name: str
    path: Path
    states: States
    context: States
    scores: np.ndarray

    @classmethod
    def begin(cls, runner: Runner, source: Any, start: int | None = None) -> Plain:
        """Encode a source, or read a prompt, without batch axis."""
        manifest, folder = runner.manifest, runner._artifact.path
        if "encoder" not in manifest.forms:
            path = folder / "stream.onnx"
            form = manifest.forms["stream"]
            states = {s.input: np.zeros((1, *s.shape[1:]), np.float32) for s in form.states}
            one = cls("stream", path, states, {}, np.zeros(0))
            prompt = [*([] if start is None else [start]), *source]
            for token in prompt:
                one = one.step(int(token))
            return one
        form = manifest.forms["encoder"]
        array = np.asarray(source)[None].astype(form.inputs[0].dtype)
        given = run(folder / "encoder.onnx", {form.inputs[0].name: array})
        after = manifest.forms["decoder"]
        one = cls(
            "decoder",
            folder / "decoder.onnx",
            {s.input: given[s.start] for s in after.states},
            {name: given[name] for name in after.fixed},
            np.zeros(0),
        )
        return one if start is None else one.step(start)

    def step(self, fed: Any) -> Plain:
        """What comes after a token, or after numbers (F,)."""
        (port,) = [i for i in _session(self.path).get_inputs() if i.name == "previous"]
        if np.ndim(fed):
            x = np.asarray(fed, np.float32)[None, None]
        elif len(port.shape) == 3:
            x = np.eye(port.shape[2], dtype=np.float32)[[[fed]]]
        else:
            x = np.array([[fed]], np.int64)
        found = run(self.path, {"previous": x, **self.states, **self.context})
        first = _session(self.path).get_outputs()[0].name
        states = {name: found[name.removesuffix("_in") + "_out"] for name in self.states}
        return Plain(self.name, self.path, states, self.context, found[first].reshape(-1))

    @property
    def logs(self) -> np.ndarray:
        """Log probabilities, (V,) float64."""
        scores = self.scores.astype(np.float64)
        if scores.min() >= 0 and abs(scores.sum() - 1) < 1e-3:
            return np.log(scores)
        return scores - scores.max() - math.log(np.exp(scores - scores.max()).sum())


def greedy(begun: Plain, stops: set[int], max_steps: int, min_steps: int = 0) -> list[int]:
    """Tokens, the stop among them."""
    tokens: list[int] = []
    while len(tokens) < max_steps:
        logs = begun.logs
        if len(tokens) < min_steps:
            logs[list(stops)] = -np.inf
        tokens.append(int(np.argmax(logs)))
        if tokens[-1] in stops or len(tokens) == max_steps:
            break
        begun = begun.step(tokens[-1])
    return tokens


@dataclass(frozen=True)
class Live:
    begun: Plain
    tokens: tuple[int, ...]
    total: float


def beam(
    begun: Plain,
    stops: set[int],
    max_steps: int,
    width: int,
    alpha: float = 0.0,
    min_steps: int = 0,
) -> list[tuple[float, tuple[int, ...]]]:
    """The algorithm of rnnport/runtime/beam.py, step by step: what is finished, best first."""
    live = [Live(begun, (), 0.0)]
    finished: list[tuple[float, tuple[int, ...]]] = []
    for t in range(max_steps):
        ranked = [
            (-(one.total + float(log)), token, k)
            for k, one in enumerate(live)
            for token, log in enumerate(one.begun.logs)
            if log > -np.inf and not (t < min_steps and token in stops)
        ]
        ranked.sort()
        goes_on: list[Live] = []
        for rank, (cost, token, k) in enumerate(ranked):
            tokens = (*live[k].tokens, token)
            if token in stops:
                if rank < width:
                    finished.append((_score(-cost, tokens, alpha), tokens))
            elif len(goes_on) < width:
                goes_on.append(Live(live[k].begun, tokens, -cost))
        if t + 1 == max_steps:
            finished += [(_score(one.total, one.tokens, alpha), one.tokens) for one in goes_on]
        elif len(finished) < width and goes_on:
            live = [Live(o.begun.step(o.tokens[-1]), o.tokens, o.total) for o in goes_on]
            continue
        break
    return sorted(finished, key=lambda one: -one[0])


def _score(total: float, tokens: Sequence[int], alpha: float) -> float:
    return total / ((5 + len(tokens)) / 6) ** alpha


def cut(tokens: Sequence[int], stops: set[int]) -> list[int]:
    """Without the stop."""
    return list(tokens[:-1] if tokens and tokens[-1] in stops else tokens)


def lists(ids: Sequence[np.ndarray]) -> list[list[int]]:
    for one in ids:
        assert one.dtype == np.int64
        assert one.ndim == 1
    return [one.tolist() for one in ids]


def source_of(name: str, ids: Sequence[int], sizes: Sizes | None = None) -> Any:
    """Ids as the model takes them."""
    if name != "one_hot":
        return list(ids)
    return np.eye((sizes or Sizes()).words, dtype=np.float32)[list(ids)]


def message(error: Callable[[], Any], kind: type[Exception]) -> str:
    """What an error says."""
    with pytest.raises(kind) as caught:
        error()
    assert type(caught.value) is kind
    return str(caught.value)
