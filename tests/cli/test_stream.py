from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnport.cli.main import app
from rnnport.cli.stream_lines import Line, arrived, result
from rnnport.runtime.runner import load
from tests.tiny_streams import GRAPHS, stream_artifact

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGTERM to hear")
RNG = np.random.default_rng(0)
XS = RNG.standard_normal((2, 7, 3)).astype(np.float32).round(3)  # two streams, seven steps

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("streams")

    def made(name: str) -> Path:
        if not (root / name).exists():
            stream_artifact(root / name, GRAPHS[name](), name)
        return root / name

    return made


def stream(path: Path, lines: list[Any], *more: str) -> tuple[int, list[Any], str]:
    """Exit code, answers, and what was said on stderr."""
    text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
    words = ["stream", str(path), "--provider", "cpu", "--threads", "1", *more]
    done = CliRunner().invoke(app, words, input=text)
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def answers(path: Path, lines: list[Any], *more: str) -> list[Any]:
    code, found, said = stream(path, lines, *more)
    assert code == 0, said
    return found


def whole(path: Path, *inputs: Any) -> Any:
    return load(path, provider="cpu", threads=1).run(*inputs)


def command(path: Path, *more: str) -> list[str]:
    words = ["stream", str(path), "--provider", "cpu", "--threads", "1", *more]
    return [sys.executable, "-m", "rnnport.cli.main", *words]


def live(path: Path, *more: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command(path, *more), stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1
    )


def ask(process: subprocess.Popen[str], line: Any) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(line) + "\n")
    return json.loads(process.stdout.readline())


def test_many_ids_interleaved_equal_the_whole_run(folder: Folder) -> None:
    lines = [{"id": n, "x": XS[n, t].tolist()} for t in range(7) for n in (0, 1)]
    found = answers(folder("lstm"), lines)
    assert [answer["id"] for answer in found] == [0, 1] * 7
    ys = np.array([answer["y"] for answer in found], np.float32).reshape(7, 2, -1).swapaxes(0, 1)
    np.testing.assert_allclose(ys, whole(folder("lstm"), XS), rtol=0, atol=1e-6)


def test_a_chunk_is_one_level_deeper(folder: Folder) -> None:
    lines = [{"id": "a", "x": XS[0, :4].tolist()}, {"id": "a", "x": XS[0, 4].tolist()}]
    first, second = answers(folder("lstm"), lines)
    expected = whole(folder("lstm"), XS[:1])[0]
    np.testing.assert_allclose(first["y"], expected[:4], rtol=0, atol=1e-6)
    np.testing.assert_allclose(second["y"], expected[4], rtol=0, atol=1e-6)


def test_a_model_of_the_last_output_gives_one_for_a_chunk(folder: Folder) -> None:
    (found,) = answers(folder("last_only"), [{"id": "a", "x": XS[0].tolist()}])
    np.testing.assert_allclose(found["y"], whole(folder("last_only"), XS[:1])[0], atol=1e-6)


def test_a_step_may_be_a_single_number(folder: Folder) -> None:
    step, chunk = answers(folder("embedded"), [{"id": "a", "x": 3}, {"id": "b", "x": [3, 5]}])
    assert np.shape(step["y"]) == (4,)
    np.testing.assert_allclose(chunk["y"][0], step["y"], rtol=0, atol=1e-6)


