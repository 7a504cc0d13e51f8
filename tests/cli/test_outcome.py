from __future__ import annotations

import json

import pytest

from rnnport.cli.outcome import outcome
from rnnport.errors import InputError, ParityError, Reason

REASONS = (
    Reason("input 'x'", "float32 (2,)", "float32 (B, T, [3])", "add an axis"),
    Reason("input 'z'", "nothing", "int64 (B,)", "pass it"),
)


def test_a_refusal_is_a_panel_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, outcome(as_json=False):
        raise InputError(*REASONS)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line.strip("│╭╮╰╯─ \n") for line in err.splitlines()]
    assert lines == [
        "InputError",
        "input 'x'",
        "received  float32 (2,)",
        "expected  float32 (B, T, [3])",
        "remedy    add an axis",
        "",
        "input 'z'",
        "received  nothing",
        "expected  int64 (B,)",
        "remedy    pass it",
        "",
    ]


def test_with_json_it_is_an_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, outcome(as_json=True):
        raise ParityError(*REASONS)
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert found["kind"] == "ParityError"
    assert found["error"][0] == {
        "subject": "input 'x'",
        "received": "float32 (2,)",
        "expected": "float32 (B, T, [3])",
        "remedy": "add an axis",
    }


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, outcome(as_json=False):
        raise KeyboardInterrupt
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", "")


def test_what_is_no_refusal_comes_through() -> None:
    with pytest.raises(ZeroDivisionError), outcome(as_json=False):
        raise ZeroDivisionError
