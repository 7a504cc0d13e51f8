"""The mission table's rows by name, and what the tests saw of each: docs/support.md is made of it.

Loaded as a pytest plugin by scripts/support.py. Every artifact that a row's tests export or open is
noted, and so is every report of rnnport.verify; nothing is entered by hand. For scripts/prove.py
the artifacts are kept too.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnport
from rnnport.artifact.manifest import MANIFEST_FILE, decode

ROWS = {
    "K1": "Embedding → LSTM → Dense",
    "K2": "GRU → SimpleRNN → Dense",
    "K3": "encoder-decoder with state hand-off",
    "K4": "RNN over LSTMCell, GRUCell, SimpleRNNCell",
    "K5": "stateful LSTM, fed in pieces",
    "K6": "Bidirectional, every merge, a backward layer of other size",
    "K7": "rows of images: LSTM → BatchNormalization",
    "K8": "what switches cuDNN off: activations, no bias, masks not right-padded",
    "K9": "nested inputs, states and outputs (tf_keras)",
    "K10": "SimpleRNN with relu",
    "K11": "cells driven by hand, stacked cells",
    "K12": "subclassed models",
    "K13": "all options",
    "K14": "ConvLSTM1D, 2D, 3D",
    "K15": "three stacked stateful LSTM",
    "K16": "masks: Masking, Embedding, through other layers, by hand",
    "K17": "two encoders and a classifier",
    "K18": "Keras 2 files",
    "K19": "attention, convolutions, pooling around recurrence",
    "T1": "BasicRNNCell, by hand and under dynamic_rnn",
    "T2": "BasicLSTMCell, LSTMCell with peepholes, projection, clipping",
    "T3": "GRUCell, block cells, BlockLSTM",
    "T4": "MultiRNNCell under dynamic_rnn",
    "T5": "Dropout, Residual and Device wrappers, wrappers of one's own",
    "T6": "static, bidirectional, raw and state-saving loops, sequence_length",
    "T7": "NAS, UGRNN, GLSTM and Grid cells",
}

# Whole files that are one row.
FILES = {"test_old_files": "K18", "test_published": "K18"}

_ROW = re.compile(r"(?:test_|\b)([kKtT]\d{1,2})(?=\b|_)")
_WHOLE, _STREAM = ("golden", "fresh", "encoder", "decoder", "steps"), ("stream", "hand-off")
_seen: dict[str, dict[str, Any]] = {}


def row_of(nodeid: str) -> str | None:
    """The row a test belongs to, by its file, its name or its parameter."""
    for name, row in FILES.items():
        if f"/{name}.py::" in nodeid:
            return row
    found = _ROW.search(nodeid.split("::", 1)[-1])
    row = found.group(1).upper() if found else ""
    return row if row in ROWS else None


@pytest.fixture(autouse=True)
def _noting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    row = row_of(request.node.nodeid)
    if row is None:
        yield
        return
    artifacts: dict[Path, Any] = {}
    reports: list[Any] = []

    def noted(name: str) -> Any:
        original = getattr(rnnport, name)

        def call(*args: Any, **keywords: Any) -> Any:
            result = original(*args, **keywords)
            if name == "verify":
                reports.append(result)
            else:
                artifacts[result.path if name != "load" else Path()] = result.manifest
            return result

        return call

    for name in ("export", "open", "load", "verify"):
        monkeypatch.setattr(rnnport, name, noted(name))
    yield
    keep = request.config.getoption("--keep-artifacts")
    if keep is not None:
        for path in artifacts:
            _keep(path, keep / row, request.node.name)
    manifests = [m for path, m in artifacts.items() if path != Path()] or [*artifacts.values()]
    _note(row, manifests, [check for report in reports for check in report.checks])


def _keep(path: Path, folder: Path, test: str) -> None:
    """A copy of an artifact, once, under the name of the test that made it first."""
    if not (path / MANIFEST_FILE).is_file():  # the path of a loaded runner, or one cleaned away
        return
    manifest = decode((path / MANIFEST_FILE).read_bytes())
    content = manifest.forms["model"].record.sha256[:12] + manifest.golden.sha256[:12]
    if any(folder.glob(f"*{content}")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    label = re.sub(r"[^A-Za-z0-9_.-]+", "_", test.removeprefix("test_"))[:80]
    shutil.copytree(path, folder / f"{label}~{content}")


def _note(row: str, manifests: list[Any], fresh: list[Any]) -> None:
    entry = _seen.setdefault(
        row,
        {"models": 0, "errors": {}, "ops": {}, "streams": 0, "reasons": {}, "left": 0, "known": []},
    )
    ops, reasons = Counter(entry["ops"]), Counter(entry["reasons"])
    for manifest in manifests:
        content = manifest.forms["model"].record.sha256 + manifest.golden.sha256
        if content in entry["known"]:  # another test of the row opened it
            continue
        entry["known"].append(content)
        entry["models"] += 1
        found = manifest.forms["model"].op_counts
        ops.update(op for op in ("LSTM", "GRU", "RNN", "Scan", "Loop") if found.get(op))
        entry["left"] += any(layer.lowering == "tf2onnx" for layer in manifest.layers)
        verdicts = (manifest.streamable, manifest.handoff)
        entry["streams"] += any(verdict.ok for verdict in verdicts)
        if not any(verdict.ok for verdict in verdicts):
            reasons[manifest.streamable.reason] += 1
    entry["ops"], entry["reasons"] = dict(ops), dict(reasons)
    for check in [*(c for m in manifests for c in m.parity), *fresh]:
        kind = "stream" if check.name.startswith(_STREAM) else "whole"
        if check.error is None or not check.bound:
            continue
        tolerance = 1e-6 if kind == "stream" else 1e-5
        relative = check.error / check.bound * tolerance
        entry["errors"][kind] = max(relative, entry["errors"].get(kind, 0.0))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--support-json", type=Path, help="write what was seen of each row there")
    parser.addoption("--rows", nargs="+", default=[*ROWS], help="run the tests of these rows alone")
    parser.addoption("--keep-artifacts", type=Path, help="copy every row's artifacts there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The tests of the rows wanted, and no others."""
    wanted = set(config.getoption("--rows"))
    items[:] = [item for item in items if row_of(item.nodeid) in wanted]


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--support-json")
    if path is not None:
        path.write_text(json.dumps(_seen, indent=2, ensure_ascii=False) + "\n")
