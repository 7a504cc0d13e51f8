"""Which output of a decoder is fed back, on ports alone."""

from __future__ import annotations

import pytest

from rnnport.errors import NotGenerative, UsageError
from rnnport.spec import FileRecord, Form, Port, Sampling
from rnnport.step_ports import scored_output

TOKEN = Port(name="token", dtype="int32", shape=["B", "T"], sampling=Sampling(kind="ids", high=30))
FLOAT_TOKEN = Port(
    name="token", dtype="float32", shape=["B"], sampling=Sampling(kind="ids", high=30)
)
NUMBERS = Port(name="value", dtype="float32", shape=["B", 2], sampling=Sampling())


def port(name: str, *shape: int | str, dtype: str = "float32") -> Port:
    return Port(name=name, dtype=dtype, shape=["B", *shape])


def form(step: Port, *outputs: Port) -> Form:
    record = FileRecord(file="decoder.onnx", size=1, sha256="")
    return Form(record=record, inputs=[step], outputs=list(outputs))


SCORES = port("scores", "T", 30)


@pytest.mark.parametrize(
    ("step", "outputs", "expected"),
    [
        (TOKEN, [port("only", "T", 7)], "only"),
        (TOKEN, [port("alpha", "T", 12), SCORES], "scores"),
        (TOKEN, [SCORES, port("alpha", "T", 12)], "scores"),
        (TOKEN, [port("best", "T", 30, dtype="int64"), SCORES], "scores"),
        (FLOAT_TOKEN, [port("alpha", 12), port("scores", 30)], "scores"),
        # An Embedding of one more id, and an attention over a source of any length.
        (TOKEN, [port("alpha", "T", "S"), port("scores", "T", 29)], "scores"),
        (NUMBERS, [port("alpha", 12), port("y", 2)], "y"),
    ],
)
def test_found_by_its_width(step: Port, outputs: list[Port], expected: str) -> None:
    assert scored_output(form(step, *outputs)).name == expected


def test_the_users_word() -> None:
    both = form(TOKEN, port("alpha", "T", 30), SCORES)
    assert scored_output(both, "scores").name == "scores"
    with pytest.raises(UsageError) as caught:
        scored_output(both, "nobody")
    assert str(caught.value) == (
        "output | received: 'nobody' | expected: one of the decoder's outputs: alpha float32 "
        "(B, T, 30), scores float32 (B, T, 30) | remedy: name one of them, or leave it out"
    )


@pytest.mark.parametrize(
    "outputs",
    [
        [port("alpha", "T", 30), SCORES],
        [port("alpha", "T", 12), port("scores", "T", 29)],
        [port("alpha", "T", "S"), port("best", "T", 30, dtype="int64")],
    ],
)
def test_not_clear(outputs: list[Port]) -> None:
    with pytest.raises(NotGenerative) as caught:
        scored_output(form(TOKEN, *outputs), file="stream.onnx")
    shown = ", ".join(f"{p.name} {p.dtype} (B, T, {p.shape[-1]})" for p in outputs)
    assert str(caught.value) == (
        f"stream.onnx | received: outputs {shown}; which of them is fed back is not clear | "
        "expected: exactly one float output (B, T, 30) or (B, 30), as wide as what 'token' takes | "
        "remedy: pass output= with the name of one of them"
    )
