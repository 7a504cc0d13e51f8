"""What scripts/prove and scripts/accuracy make of what they saw, without running anything."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rnnport.parity.facts import Accuracy

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"

PASSED = {
    "verdict": "passed",
    "worst": {"shapes": 0.02, "accuracy": 0.25},
    "lacks": [],
    "ratios": [1.0, 1.2],
}
FAILED = {"verdict": "failed", "worst": {"masks": 7.0}, "lacks": [], "ratios": [3.0]}
LACKS = {
    "verdict": "lacks",
    "worst": {},
    "lacks": [{"form": "model", "op": "GRU", "reason": "does not take activation softsign"}],
    "ratios": [],
}
CRASHED = {"verdict": "crashed", "note": "RuntimeError: no"}
FACTS = {
    "machine": {"processor": "Some CPU", "cores": "2", "system": "Linux x86_64"},
    "versions": {"cpu": {"numpy": "2.0"}, "openvino": {"openvino": "2026.4"}},
    "left out": {"cuda": "the driver sees no GPU"},
}


def model(name: str, **backends: Any) -> dict[str, Any]:
    return {"model": name, "backends": backends}


FOUND = {
    "K1": [model("a", cpu=PASSED, openvino=PASSED), model("b", cpu=PASSED, openvino=LACKS)],
    "K2": [model("c", cpu=FAILED, openvino=CRASHED)],
    "T1": [model("d", cpu=PASSED, openvino=LACKS)],
}


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("prove_page")


def test_a_row_says_how_many_passed_and_how_near_the_bound(pages: Any) -> None:
    text = pages.page(FOUND, FACTS, ["cpu", "openvino"], {"K1": "first", "K2": "second"})
    assert "| K1 | first | 2 | 2 of 2, 0.25 | 1 of 1, 0.25; 1 lack | 1.10, worst 1.2 |" in text
    assert "| **all** | | 4 | **3 of 4, 7** | **1 of 2, 0.25; 2 lack** | 1.20, worst 3.0 |" in text


def test_what_failed_or_crashed_stands_out_and_what_could_not_run_is_no_pass(pages: Any) -> None:
    text = pages.page(FOUND, FACTS, ["cpu", "openvino"], {})
    assert "| **0 of 1, 7** | **0 of 1, 0** |" in text
    assert "| none ran; 1 lack |" in text
    assert "| GRU: does not take activation softsign | 2 |" in text
    assert "- cuda was not measured: the driver sees no GPU" in text
    assert "- openvino: openvino 2026.4" in text


def test_the_picture_is_a_picture(pages: Any, tmp_path: Path) -> None:
    path = tmp_path / "parity.png"
    pages.draw(FOUND, ["cpu", "openvino"], path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 5_000


def test_a_models_ratio_is_that_of_quadratic_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    accuracy: Any = importlib.import_module("accuracy")

    def run(case: str, ours: float, theirs: float) -> Accuracy:
        return Accuracy(
            case=case, output="y", truth="t", error=ours, tensorflow=theirs, ratio=ours / theirs
        )

    runs = [run("plain", 3e-6, 1e-6), run("masked", 4e-6, 2e-6), run("long", 1.0, 1e-9)]
    found = accuracy.figures("m", runs, {"plain", "masked"}, True)
    assert found["ratio"] == pytest.approx(5 / 5**0.5, rel=1e-3)
    assert (found["runs"], found["truth"], found["passed"]) == (2, ["t"], True)
    assert accuracy.mean([1e-12]) == accuracy.mean([]) == 2.0**-24
