from __future__ import annotations

from pathlib import Path

import pytest
from suite.store import Store, read_results

from tests.benchmarks.records import HEADER, record

FIRST, SECOND = "LSTM 16→32, 1×1, plain", "GRU 64→128, 8×20, random mask"


def test_a_cut_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "grid.jsonl"
    store = Store(path, HEADER, resume=False)
    store.add(record(FIRST, rnnport=10.0))
    store.add({"model": "LSTM 16→32", "export_s": {}})
    whole = path.read_text()
    path.write_text(whole + '{"row": "GRU 64→128, 8×2')
    again = Store(path, HEADER, resume=True)
    assert set(again.results.rows) == {FIRST}
    assert set(again.results.models) == {"LSTM 16→32"}
    again.add(record(SECOND, rnnport=20.0))
    assert path.read_text().startswith(whole)
    found = read_results(path)
    assert found.header == HEADER
    assert {key: row["us"]["rnnport"][0] for key, row in found.rows.items()} == {
        FIRST: 10.0,
        SECOND: 20.0,
    }


def test_the_last_record_of_a_row_counts(tmp_path: Path) -> None:
    store = Store(tmp_path / "grid.jsonl", HEADER, resume=False)
    store.add(record(FIRST, share=0.9, rnnport=10.0))
    store.add(record(FIRST, rnnport=11.0))
    assert read_results(store.path).rows[FIRST]["us"]["rnnport"][0] == 11.0
    Store(store.path, HEADER, resume=True)
    assert len(store.path.read_text().splitlines()) == 2


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "grid.jsonl"
    Store(path, HEADER, resume=False).add(record(FIRST, rnnport=10.0))
    assert Store(path, HEADER, resume=False).results.rows == {}
    assert len(path.read_text().splitlines()) == 1


def test_another_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.jsonl"
    Store(path, HEADER, resume=False)
    with pytest.raises(ValueError, match=r"^grid\.jsonl was measured with other machine"):
        Store(path, {**HEADER, "threads": 1}, resume=True)


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "grid.jsonl"
    path.write_text('{"header": {}}\n{"row"\n{"row": "x"}\n')
    with pytest.raises(ValueError, match=r"^grid\.jsonl, line 2: "):
        read_results(path)
    path.write_text('{"what": 1}\n')
    with pytest.raises(ValueError, match="a record of no known kind: what"):
        read_results(path)
