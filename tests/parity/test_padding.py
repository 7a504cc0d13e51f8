from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rnnport.parity.padding import safe_padding
from rnnport.parity.verify import run_form
from rnnport.spec import FileRecord, Form, Port, Sampling
from tests.runtime.seq2seq import runner

Arrays = Mapping[str, np.ndarray]
RECORD = FileRecord(file="a.onnx", size=1, sha256="")
TOKEN = Port(name="token", dtype="int64", shape=["B", "T"], sampling=Sampling(kind="ids", high=9))
SCORES = Port(name="scores", dtype="float32", shape=["B", 2])


@pytest.mark.parametrize(
    ("name", "expected"), [("attention", ["S"]), ("dropping", []), ("unmasked", []), ("gru", [])]
)
def test_real_graphs(name: str, expected: list[str]) -> None:
    artifact = runner(name)._artifact
    forms = [artifact.manifest.forms[half] for half in ("encoder", "decoder")]
    runs = [run_form(artifact.path / form.record.file, form) for form in forms]
    assert safe_padding(*forms, *runs, sizes={"B": 3, "S": 4}) == expected


def source(name: str, letter: str, mask: float | None = -1.0) -> Port:
    return Port(
        name=name, dtype="float32", shape=["B", letter, 2], sampling=Sampling(mask_value=mask)
    )


def found(sources: list[Port], read: Any, look: Any = None, context: bool = False) -> list[str]:
    """Of two halves in NumPy: read makes the hand-off, look makes scores of it and of the token."""
    memory = Port(name="memory", dtype="float32", shape=["B", "S", 2])
    inputs = [TOKEN, memory] if context else [TOKEN]
    encoder = Form(record=RECORD, inputs=sources, outputs=[memory])
    decoder = Form(record=RECORD, inputs=inputs, outputs=[SCORES], fixed=["memory"])

    def encode(given: Arrays) -> Arrays:
        return {"memory": read(*(given[port.name] for port in sources))}

    def decode(given: Arrays) -> Arrays:
        seen = given["memory"] if look is None else look(given["memory"])
        return {"scores": (seen + given["token"]).astype(np.float32)}

    return safe_padding(encoder, decoder, encode, decode, sizes={"B": 2, "S": 3, "S2": 4})


def valid_sum(x: np.ndarray) -> np.ndarray:
    return np.asarray((x * (x != -1).any(-1, keepdims=True)).sum(1))


def plain_sum(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.sum(1))


def test_every_letter_for_itself() -> None:
    two = [source("a", "S"), source("b", "S2")]
    assert found(two, lambda a, b: valid_sum(a) + valid_sum(b)) == ["S", "S2"]
    assert found(two, lambda a, b: valid_sum(a) + plain_sum(b)) == ["S"]
    assert found(two, lambda a, b: plain_sum(a) + plain_sum(b)) == []
    # Each alone changes nothing, both together do.
    assert found(two, lambda a, b: valid_sum(a) + (a[0, -1] == b[0, -1]).all()) == []


def test_letters_that_not_all_inputs_mask() -> None:
    assert found([source("a", "S", None)], valid_sum) == []
    assert found([source("a", "S"), source("b", "S", None)], lambda a, b: valid_sum(a)) == []


def test_what_the_decoder_looks_at() -> None:
    one = [source("a", "S")]
    assert found(one, lambda a: a, valid_sum, context=True) == ["S"]
    assert found(one, lambda a: a, plain_sum, context=True) == []


def test_halves_that_do_not_run() -> None:
    def refusing(_: np.ndarray) -> np.ndarray:
        raise RuntimeError("no kernel")

    assert found([source("a", "S")], refusing) == []


def test_a_small_difference_is_one() -> None:
    """Ten times the stream tolerance a step, and a tenth of it."""
    one = [source("a", "S")]
    assert found(one, lambda a: valid_sum(a) + 1e-5 * a.shape[1]) == []
    assert found(one, lambda a: valid_sum(a) + 1e-8 * a.shape[1]) == ["S"]