def test_a_timeless_model(folder: Folder) -> None:
    lines = [{"id": "a", "x": XS[0, :2].tolist()}, {"id": "b", "x": XS[0, 0].tolist()}]
    chunk, step = answers(folder("one_step"), lines)
    np.testing.assert_allclose(chunk["y"][0], step["y"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("names", [("left", "tokens"), ("video", "words")])
def test_several_inputs_and_outputs_go_by_name(folder: Folder, names: tuple[str, str]) -> None:
    left, tokens = XS[:1, :, :2], np.arange(7)[None]
    lines = [
        {"id": "a", "inputs": {names[0]: left[0, t].tolist(), names[1]: int(tokens[0, t])}}
        for t in range(7)
    ]
    found = answers(folder("pair"), lines)
    expected = whole(folder("pair"), {"video": left, "words": tokens})
    assert list(found[-1]["y"]) == ["all", "end"]
    np.testing.assert_allclose(found[-1]["y"]["end"], expected["end"][0], rtol=0, atol=1e-6)
    ys = [answer["y"]["all"] for answer in found]
    np.testing.assert_allclose(ys, expected["all"][0], rtol=0, atol=1e-6)


def test_fixed_inputs_stay_through_a_reset(folder: Folder) -> None:
    x, voice = XS[0, 0].tolist(), [1.0, 2.0, 3.0, 4.0]
    lines = [
        {"id": "a", "x": x, "fixed": {"speaker": voice}},
        {"id": "a", "x": x, "reset": True},
        {"id": "a", "x": x, "reset": True, "fixed": {"speaker": [0.0] * 4}},
        {"id": "b", "fixed": {"speaker": [0.0] * 4}},
        {"id": "b", "x": x},
    ]
    first, again, without, opened, other = answers(folder("speaker"), lines)
    assert again == {**first, "reset": True}
    np.testing.assert_allclose(np.subtract(first["y"], without["y"]), voice, atol=1e-6)
    assert opened == {"id": "b"}
    assert other["y"] == without["y"]


def test_a_start_value_is_given_once(folder: Folder) -> None:
    x, start = XS[0, 0].tolist(), [0.5, -0.5, 0.25, 0.0]
    (found,) = answers(folder("started"), [{"id": "a", "x": x, "fixed": {"h0": start}}])
    expected = whole(folder("started"), XS[:1, :1], np.array([start], np.float32))
    np.testing.assert_allclose(found["y"], expected[0, 0], rtol=0, atol=1e-6)


def test_reset_and_end_start_anew(folder: Folder) -> None:
    x = XS[0, 0].tolist()
    lines = [
        {"id": "a", "x": x},
        {"id": "a", "x": x},
        {"id": "a", "x": x, "reset": True},
        {"id": "a", "reset": True},
        {"id": "a", "x": x, "end": True},
        {"id": "a", "x": x},
        {"id": "a", "end": True},
    ]
    first, second, third, reset, ended, anew, gone = answers(folder("lstm"), lines)
    assert first["y"] == third["y"] == ended["y"] == anew["y"] != second["y"]
    assert (reset, gone) == ({"id": "a", "reset": True}, {"id": "a", "end": True})
    assert ended["end"] is True


BAD = {
    "nope": "JSON is malformed",
    "[1]": "Expected `object`, got `array`",
    '{"x": [0, 0, 0]}': "missing required field `id`",
    '{"id": null, "x": [0, 0, 0]}': "`$.id`",
    '{"id": 1e400, "x": [0, 0, 0]}': "`$.id`",
    '{"id": 99999999999999999999, "x": [0, 0, 0]}': "`$.id`",
    '{"id": "a", "x": [0, NaN, 0]}': "JSON is malformed",
    '{"id": "a", "x": [0, null, 0]}': "float32 (3,)",
    '{"id": "a", "x": [0, 1e39, 0]}': "keep values in float32",
    '{"id": "a", "x": [0, 0]}': "give axis 0 size 3",
    '{"id": "a", "x": [[0, 0, 0], [0, 0]]}': "float32 (T, 3)",
    '{"id": "a", "x": []}': "is empty",
    '{"id": "a", "x": [[[0, 0, 0]]]}': "1 deep for one step (3,), one deeper for a chunk",
    '{"id": "a", "x": 1}': "no list",
    '{"id": "a", "x": "text"}': "no list",
    '{"id": "a", "inputs": {"z": [0, 0, 0]}}': "keys ['x']",
    '{"id": "a", "x": [0, 0, 0], "inputs": {"x": [0, 0, 0]}}': "one of them",
    '{"id": "a", "x": [0, 0, 0], "y": 1}': "unknown field `y`",
    '{"id": "a", "x": [0, 0, 0], "reset": 1}': "`$.reset`",
    '{"id": "a", "x": [0, 0, 0], "fixed": {"z": 1}}': "on the first line",
    '{"id": "new", "x": [0, 0, 0], "fixed": {"z": 1}}': "fixed input 'z'",
    '{"id": "a", "x": [0, 0], "reset": true}': "give axis 0 size 3",
    '{"id": "a", "x": [0, 0], "end": true}': "give axis 0 size 3",
    '{"id": "a"}': "an id alone",
    '{"id": "new"}': "an id alone",
    '{"id": "new", "end": true}': "the id of an open stream",
    '{"id": "a", "x": ' + "[" * 5000 + "]" * 5000 + "}": "recursion",
}


@pytest.mark.parametrize("batch", ["1", "8"])
def test_a_line_that_cannot_be_done_changes_nothing(folder: Folder, batch: str) -> None:
    good = [{"id": "a", "x": x.tolist()} for x in XS[0]]
    lines: list[Any] = [good[0], *BAD, "", *good[1:]]
    code, found, said = stream(folder("lstm"), lines, "--json", "--batch", batch)
    assert code == 2
    assert [answer["line"] for answer in found[1 : 1 + len(BAD)]] == list(range(2, 2 + len(BAD)))
    for answer, reason in zip(found[1:], BAD.values(), strict=False):
        assert reason in answer["error"]
    assert [found[0], *found[1 + len(BAD) :]] == answers(folder("lstm"), good)
    summary = json.loads(said)
    assert (summary["answered"], summary["refused"], summary["open"]) == (7, len(BAD), 1)


def test_what_onnxruntime_refuses_is_undone(folder: Folder) -> None:
    lines = [
        {"id": "a", "x": 3},
        {"id": "a", "x": 99, "reset": True},
        {"id": "b", "x": 99},
        {"id": "b", "end": True},
        {"id": "a", "x": 4},
    ]
    code, found, _ = stream(folder("embedded"), lines)
    assert code == 2
    assert [set(answer) for answer in found] == [{"id", "y"}, *[{"line", "error"}] * 3, {"id", "y"}]
    assert [found[0], found[4]] == answers(folder("embedded"), [lines[0], lines[4]])


def test_x_does_not_do_for_several_inputs(folder: Folder) -> None:
    code, (found,), _ = stream(folder("pair"), [{"id": "a", "x": [0, 0]}])
    assert code == 2
    wanted = '{"id": "a", "inputs": {"left": [0.0, 0.0], "tokens": 0}}'
    assert wanted in found["error"]
    mixed = {"id": "a", "inputs": {"left": [[0, 0]], "tokens": 1}}
    _, (found,), _ = stream(folder("pair"), [mixed])
    assert "all as a step or all as a chunk" in found["error"]


@pytest.mark.parametrize("batch", ["2", "64"])
def test_a_batch_keeps_the_order_of_lines(folder: Folder, batch: str) -> None:
    order = RNG.integers(0, 5, 60)
    lines: list[Any] = [{"id": int(n), "x": RNG.random(3).round(2).tolist()} for n in order]
    lines[20]["x"] = [lines[20]["x"]] * 3
    lines[30]["reset"] = True
    lines[40]["end"] = True
    alone = answers(folder("lstm"), lines)
    together = answers(folder("lstm"), lines, "--batch", batch)
    assert [list(answer) for answer in together] == [list(answer) for answer in alone]
    for one, other in zip(alone, together, strict=True):
        assert one["id"] == other["id"]
        np.testing.assert_allclose(one["y"], other["y"], rtol=0, atol=1e-6)


def test_one_bad_step_does_not_spoil_its_batch(folder: Folder) -> None:
    opening = [{"id": n, "x": 1} for n in range(4)]
    lines = [*opening, *({"id": n, "x": 99 if n == 2 else 5} for n in range(4))]
    code, found, _ = stream(folder("embedded"), lines, "--batch", "4")
    assert code == 2
    assert [answer.get("id") for answer in found] == [0, 1, 2, 3, 0, 1, None, 3]


def test_there_is_room_for_as_many_ids_as_come(folder: Folder) -> None:
    lines = [{"id": f"s{n}", "x": [0.0, 0.0, 0.0]} for n in range(1100)]
    code, found, said = stream(folder("lstm"), lines, "--json")
    assert (code, len(found), json.loads(said)["open"]) == (0, 1100, 1100)


def test_input_from_a_file(folder: Folder, tmp_path: Path) -> None:
    source = tmp_path / "lines.jsonl"
    source.write_text('{"id": "a", "x": [0, 0, 0]}')
    code, found, said = stream(folder("lstm"), [], "--input", str(source))
    assert (code, len(found)) == (0, 1)
    assert "✓ lstm on cpu: 1 line answered; 1 stream open" in said
    code, (found,), _ = stream_refused(folder("lstm"), "--input", str(tmp_path / "none"))
    assert found["received"] == "No such file or directory"


def stream_refused(path: Path, *more: str) -> tuple[int, list[dict[str, str]], str]:
    """Exit code, reasons and kind of a command that does not begin."""
    done = CliRunner().invoke(app, ["stream", str(path), "--json", *more], input="")
    found = json.loads(done.stdout)
    return done.exit_code, found["error"], found["kind"]


def test_answers_come_at_once(folder: Folder) -> None:
    with live(folder("lstm")) as process:
        for x in XS[0]:
            assert ask(process, {"id": "a", "x": x.tolist()})["id"] == "a"
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said


def halves(path: Path, state: Path, first: list[Any], rest: list[Any]) -> list[Any]:
    """Answers of two processes, one going on where the other stopped."""
    found = []
    for lines, flag in ((first, "--save-state"), (rest, "--load-state")):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        done = subprocess.run(
            command(path, flag, str(state)), input=text, capture_output=True, text=True, check=True
        )
        found += done.stdout.splitlines()
    return [json.loads(line) for line in found]


@pytest.mark.parametrize("name", ["lstm", "counter"])
def test_another_process_goes_on_bit_for_bit(folder: Folder, tmp_path: Path, name: str) -> None:
    ids = [0, "0", "käse"]
    lines = [{"id": n, "x": XS[0, t].tolist()} for t in range(7) for n in ids]
    lines.insert(3, {"id": "over", "x": XS[1, 0].tolist(), "end": True})
    found = halves(folder(name), tmp_path / "state", lines[:8], lines[8:])
    assert found == answers(folder(name), lines)


def test_fixed_inputs_are_saved_too(folder: Folder, tmp_path: Path) -> None:
    x = XS[0, 0].tolist()
    lines = [{"id": "a", "x": x, "fixed": {"speaker": [1.0, 2.0, 3.0, 4.0]}}, {"id": "a", "x": x}]
    found = halves(folder("speaker"), tmp_path / "state", lines[:1], lines[1:])
    assert found == answers(folder("speaker"), lines)


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_streams(folder: Folder, tmp_path: Path, number: int) -> None:
    state = tmp_path / "state"
    lines = [{"id": "a", "x": x.tolist()} for x in XS[0]]
    with live(folder("lstm"), "--save-state", str(state), "--json") as process:
        found = [ask(process, line) for line in lines[:3]]
        process.send_signal(number)
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    summary = json.loads(said)
    assert (summary["stopped"], summary["line"], summary["saved"]) == (True, 3, str(state))
    found += answers(folder("lstm"), lines[3:], "--load-state", str(state))
    assert found == answers(folder("lstm"), lines)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@POSIX
@pytest.mark.parametrize("batch", ["1", "16"])
def test_a_signal_in_a_flood_loses_no_answer(folder: Folder, tmp_path: Path, batch: str) -> None:
    lines = [{"id": n % 20, "x": XS[n % 2, n % 7].tolist()} for n in range(20000)]
    source, state = tmp_path / "lines", tmp_path / "state"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    flags = ("--input", str(source), "--save-state", str(state), "--json", "--batch", batch)
    with live(folder("counter"), *flags) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = [json.loads(process.stdout.readline())]
        process.terminate()
        found += map(json.loads, process.stdout)
        summary = json.loads(process.stderr.read())
    assert summary["stopped"] is True
    assert summary["line"] == summary["answered"] == len(found) < len(lines)
    rest = lines[len(found) : len(found) + 40]
    whole = answers(folder("counter"), lines[: len(found) + 40])
    assert found + answers(folder("counter"), rest, "--load-state", str(state)) == whole


@POSIX
def test_a_reader_that_goes_away_is_no_crash(folder: Folder) -> None:
    with live(folder("lstm"), "--json") as process:
        assert ask(process, {"id": "a", "x": [0, 0, 0]})["id"] == "a"
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write('{"id": "a", "x": [0, 0, 0]}\n')
        process.stdin.close()
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert json.loads(said)["stopped"] is True


@pytest.fixture
def state(folder: Folder, tmp_path: Path) -> Path:
    """A saved stream of the model "lstm"."""
    path = tmp_path / "state"
    answers(folder("lstm"), [{"id": "a", "x": [0, 0, 0]}], "--save-state", str(path))
    return path


def damages(data: bytes) -> Iterator[tuple[bytes, str]]:
    yield b"", "0 bytes of something else"
    yield b"text" * 20, "80 bytes of something else"
    yield data[:-1], "bytes that do not fit their checksum"
    yield data[:40] + bytes([data[40] ^ 1]) + data[41:], "bytes that do not fit their checksum"
    yield data[:15] + b"\2" + data[16:], "version 2"


def test_damaged_states_are_refused(folder: Folder, state: Path) -> None:
    for data, received in damages(state.read_bytes()):
        state.write_bytes(data)
        code, (reason,), kind = stream_refused(folder("lstm"), "--load-state", str(state))
        assert (code, kind, reason["received"]) == (2, "SnapshotRefused", received)
        assert reason["subject"] == f"--load-state {state}"
    state.unlink()
    code, (reason,), kind = stream_refused(folder("lstm"), "--load-state", str(state))
    assert (code, kind, reason["received"]) == (2, "UsageError", "No such file or directory")


def test_states_of_another_model_are_refused(folder: Folder, state: Path) -> None:
    code, (reason,), kind = stream_refused(folder("last_only"), "--load-state", str(state))
    assert (code, kind) == (2, "SnapshotRefused")
    assert reason["subject"] == f"--load-state {state}, stream 'a'"
    assert "another model" in reason["received"]


def test_places_that_take_no_file_are_refused_before_the_first_line(
    folder: Folder, tmp_path: Path
) -> None:
    for path in (tmp_path, tmp_path / "none" / "state"):
        code, (reason,), kind = stream_refused(folder("lstm"), "--save-state", str(path))
        assert (code, kind, reason["subject"]) == (2, "UsageError", f"--save-state {path}")


def test_a_model_that_looks_ahead_is_refused(lstm_folder: Path) -> None:
    code, (reason,), kind = stream_refused(lstm_folder)
    assert (code, kind) == (2, "NotStreamable")
    assert (reason["subject"], reason["received"]) == ("layer 'lstm'", "it reads backwards")


IMPORTED = """
import sys
from rnnport.cli.main import app
try:
    app(sys.argv[1:])
finally:
    print([name for name in ("tensorflow", "keras", "onnx") if name in sys.modules])
"""


def test_no_tensorflow(folder: Folder) -> None:
    words = [sys.executable, "-c", IMPORTED, *command(folder("lstm"))[3:]]
    done = subprocess.run(words, input="", capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_lines_are_given_as_soon_as_they_are_complete() -> None:
    pieces = [b"o", b"ne\ntw", b"o\nthree\n\nfo", b"ur", b""]
    lines = arrived(lambda size: pieces.pop(0))
    assert list(lines) == [[b"one"], [b"two", b"three", b""], [b"four"]]


def test_answers_hold_the_shortest_numbers_that_are_exact() -> None:
    line = Line(id="a", x=0)
    assert result(line, np.array([0.1, np.nan, np.inf], np.float32)) == (
        b'{"id":"a","y":[0.1,null,null]}\n'
    )
    nested = {"ids": np.array([1, 2]), "two": (np.float32(0.1), np.array([True]))}
    assert json.loads(result(line, nested))["y"] == {"ids": [1, 2], "two": [0.1, [True]]}
    random = RNG.standard_normal(1000).astype(np.float32)
    back = np.array(json.loads(result(line, random))["y"], np.float32)
    np.testing.assert_array_equal(back, random)
