from __future__ import annotations

import json
from pathlib import Path

import pytest
from page import make_page
from suite.growth import AXES, points
from suite.store import Results
from suite.verdicts import aims, behind, exponent, finished, groups, share_ahead

from tests.benchmarks.records import describe, find, record, results

BEHIND = "LSTM 128→256, 32×20, plain"


def some_results() -> Results:
    return results(
        record(
            "GRU 64→128, 1×20, plain",
            rnnport=10.0,
            tf2onnx=90.0,
            tf__function=80.0,
            XLA=20.0,
        ),
        record(
            "SimpleRNN 64→128, 8×20, random mask", rnnport=10.0, tf2onnx=30.0, tf__function=40.0
        ),
        record(
            BEHIND,
            0.5,
            rnnport=100.0,
            tf2onnx=95.0,
            tf__function=300.0,
            BLAS_products=70.0,
        ),
        {**describe(find("GRU 16→32, 1×1, plain")), "failed": "Unequal: it differs", "us": {}},
    )


def test_aims_are_counted_from_the_rows() -> None:
    found = {aim.what: (aim.value, aim.met) for aim in aims(some_results())}
    assert found == {
        "rows ahead of every peer": (0.5, False),
        "worst row against any peer": (0.95, True),
        "tf2onnx, masked, GRU and SimpleRNN rows": (6.0, True),
        "tf2onnx, the same at batch 1": (9.0, True),
        "tf.function, all rows at batch 1": (8.0, True),
        "share of the BLAS rate, LSTM 128→256 at batch 32": (0.7, False),
        'target="portable" over target="cpu"': (None, False),
    }


def test_what_stands_beside_the_aims() -> None:
    mine, openvino = {"rnnport": 100.0}, {"OpenVINO on rnnport's graph": 79.0}
    found = results(
        record("LSTM 64→128, 1×20, plain", **mine, tf2onnx=95.0),
        record("GRU 64→128, 1×20, plain", **mine, tf2onnx=400.0, **openvino, BLAS_products=50.0),
        record("GRU 64→128, 1×100, plain", **mine, tf2onnx=200.0, BLAS_products=50.0),
    )
    notes = {aim.what: aim.note for aim in aims(found)}
    assert notes["rows ahead of every peer"] == (
        "of all rows; of the 1 behind, 1 are even (the quartiles overlap); "
        "with OpenVINO on rnnport's graph as one more peer 33.3%"
    )
    assert notes["worst row against any peer"] == "rows more than 10 % behind: 0 of 3"
    assert finished(found)[1].closest == ("tf2onnx", 4.0)
    assert finished(found)[1].on_openvino == 0.79
    assert notes["tf2onnx, the same at batch 1"] == (
        "median of 2, lowest 2.00×; the products alone in NumPy: 6.00×"
    )


def test_rows_behind_and_groups() -> None:
    rows = finished(some_results())
    assert [row.key for row in behind(rows)] == [BEHIND]
    assert behind(rows)[0].closest == ("tf2onnx", 0.95)
    assert share_ahead(rows) == pytest.approx(2 / 3)
    assert set(groups(rows)) == {"GRU plain", "SimpleRNN masked", "LSTM plain"}


def test_growth_and_exponents() -> None:
    times = {1: 10.0, 20: 50.0, 100: 250.0, 500: 2500.0}
    rows = finished(
        results(
            *(record(f"LSTM 64→128, 8×{t}, plain", rnnport=us) for t, us in times.items()),
            record("GRU 64→128, 8×20, plain", rnnport=1.0),
        )
    )
    found = points(rows, AXES[0], "rnnport")
    assert found == [(1.0, 10.0), (20.0, 50.0), (100.0, 250.0), (500.0, 2500.0)]
    assert exponent(found) == pytest.approx(1.4306765580733931)  # ten times the time for five
    assert exponent(found[:2]) is None


def test_the_page_says_what_the_results_say(tmp_path: Path) -> None:
    found = some_results()
    found.add({"fresh": "rnnport", "load_s": 0.25, "first_run_s": 0.0125, "peak_bytes": 90e6})
    make_page(found, tmp_path / "performance.md")
    text = (tmp_path / "performance.md").read_text()
    for line in (
        "**a processor, 2 cores, Linux x86_64; 2 threads for each contender; Python 3.11; rnnport "
        "0.1.0, onnxruntime 1.31.1.**",
        "| rows ahead of every peer | at least 95% | 50.0% | ✗ | of all rows; of the 1 behind, 1 "
        "are even (the quartiles overlap); with OpenVINO on rnnport's graph as one more peer "
        "66.7% |",
        f"| tf2onnx | 3 | **3.00×** | 66.7% | 0.95× | {BEHIND} |",
        f"| {BEHIND} | tf2onnx | 0.95× (disturbed) | 100 | 95 |",
        "- GRU 16→32, 1×1, plain: rnnport failed, Unequal: it differs",
        "| torch.nn | torch is not installed | 3 |",
        "| rnnport | 0.25 | 12.5 | 90 |",
    ):
        assert line in text.splitlines(), line
    assert "Rows measured: 4 of 659" in text
    told = " ".join(text.split())
    assert "more than 8% of the cores do not count where quieter ones exist; 1 of 3 rows" in told

    rows = (tmp_path / "performance-rows.md").read_text().splitlines()
    (line,) = [line for line in rows if line.startswith(f"| {BEHIND}°")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == [
        "100.0 [90.0, 110.0]",
        *["–", "–", "3.00", "–", "0.95", "–", "–", "–", "0.70", "–"],
    ]
    summary = json.loads((tmp_path / "performance.json").read_text())
    assert summary["behind"] == {BEHIND: {"tf2onnx": 0.95}}
    assert summary["failed"] == {"GRU 16→32, 1×1, plain": "Unequal: it differs"}
    for name in ("ratios", "floor", "growth"):
        picture = (tmp_path / "pictures" / "performance" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")


def test_the_page_says_how_guests_were_kept_out(tmp_path: Path) -> None:
    found = some_results()
    found.header |= {"neighbours": 1.15, "waits": "until the threads sleep"}
    slowed = record("GRU 64→128, 1×100, plain", rnnport=10.0, tf2onnx=9.0)
    found.add({**slowed, "slowdown": 1.3})
    make_page(found, tmp_path / "performance.md")
    text = (tmp_path / "performance.md").read_text()
    assert "| GRU 64→128, 1×100, plain | tf2onnx | 0.90× (disturbed) | 10 | 9 |" in text
    told = " ".join(text.split())
    assert "took more than 1.15 of that core's usual best), do not count" in told
    assert "; 2 of 4 rows had a contender without any" in told
    assert "over the calls of its fastest third of blocks: on virtual machines" in told


def test_pictures_of_the_page_are_where_it_looks(tmp_path: Path) -> None:
    make_page(some_results(), tmp_path / "performance.md")
    lines = (tmp_path / "performance.md").read_text().splitlines()
    named = [line.partition("](")[2].rstrip(")") for line in lines if line.startswith("![")]
    assert len(named) == 3
    assert all((tmp_path / name).is_file() for name in named)
