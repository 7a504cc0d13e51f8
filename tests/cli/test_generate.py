from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnport.cli.main import app
from rnnport.runtime.runner import load
from tests.tiny_seq2seq import GRAPHS, seq2seq_artifact

IDS = "1 2 3\n4\n5 1 2 3 3\n"
WORDS = [[1, 2, 3], [4], [5, 1, 2, 3, 3]]
LETTERS = "_abcde"
WHOLE = ["--start", "1", "--stop", "0", "--max-steps", "6"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("generate")
    names = ("gru", "attention", "one_hot", "language", "speaking", "forecaster")
    made = {name: seq2seq_artifact(root / name, GRAPHS[name](), name).path for name in names}
    (root / "letters.txt").write_text("".join(f"{letter}\n" for letter in LETTERS))
    (root / "phonemes.txt").write_text("</s>\n<s>\nAA\nB\nCH\nD\nEH\n")
    (root / "letters.json").write_text(json.dumps({c: i for i, c in enumerate("_.uvwxy")}))
    return made | {"root": root}


def generate(path: Path, text: str, *more: str) -> tuple[int, str, str]:
    words = ["generate", str(path), "--provider", "cpu", "--threads", "1", *more]
    done = CliRunner().invoke(app, words, input=text)
    return done.exit_code, done.stdout, done.stderr


def lines(path: Path, text: str, *more: str) -> list[str]:
    code, out, said = generate(path, text, *more)
    assert code == 0, out + said
    return out.splitlines()


def python(path: Path, source: Any = WORDS, **more: Any) -> list[list[int]]:
    keywords: dict[str, Any] = {"start": 1, "stop": 0, "max_steps": 6, **more}
    return [
        ids.tolist() for ids in load(path, provider="cpu", threads=1).generate(source, **keywords)
    ]


def test_ids_in_ids_out(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("gru", "attention"):
        expected = [" ".join(map(str, ids)) for ids in python(folders[name])]
        assert lines(folders[name], IDS, *WHOLE) == expected
        assert lines(folders[name], IDS, *WHOLE, "--batch", "1") == expected
    file = tmp_path / "lines"
    file.write_text(IDS)
    assert lines(folders["attention"], "", *WHOLE, "-i", str(file)) == expected


def test_the_summary_goes_to_stderr(folders: dict[str, Path]) -> None:
    _, _, said = generate(folders["gru"], IDS, *WHOLE)
    assert said.startswith("✓ gru on cpu: 3 lines, 18 tokens in ")
    _, _, said = generate(folders["gru"], IDS, *WHOLE, "--json")
    found = json.loads(said)
    assert (found["sources"], found["tokens"], found["provider"]) == (3, 18, "cpu")


def test_searches(folders: dict[str, Path]) -> None:
    path = folders["attention"]
    more = ["--beam-width", "3", "--length-penalty", "0.6"]
    expected = python(path, beam_width=3, length_penalty=0.6)
    assert lines(path, IDS, *WHOLE, *more) == [" ".join(map(str, ids)) for ids in expected]
    drawn = ["--temperature", "2", "--top-k", "5", "--top-p", "0.9", "--seed", "4"]
    expected = python(path, temperature=2.0, top_k=5, top_p=0.9, seed=4)
    assert lines(path, IDS, *WHOLE, *drawn) == [" ".join(map(str, ids)) for ids in expected]


@pytest.mark.parametrize("name", ["attention", "language"])
def test_what_a_seed_draws_does_not_depend_on_the_batch(
    name: str, folders: dict[str, Path]
) -> None:
    path, text = folders[name], IDS + IDS
    drawn = ["--temperature", "3", "--seed", "4"]
    expected = [" ".join(map(str, ids)) for ids in python(path, WORDS * 2, temperature=3.0, seed=4)]
    # A source that comes twice draws twice.
    assert expected[:3] != expected[3:]
    for batch in ("1", "2", "4", "64"):
        assert lines(path, text, *WHOLE, *drawn, "--batch", batch) == expected


def test_text_to_text(folders: dict[str, Path]) -> None:
    root, path = folders["root"], folders["attention"]
    more = [
        "--source-vocab",
        str(root / "letters.txt"),
        "--target-vocab",
        str(root / "phonemes.txt"),
    ]
    names = ["</s>", "<s>", "AA", "B", "CH", "D", "EH"]
    keywords = ["--start", "<s>", "--stop", "</s>", "--max-steps", "6", "--chars"]
    expected = [" ".join(names[i] for i in ids) for ids in python(path)]
    assert lines(path, "abc\nd\neabcc\n", *more, *keywords) == expected
    words = ["--words", "--join", "-", *keywords[:-1]]
    assert lines(path, "a b c\nd\n", *more, *words) == [t.replace(" ", "-") for t in expected[:2]]
    ended = [[*ids, 5] for ids in ([1, 2], [3, 3])]
    found = lines(path, "ab\ncx\n", *more, *keywords, "--source-end", "e", "--unknown", "c")
    assert found == [" ".join(names[i] for i in ids) for ids in python(path, ended)]


def test_json_lines(folders: dict[str, Path]) -> None:
    root, path = folders["root"], folders["attention"]
    vocab = ["--target-vocab", str(root / "letters.json")]
    found = [json.loads(line) for line in lines(path, IDS, *WHOLE, *vocab, "--json")]
    runner = load(path, provider="cpu", threads=1)
    ids, scores = runner.generate(WORDS, start=1, stop=0, max_steps=6, return_scores=True)
    assert [one["ids"] for one in found] == [one.tolist() for one in ids]
    assert [one["text"] for one in found] == ["".join("_.uvwxy"[i] for i in one) for one in ids]
    np.testing.assert_allclose([one["score"] for one in found], scores, atol=1e-5)
    plain = [json.loads(line) for line in lines(path, IDS, *WHOLE, "--json")]
    assert [one["text"] for one in plain] == [None] * 3


def test_prompts(folders: dict[str, Path]) -> None:
    path, vocab = folders["language"], ["--target-vocab", str(folders["root"] / "letters.json")]
    more = ["--stop", "_", "--max-steps", "6", "--chars"]
    expected = [
        "".join("_.uvwxy"[i] for i in ids) for ids in python(path, [[2, 3], [6]], start=None)
    ]
    assert lines(path, "uv\ny\n", *vocab, *more) == expected


def test_one_hot_sources(folders: dict[str, Path]) -> None:
    sources = [np.eye(6)[ids] for ids in WORDS]
    expected = [" ".join(map(str, ids)) for ids in python(folders["one_hot"], sources)]
    assert lines(folders["one_hot"], IDS, *WHOLE) == expected


def refused(path: Path, text: str, *more: str) -> tuple[str, dict[str, str]]:
    code, out, _ = generate(path, text, "--json", *more)
    assert code == 2, out
    found = json.loads(out)
    return found["kind"], found["error"][0]


def test_bad_lines(folders: dict[str, Path]) -> None:
    root, path = folders["root"], folders["gru"]
    vocab = ["--source-vocab", str(root / "letters.txt")]
    assert refused(path, "1 2\n\n", *WHOLE) == (
        "UsageError",
        {
            "subject": "line 2",
            "received": "nothing",
            "expected": "ids separated by spaces",
            "remedy": "leave it out",
        },
    )
    assert refused(path, "1 a\n", *WHOLE)[1] == {
        "subject": "line 1",
        "received": "'a'",
        "expected": "ids separated by spaces",
        "remedy": "pass --source-vocab to read text",
    }
    assert refused(path, "ab\n", *WHOLE, *vocab)[1] == {
        "subject": "line 1",
        "received": "'ab'",
        "expected": f"one of the 6 tokens of {root / 'letters.txt'}",
        "remedy": "pass --unknown, or --chars where tokens are characters",
    }
    assert refused(folders["one_hot"], "9\n", *WHOLE)[1] == {
        "subject": "line 1",
        "received": "id 9",
        "expected": "ids from 0 to 5",
        "remedy": "use the model's own ids",
    }


def test_the_output_that_scores_tokens(folders: dict[str, Path]) -> None:
    path = folders["gru"]
    assert lines(path, IDS, *WHOLE, "--scores", "scores") == lines(path, IDS, *WHOLE)
    assert refused(path, IDS, *WHOLE, "--scores", "alpha")[1] == {
        "subject": "output",
        "received": "'alpha'",
        "expected": "one of the decoder's outputs: scores float32 (B, T, 7)",
        "remedy": "name one of them, or leave it out",
    }


def test_bad_options(folders: dict[str, Path], lstm_folder: Path) -> None:
    path = folders["gru"]
    words = ["--start", "<s>", "--stop", "0", "--max-steps", "3"]
    assert refused(path, IDS, *words)[1] == {
        "subject": "--start",
        "received": "'<s>', no vocabulary",
        "expected": "an id or a token",
        "remedy": "pass the id, or the vocabulary file that has the token",
    }
    assert refused(path, IDS, *WHOLE, "--beam-width", "9")[1]["subject"] == "beam_width"
    assert (
        refused(path, IDS, *WHOLE, "-i", "/nowhere")[1]["received"] == "No such file or directory"
    )
    assert refused(lstm_folder, IDS, *WHOLE)[0] == "NotGenerative"
    assert refused(folders["speaking"], "1\n", *WHOLE[2:])[1] == {
        "subject": "source",
        "received": "2 inputs: previous, speaker",
        "expected": "one input for the source",
        "remedy": "use runner.generate in Python",
    }
    code, _, _ = generate(path, IDS, "--start", "1", "--max-steps", "3")
    assert code == 2


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("", "no token"),
        ("a\nb\na\n", "'a' as 2, and 'a' as 0"),
        ('{"a": 1, "b": 1}', "'b' as 1, and 'a' as 1"),
        ('{"a": "x"}', "'a': 'x'"),
        ('{"a": -1}', "'a': -1"),
    ],
)
def test_bad_vocabularies(
    folders: dict[str, Path], tmp_path: Path, text: str, received: str
) -> None:
    path = tmp_path / "vocab"
    path.write_text(text)
    kind, reason = refused(folders["gru"], "a\n", *WHOLE, "--source-vocab", str(path))
    assert (kind, reason["received"]) == ("UsageError", received)
    assert reason["subject"] == f"--source-vocab {path}"


def test_vocabularies_that_cannot_be_read(folders: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "vocab"
    more = [*WHOLE, "--target-vocab", str(path)]
    assert refused(folders["gru"], IDS, *more)[1]["received"] == "No such file or directory"
    path.write_bytes(b"\xff\xfe")
    assert refused(folders["gru"], IDS, *more)[1]["received"] == "no UTF-8 text"
    path.write_text('{"a": 1')
    assert refused(folders["gru"], IDS, *more)[1]["received"].startswith("JSON: ")
