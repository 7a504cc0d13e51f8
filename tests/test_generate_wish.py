"""What rnnport.Generate is given: NumPy's numbers are taken, nonsense is refused at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnport
from rnnport import Generate
from rnnport.errors import UsageError
from rnnport.generate_wish import check_wish

PLAIN: dict[str, Any] = {"start": 1, "stop": 2, "max_steps": 5}
TOKEN = "expected: a whole number from 0 up | remedy: name a token of the vocabulary"
WIDTH = "expected: a whole number from 1 up | remedy: 1 is greedy"
STEPS = "expected: a whole number from 1 up | remedy: pass a positive int"
PENALTY = "expected: a finite number | remedy: leave it out"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"start": 1.5}, f"start 1.5 | {TOKEN}"),
        ({"start": True}, f"start True | {TOKEN}"),
        ({"start": -1}, f"start -1 | {TOKEN}"),
        ({"start": None}, f"start None | {TOKEN}"),
        ({"start": np.array(1)}, f"start array(1) | {TOKEN}"),
        ({"start": 2**63}, f"start {2**63} | {TOKEN}"),
        ({"stop": 2.0}, f"stop 2.0 | {TOKEN}"),
        ({"stop": [2, -1]}, f"stop -1 | {TOKEN}"),
        ({"stop": (np.True_,)}, f"stop np.True_ | {TOKEN}"),
        ({"stop": "2"}, f"stop '2' | {TOKEN}"),
        ({"stop": np.array(2)}, f"stop array(2) | {TOKEN}"),
        ({"stop": []}, "no stop | expected: a token that ends a row | remedy: name one"),
        ({"max_steps": 0}, f"max_steps 0 | {STEPS}"),
        ({"max_steps": 2.5}, f"max_steps 2.5 | {STEPS}"),
        ({"beam_width": 0}, f"beam_width 0 | {WIDTH}"),
        ({"beam_width": True}, f"beam_width True | {WIDTH}"),
        ({"beam_width": "4"}, f"beam_width '4' | {WIDTH}"),
        ({"length_penalty": float("nan")}, f"length_penalty nan | {PENALTY}"),
        ({"length_penalty": True}, f"length_penalty True | {PENALTY}"),
        ({"length_penalty": "a"}, f"length_penalty 'a' | {PENALTY}"),
        ({"output": 3}, "output 3 | expected: the name of an output | remedy: leave it out"),
        ({"length_penalty": 10**400}, f"length_penalty {10**400} | {PENALTY}"),
    ],
)
def test_numbers_that_cannot_be_meant(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_wish(Generate(**{**PLAIN, **more}))
    assert str(caught.value) == f"generate | received: {message}"


def test_everything_wrong_is_said_at_once() -> None:
    wish: Any = Generate(start="a", stop=[1.5, 2, 2.5], max_steps=0, beam_width=None)  # type: ignore[arg-type, list-item]
    with pytest.raises(UsageError) as caught:
        check_wish(wish)
    received = [reason.received for reason in caught.value.reasons]
    assert received == ["start 'a'", "stop 1.5", "stop 2.5", "max_steps 0", "beam_width None"]


def test_something_else_than_a_wish() -> None:
    with pytest.raises(UsageError) as caught:
        check_wish({"start": 1})
    assert str(caught.value) == (
        "generate | received: dict | expected: rnnport.Generate | "
        "remedy: pass rnnport.Generate(start=…, stop=…, max_steps=…)"
    )


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (np.int32(2), 2),
        ((np.int64(7), 2), [7, 2]),
        ({11, np.uint8(2)}, [2, 11]),
        (np.array([2, 3]), [2, 3]),
    ],
)
def test_numbers_of_numpy_become_plain(stop: Any, expected: Any) -> None:
    numbers: Any = {"start": np.int64(1), "max_steps": np.int16(5), "beam_width": np.uint8(4)}
    wish = check_wish(Generate(stop=stop, length_penalty=np.float32(0.5), **numbers))  # type: ignore[arg-type]
    assert wish == Generate(start=1, stop=expected, max_steps=5, beam_width=4, length_penalty=0.5)
    ones = wish.stop if isinstance(wish.stop, list) else [wish.stop]
    assert {type(n) for n in (wish.start, wish.max_steps, wish.beam_width, *ones)} == {int}
    assert type(wish.length_penalty) is float


def test_refused_before_tensorflow_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, rnnport\n"
        "wish = rnnport.Generate(start=1, stop=2, max_steps=2.5)\n"
        "try:\n"
        f"    rnnport.export('none.keras', {str(tmp_path / 'out')!r}, generate=wish)\n"
        "except rnnport.errors.UsageError as error:\n"
        "    print(error, 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"generate | received: max_steps 2.5 | {STEPS} False\n"
    assert not (tmp_path / "out").exists()


def test_the_manifest_holds_the_plain_wish(tmp_path: Path) -> None:
    from tests.test_handoff_forms import tutorial
    from tests.tiny_keras import lively

    numbers: Any = {"start": np.int64(1), "stop": (np.int64(2), 7), "max_steps": np.int64(4)}
    model = lively(tutorial("GRU")(), seed=6)
    artifact = rnnport.export(model, tmp_path / "out", generate=Generate(**numbers))
    assert rnnport.open(artifact.path).manifest.generate == Generate(
        start=1, stop=[2, 7], max_steps=4
    )
