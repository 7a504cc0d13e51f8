"""What scripts/g2p is made of, without the network: weights, rebuilding, decoding, error rate."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import rnnport

Script = Callable[[str], ModuleType]
Weights = dict[str, np.ndarray[Any, Any]]

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
G, V, E, U = 12, 9, 6, 10
START, STOP, MAX_STEPS = 2, 3, 20
MODULE = """
raise SystemExit("this is not to be run")
class G2p:
    def __init__(self):
        self.graphemes = ["<pad>", "<unk>", "</s>"] + list("abc")
        self.phonemes = ["<pad>", "<unk>", "<s>", "</s>"] + ["AA0",
                                                             "B"]
        self.cmu = dict()
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Imports from scripts/, as its files do from each other."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


@pytest.fixture
def weights() -> Weights:
    """Random ones, laid out like g2p-en's."""
    rng = np.random.default_rng(50)
    shapes = {"fc_w": (V, U), "fc_b": (V,)}
    for side, rows in (("enc", G), ("dec", V)):
        shapes |= {f"{side}_emb": (rows, E), f"{side}_w_ih": (3 * U, E), f"{side}_w_hh": (3 * U, U)}
        shapes |= {f"{side}_b_ih": (3 * U,), f"{side}_b_hh": (3 * U,)}
    return {name: rng.standard_normal(shape).astype("float32") for name, shape in shapes.items()}


def sources() -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(6)
    return [rng.integers(1, G, rng.integers(1, 9)).astype("int32") for _ in range(40)]


def in_numpy(script: Script, weights: Weights) -> list[list[int]]:
    greedy = script("g2p_model").numpy_greedy
    return [greedy(weights, x, start=START, stop=STOP) for x in sources()]


def test_teacher_forced(script: Script, weights: Weights) -> None:
    g2p, padded = script("g2p_model"), script("g2p_keras_loop").padded
    fed = np.random.default_rng(7).integers(0, V, (40, 7)).astype("int32")
    found = np.asarray(g2p.rebuild(weights)([padded(sources()), fed]))
    expected = np.stack(
        [g2p.numpy_logits(weights, x, ids) for x, ids in zip(sources(), fed, strict=True)]
    )
    assert found.shape == (40, 7, V)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_steps_are_pytorchs_gru(script: Script, weights: Weights) -> None:
    """One step by the formula, gate by gate, in float64."""
    wide = {name: array.astype(float) for name, array in weights.items()}
    x, h = wide["enc_emb"][4], np.linspace(-1, 1, U)
    parts = [
        [wide[f"enc_{name}"][i * U : (i + 1) * U] for i in range(3)]
        for name in ("w_ih", "w_hh", "b_ih", "b_hh")
    ]
    (wr, wz, wn), (ur, uz, un), (br, bz, bn), (cr, cz, cn) = parts
    r = 1 / (1 + np.exp(-(wr @ x + br + ur @ h + cr)))
    z = 1 / (1 + np.exp(-(wz @ x + bz + uz @ h + cz)))
    n = np.tanh(wn @ x + bn + r * (un @ h + cn))
    found = script("g2p_model")._gru_step(wide, "enc", 4, h)
    np.testing.assert_allclose(found, (1 - z) * n + z * h, rtol=0, atol=1e-12)


def test_greedy_with_rnnport_and_in_keras(script: Script, weights: Weights, tmp_path: Path) -> None:
    model, loops = script("g2p_model").rebuild(weights), script("g2p_keras_loop")
    wanted = in_numpy(script, weights)
    lengths = {len(ids) for ids in wanted}
    assert len(lengths) > 3  # they stop at different steps
    assert MAX_STEPS in lengths  # and some never
    ends = {"start": START, "stop": STOP, "max_steps": MAX_STEPS}
    loop = loops.KerasLoop(model)
    for call in loops.CALLS.values():
        assert loop.greedy(sources(), call, **ends) == wanted
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.handoff.ok
    assert [port.name for port in artifact.manifest.forms["encoder"].outputs] == ["decoder_h_start"]
    found = rnnport.load(artifact, provider="cpu").generate(sources(), **ends)
    assert [ids.tolist() for ids in found] == wanted


def test_weights_of_another_shape_are_refused(
    script: Script, weights: Weights, tmp_path: Path
) -> None:
    read = script("g2p_model").read_weights
    np.savez(tmp_path / "good.npz", **weights)
    assert set(read(tmp_path / "good.npz")) == set(weights)
    np.savez(tmp_path / "bad.npz", **(weights | {"fc_b": np.zeros(V + 1)}))
    with pytest.raises(ValueError, match=r"bad\.npz holds"):
        read(tmp_path / "bad.npz")


def test_symbols_are_read_and_nothing_is_run(script: Script, tmp_path: Path) -> None:
    (tmp_path / "g2p.py").write_text(MODULE)
    symbols = script("g2p_model").read_symbols(tmp_path / "g2p.py")
    assert symbols.graphemes == ("<pad>", "<unk>", "</s>", "a", "b", "c")
    assert (symbols.start, symbols.stop) == (2, 3)
    assert symbols.spell("cab").tolist() == [5, 3, 4, 2]
    assert symbols.say([5, 4]) == ("B", "AA0")


def test_pronunciations(script: Script, tmp_path: Path) -> None:
    words = script("g2p_words")
    (tmp_path / "d").write_text("a AH0\na(2) EY1 # a letter\n'bout B AW1 T\nab AE1 B\n")
    dictionary = words.read_dictionary(tmp_path / "d")
    assert dictionary["a"] == [("AH0",), ("EY1",)]
    assert sorted(words.sample(dictionary, 2)) == ["a", "ab"]
    rate = words.error_rate({"a": ("EY1",), "ab": ("AE0", "B", "B")}, dictionary)
    assert (rate.errors, rate.phonemes, rate.right, rate.words) == (2, 3, 1, 2)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("", "", 0), ("kitten", "sitting", 3), ("ab", "", 2), ("", "ab", 2), ("abc", "ac", 1)],
)
def test_distance(script: Script, a: str, b: str, expected: int) -> None:
    assert script("g2p_words").distance(a, b) == expected


def test_a_word_that_differs_is_named(script: Script) -> None:
    account = script("g2p_account")
    symbols = script("g2p_model").Symbols(("a",), ("AA0", "B"))
    forced = account.Forced(error=float("nan"), bound=1e-4, closest=0.5)
    assert not forced.good
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(account.sameness(symbols, ["one", "two"], [[0], [1]], [[0], [0, 1]], forced))
    shown = console.export_text()
    assert "1 of 2 equal" in shown
    assert "two" in shown
    assert "AA0 B; in numpy B" in shown
