from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rnnport.artifact.load import Artifact
from rnnport.errors import ArtifactDamaged, InputError, NotGenerative, UsageError
from rnnport.runtime.decode_plan import DecodePlan
from rnnport.runtime.runner import load
from rnnport.spec import Form, Manifest, Port, State, Streamable
from tests.runtime.seq2seq import message, runner

WORDS = [[1, 2, 3], [4]]
KEYWORDS: dict[str, Any] = {"start": 1, "stop": 0, "max_steps": 5}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"start": 7},
            "start | received: 7 | expected: an id from 0 to 6, which the decoder is fed first | "
            "remedy: pass the id that sequences begin with",
        ),
        (
            {"start": None},
            "start | received: None | "
            "expected: an id from 0 to 6, which the decoder is fed first | remedy: pass start=",
        ),
        (
            {"stop": 9},
            "stop | received: 9 | "
            "expected: ids from 0 to 6: the decoder's output has 7 scores | "
            "remedy: pass the id that sequences end with, several in a set, or None",
        ),
        (
            {"stop": {-1, 3}},
            "stop | received: -1 | "
            "expected: ids from 0 to 6: the decoder's output has 7 scores | "
            "remedy: pass the id that sequences end with, several in a set, or None",
        ),
        (
            {"max_steps": 0},
            "max_steps | received: 0 | expected: a whole number from 1 up | "
            "remedy: pass a positive int",
        ),
        (
            {"min_steps": 6},
            "min_steps | received: 6 | expected: a whole number from 0 to max_steps, 5 | "
            "remedy: leave it out",
        ),
        (
            {"beam_width": 8},
            "beam_width | received: 8 | "
            "expected: a whole number from 1 to 7, the size of the vocabulary | "
            "remedy: pass 1 for greedy search, or 4 say",
        ),
        (
            {"beam_width": 0},
            "beam_width | received: 0 | "
            "expected: a whole number from 1 to 7, the size of the vocabulary | "
            "remedy: pass 1 for greedy search, or 4 say",
        ),
        (
            {"beam_width": 2, "temperature": 1.0, "seed": 3},
            "beam_width | received: 2 together with temperature, seed | "
            "expected: beam search or sampling, not both | remedy: leave out one or the other",
        ),
        (
            {"n_best": 2},
            "n_best | received: 2 | expected: a whole number from 1 to beam_width, 1 | "
            "remedy: pass a larger beam_width",
        ),
        (
            {"length_penalty": float("nan")},
            "length_penalty | received: nan | "
            "expected: a finite number: 0 for none, 0.6 say for longer results | "
            "remedy: leave it out",
        ),
        (
            {"temperature": 0},
            "temperature | received: 0 | expected: a number above 0 | remedy: "
            "pass 1.0 to sample as the model says; leave it out for greedy search",
        ),
        (
            {"top_k": 0},
            "top_k | received: 0 | expected: a whole number from 1 up | "
            "remedy: leave it out to sample from the whole vocabulary",
        ),
        (
            {"top_p": 1.5},
            "top_p | received: 1.5 | expected: a number above 0, at most 1 | "
            "remedy: leave it out to sample from the whole vocabulary",
        ),
        (
            {"seed": -1},
            "seed | received: -1 | expected: a whole number from 0 up | remedy: pass 0 say",
        ),
        (
            {"first_source": -2},
            "first_source | received: -2 | expected: a whole number from 0 up | "
            "remedy: pass how many sources came before",
        ),
    ],
)
def test_keywords_that_cannot_be_meant(more: dict[str, Any], text: str) -> None:
    def act() -> Any:
        return runner("attention").generate(WORDS, **{**KEYWORDS, **more})

    assert message(act, UsageError) == text


def test_everything_wrong_is_said_at_once() -> None:
    def act() -> Any:
        return runner("gru").generate_stream(WORDS, start="a", stop=[1.5], max_steps=True, top_p=0)

    lines = message(act, UsageError).splitlines()
    subjects = [line.split(" | ")[0] for line in lines]
    assert subjects == ["start", "stop", "max_steps", "top_p"]


@pytest.mark.parametrize(
    ("name", "source", "text"),
    [
        (
            "gru",
            [],
            "sources 'source' | received: none | expected: at least one | remedy: pass [source]",
        ),
        (
            "gru",
            np.zeros((0, 3), np.int64),
            "sources 'source' | received: none | expected: at least one | remedy: pass [source]",
        ),
        (
            "gru",
            [[1], []],
            "source 1, input 'source' | received: float64 (0,) | expected: int64 (S,) | "
            "remedy: leave it out: axis 0 (S) is empty",
        ),
        (
            "gru",
            [1, 2],
            "source 0, input 'source' | received: int64 () | expected: int64 (S,) | "
            "remedy: add the time axis: x[None]\n"
            "source 1, input 'source' | received: int64 () | expected: int64 (S,) | "
            "remedy: add the time axis: x[None]",
        ),
        (
            "gru",
            [[1.5]],
            "source 0, input 'source' | received: float64 (1,) | expected: int64 (S,) | "
            "remedy: cast it yourself: x.astype('int64')",
        ),
        (
            "attention",
            [[1, 2], [0, 0, 0]],
            "source 1, input 'source' | received: 3 steps of padding | "
            "expected: at least one step that is not 0, which the model masks | "
            "remedy: leave this source out",
        ),
        (
            "attention",
            np.array([[0, 0], [0, 1]]),
            "source 0, input 'source' | received: 2 steps of padding | "
            "expected: at least one step that is not 0, which the model masks | "
            "remedy: leave this source out",
        ),
        (
            "language",
            [[1, 7], [-2]],
            "source 0, input 'previous' | received: id 7 | expected: ids from 0 to 6 | "
            "remedy: look the ids up in the model's own vocabulary\n"
            "source 1, input 'previous' | received: id -2 | expected: ids from 0 to 6 | "
            "remedy: look the ids up in the model's own vocabulary",
        ),
        (
            "speaking",
            {"previous": [[1], [2]], "speaker": np.ones((1, 5))},
            "sources 'speaker' | received: 1 of them | "
            "expected: 2, as there are of 'previous' | remedy: pass as many of each",
        ),
    ],
)
def test_bad_sources(name: str, source: Any, text: str) -> None:
    assert message(lambda: runner(name).generate(source, **KEYWORDS), InputError) == text


