"""Reports made by hand, as large and as odd as real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from rnnport.parity.facts import Accuracy, FormFacts, Histogram, Lack
from rnnport.parity.report import ParityReport
from rnnport.spec import Check, LayerReport

COMMAND = "rnnport verify sleep-staging --provider cpu --model sleep-staging.keras"
MASKS = ("right", "left", "interior", "empty row", "no")


def passed(*, many: int = 1) -> ParityReport:
    """Seventy checks over thirteen kinds, times many; drift to 1000 steps for two outputs."""
    return ParityReport(
        name="sleep-staging",
        provider="cpu",
        checks=tuple(msgspec.structs.replace(c) for _ in range(many) for c in _checks()),
        accuracy=tuple(_accuracy()),
        histograms=tuple(_histograms()),
        forms={
            "model": FormFacts(
                file="model.onnx",
                size=1_402_112,
                op_counts={"Transpose": 6, "GRU": 2, "LSTM": 1, "MatMul": 4, "Where": 12, "Add": 9},
            ),
            "stream": FormFacts(
                file="stream.onnx", size=1_407_900, op_counts={"GRU": 2, "LSTM": 1, "Scan": 1}
            ),
        },
        layers=(
            LayerReport(
                name="encoder/gru", kind="GRU", units=[64], lowering="GRU with hold column"
            ),
            LayerReport(name="encoder/gru_1", kind="GRU", units=[64, 64], lowering="GRU"),
            LayerReport(
                name="decoder/attention_wrapper/decoder_lstm_cell",
                kind="LSTM",
                units=[128],
                lowering="Scan",
                reason="activation gelu has no ONNX name",
            ),
        ),
        versions={
            "export": {
                "rnnport": "0.1.0",
                "tensorflow": "2.21.0",
                "keras": "3.15.1",
                "onnxruntime-gpu": "1.23.2",
                "numpy": "2.3.4",
            },
            "here": {"rnnport": "0.1.0", "onnxruntime-gpu": "1.24.1", "numpy": "2.3.4"},
        },
        machine={
            "processor": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
            "system": "Linux-6.1.0-x86_64-with-glibc2.36",
            "cores": "2",
        },
        command=COMMAND,
        seconds=41.27,
    )


def failed() -> ParityReport:
    """Three masks and one chunking of the passed one differ; one run did not come about."""
    report = passed()
    checks = list(report.checks)
    spots = [i for i, c in enumerate(checks) if c.kind == "masks"][:3]
    for rank, i in enumerate(spots):
        checks[i] = msgspec.structs.replace(
            checks[i],
            error=4.1e-2 / (rank + 1),
            passed=False,
            start="row 2, step 7 of 23, the first masked step: 4.1e-02",
        )
    chunk = next(i for i, c in enumerate(checks) if c.kind == "streaming")
    checks[chunk] = msgspec.structs.replace(
        checks[chunk], error=3.4e-6, passed=False, start="chunk 3, step 11: 1.2e-06"
    )
    lost = next(i for i, c in enumerate(checks) if c.kind == "shapes")
    note = "nothing was compared: InvalidArgument: [ONNXRuntimeError] : 2 : got invalid dimensions"
    checks[lost] = msgspec.structs.replace(
        checks[lost], error=None, bound=0.0, passed=False, note=note
    )
    last = msgspec.structs.replace(
        checks[-1], error=5e-5, passed=False, note="3.9 times TensorFlow's own error"
    )
    checks[-1] = last
    accuracy = [msgspec.structs.replace(a, ratio=a.ratio * 3) for a in report.accuracy]
    return replace(report, checks=tuple(checks), accuracy=tuple(accuracy))


def lacking() -> ParityReport:
    """A provider that cannot run the model: nothing was compared."""
    return replace(
        passed(),
        provider="openvino",
        checks=(),
        accuracy=(),
        histograms=(),
        lacks=(
            Lack(form="model", op="LSTM", reason="ignores sequence_lens without an error"),
            Lack(form="stream", op="Scan", reason="no Scan with an open number of steps"),
        ),
        command=COMMAND.replace("cpu", "openvino"),
    )


def partial() -> ParityReport:
    """A provider that runs the model and not its stream."""
    lack = Lack(form="stream", op="Scan", reason="no Scan with an open number of steps")
    return replace(passed(), provider="cuda", lacks=(lack,))


def small() -> ParityReport:
    """One check and nothing else."""
    check = Check(name="golden 1: B=2 T=5", output="y", error=2e-7, bound=1e-5, passed=True)
    return ParityReport("tiny", "cpu", (check,))


def hostile() -> ParityReport:
    """Names and words that would be markup, or break a line of any width."""
    evil = "<script>alert('x')</script>"
    long = "bidirectional_" * 12
    check = Check(
        name=f"fresh, {evil}, {long}",
        output=f'"{long}&amp;',
        error=None,
        bound=0.0,
        passed=False,
        note=f"<b>{long}</b>",
        kind=f"<i>{evil}",
        start=f"]]>{long}",
    )
    report = failed()
    return replace(
        report,
        name=f"{evil}{long}",
        checks=(*report.checks, check),
        histograms=(
            Histogram(output=f"<img src=x onerror=alert(1)>{long}", exact=3, counts={-3: 2}),
        ),
        forms={long: FormFacts(file=f"<{long}>", size=10, op_counts={f"<{long}": 2})},
        layers=(LayerReport(name=long, kind=evil, units=[2] * 40, lowering=evil, reason=long),),
        versions={"here": {long: long}},
        machine={long: long},
        command=f"rnnport verify '{long}' --model \"{evil}\"",
    )


def _checks() -> list[Check]:
    rng = np.random.default_rng(11)
    runs = [
        *(("shapes", f"B={b} T={t}", 1e-5) for b, t in ((1, 1), (1, 23), (3, 7), (8, 40), (64, 2))),
        *(("masks", f"{m} mask, B=4 T={t}", 1e-5) for m in MASKS for t in (11, 23)),
        *(("scale", f"inputs × {s}, B=3 T=12", 1e-5) for s in ("0.001", "100")),
        *(("drift", f"B=2 T={t}", 1e-5) for t in (100, 1000)),
        *(("fresh", f"{m} mask, B=5 T=17", 1e-5) for m in MASKS),
        *(("axes", f"axis {a} at 3 sizes", 1e-5) for a in "BT"),
        *(("isolation", f"row {r} alone and among 31 others", 1e-6) for r in (0, 7)),
        ("determinism", "twice in one session", 0.0),
        ("determinism", "in a session of its own", 0.0),
        *(("streaming", f"B=3 T=41 in {n} {w}", 1e-6) for n, w in ((5, "chunks"), (41, "steps"))),
        ("round trip", "snapshot after 7 steps", 0.0),
        ("hand-off", "encoder, then decoder, B=4 T=9", 1e-5),
        ("generation", "greedy, 6 sources", 0.0),
        ("accuracy", "against float64, drift, B=2 T=1000", 1e-5),
    ]
    outputs = ("stage", "spindles")
    return [
        Check(
            name=name,
            output=output,
            error=0.0 if bound == 0.0 else float(bound * 10 ** rng.uniform(-2.5, -0.5)),
            bound=bound,
            passed=True,
            kind=kind,
        )
        for kind, name, bound in runs
        for output in outputs
    ]


def _accuracy() -> list[Accuracy]:
    rng = np.random.default_rng(7)
    shapes = [("drift, B=2 T=1000", 1000), ("plain, B=4 T=23", 23), ("left mask, B=4 T=23", 23)]
    found = [
        _one(case, output, _walk(rng, steps), _walk(rng, steps))
        for case, steps in shapes
        for output in ("stage", "spindles")
    ]
    pooled = Accuracy(
        case="plain, B=4 T=23",
        output="score",
        truth="TensorFlow in float64",
        error=6e-8,
        tensorflow=1.1e-7,
        ratio=0.55,
    )
    return [*found, pooled]


def _walk(rng: np.random.Generator, steps: int) -> list[float]:
    """Errors that grow, as they do along a sequence; now and then none at all."""
    grown = 2e-8 * (1 + np.arange(steps)) ** 0.4 * rng.lognormal(0, 0.5, steps)
    return [float(e) for e in np.where(rng.random(steps) < 0.02, 0.0, grown)]


def _one(case: str, output: str, ours: Sequence[float], theirs: Sequence[float]) -> Accuracy:
    return Accuracy(
        case=case,
        output=output,
        truth="TensorFlow in float64",
        error=max(ours),
        tensorflow=max(theirs),
        ratio=max(ours) / max(theirs),
        steps=list(ours),
        tensorflow_steps=list(theirs),
    )


def _histograms() -> list[Histogram]:
    stage = {-10: 41, -9: 3_210, -8: 21_877, -7: 9_120, -6: 3}
    return [
        Histogram(output="stage", exact=18_240, counts=stage),
        Histogram(output="spindles", exact=120, counts={-8: 4_000, -7: 1_200}),
    ]