def test_an_id_beyond_the_source_vocabulary() -> None:
    text = message(lambda: runner("gru").generate([[99]], **KEYWORDS), InputError)
    assert text.startswith("run of encoder.onnx | received: onnxruntime: ")


def test_unequal_sources_cannot_stream_together_without_a_mask() -> None:
    def act() -> Any:
        return runner("unmasked").generate_stream(WORDS, **KEYWORDS)

    assert message(act, InputError) == (
        "sources | received: 2 different lengths | "
        "expected: one length: padding would change what the decoder reads of a source | "
        "remedy: stream one source at a time, or use runner.generate"
    )


def test_a_model_with_nothing_to_feed_back(lstm_folder: Path) -> None:
    one = load(lstm_folder, provider="cpu")
    expected = (
        "model 'tiny' | received: no encoder and decoder: no state hand-off between the two was "
        "found; no stream form: it reads backwards (layer 'lstm') | "
        "expected: a decoder, or a stream form, that can be fed its own output | "
        "remedy: use runner.run, or export encoder and decoder as two models"
    )
    for act in (
        lambda: one.generate(WORDS, **KEYWORDS),
        lambda: one.generate_stream(WORDS, **KEYWORDS),
        lambda: one.forecast(WORDS, start=1, steps=2),
    ):
        assert message(act, NotGenerative) == expected
    verdict = Streamable(ok=False, reason="its sequence is made by the encoder", layer="gru")
    told = msgspec.structs.replace(one.manifest, handoff=verdict)
    text = message(lambda: DecodePlan.of(told), NotGenerative)
    assert "no encoder and decoder: its sequence is made by the encoder (layer 'gru'); no" in text


def test_numbers_are_no_tokens() -> None:
    from rnnport.runtime.runner import Runner

    def act(one: Runner) -> Any:
        return one.generate([np.ones((3, 2))], **KEYWORDS)

    # Two numbers in and out could be one-hot: that is the caller's to know.
    plan = DecodePlan.of(runner("forecaster").manifest)
    assert (plan.width, plan.vocabulary) == (2, 2)
    wide = _changed(runner("forecaster").manifest, inputs=[_port("previous", "B", "T", 3)])
    text = message(lambda: act(_runner(wide)), NotGenerative)
    assert text == (
        "decoder.onnx, previous | received: 3 numbers a step, and 2 come out | "
        "expected: ids, or as many numbers as tokens, one-hot | remedy: use runner.forecast"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"inputs": [_ := Port(name="a", dtype="int64", shape=["B", "T"]), _]},
            "decoder.onnx | received: inputs given anew for every step: a, a | "
            "expected: exactly one: the last output | remedy: use runner.run",
        ),
        (
            {"inputs": [Port(name="a", dtype="int64", shape=["B", "T", 2, 3])]},
            "decoder.onnx, a | received: int64 ['B', 'T', 2, 3] | "
            "expected: (B, T) ids or (B, T, F) floats | remedy: use runner.run",
        ),
        (
            {"outputs": [Port(name="y", dtype="float32", shape=["B", "T", "V"])]},
            "decoder.onnx, y | received: float32 ['B', 'T', 'V'] | "
            "expected: (B, T, V) or (B, V) | remedy: use runner.run",
        ),
        (
            {
                "states": [
                    State(
                        input="h_in",
                        output="h_out",
                        dtype="float32",
                        shape=[4, 5],
                        start="gru_h_start",
                    )
                ]
            },
            "decoder.onnx | received: batch size 4 and no other | expected: any batch size | "
            "remedy: export a model whose batch size is None",
        ),
        (
            {
                "states": [
                    State(
                        input="h_in",
                        output="h_out",
                        dtype="float32",
                        shape=["B", 9],
                        start="nowhere",
                    )
                ]
            },
            "encoder.onnx, nowhere | received: outputs ['gru_h_start'] | "
            "expected: decoder.onnx takes 'nowhere' as float32 ['B', 9] | "
            "remedy: export encoder and decoder again, together",
        ),
    ],
)
def test_halves_that_do_not_fit(change: dict[str, Any], text: str) -> None:
    changed = _changed(runner("gru").manifest, **change)
    assert message(lambda: DecodePlan.of(changed), NotGenerative) == text


def test_a_graph_that_is_not_its_manifest() -> None:
    other = _changed(runner("gru").manifest, outputs=[_port("other", "B", "T", 7)])
    text = message(lambda: _runner(other).generate(WORDS, **KEYWORDS), ArtifactDamaged)
    assert "decoder.onnx, outputs" in text


def _port(name: str, *shape: int | str) -> Port:
    return Port(name=name, dtype="float32", shape=list(shape))


def _changed(manifest: Manifest, **change: Any) -> Manifest:
    form: Form = msgspec.structs.replace(manifest.forms["decoder"], **change)
    return msgspec.structs.replace(manifest, forms={**manifest.forms, "decoder": form})


def _runner(manifest: Manifest) -> Any:
    name = "forecaster" if manifest.name == "forecaster" else "gru"
    path = runner(name)._artifact.path
    return load(Artifact.of(path, manifest), provider="cpu")
