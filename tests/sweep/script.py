"""A failing model as a script of its own, which needs nothing but rnnport and Keras."""

from __future__ import annotations

import hashlib
import inspect

from tests.sweep import halves, pieces, stepper
from tests.sweep.build import Case, build_with_recipe, written
from tests.sweep.drawn_weights import draw_weights
from tests.sweep.expected import scan_expected, scan_needed, streams_expected
from tests.sweep.fault import Fault
from tests.sweep.stack import Stack

_HEAD = '''"""{kind}

{seen}

Drawn as {case}
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
'''

_MAIN = '''
def drawn():
    """The model with its weights."""
    model = build()
    {weights}
    return model


def check(folder):
    """Whether the model exports, and does what TensorFlow does."""
    model = drawn()
    artifact = rnnport.export(model, folder / "out", target={target!r})
    manifest = artifact.manifest
    operators = manifest.forms["model"].op_counts
    print("operators:", dict(operators))
    print("streamable:", manifest.streamable.ok, manifest.streamable.reason)
    print("hand-off:", manifest.handoff.ok, manifest.handoff.reason)
    report = rnnport.verify(folder / "out", model=model)
    for row in report.checks:
        print("passed" if row.passed else "FAILED", row.name, row.output, row.error, row.note)
{demands}    return report.passed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.exit(0 if check(Path(name)) else 1)
'''


def script(case: Case, fault: Fault) -> str:
    """The source of a script that shows the fault: it exits with 1, or raises.

    Args:
        case: the model.
        fault: what was seen of it.
    """
    code = written(case)
    package = "failure_" + digest(case)
    seen = " ".join(fault.text.split())[:600].replace("\\", "/").replace('"""', "'''")
    parts = [
        _HEAD.format(kind=fault.kind, seen=seen, case=case),
        "\n".join([*pieces.header(code.framework), "", "import rnnport"]),
        *pieces.imports(code.needed),
        _imports_of(fault),
        *_spaced(pieces.sources(code.framework, code.needed, package)),
        *_spaced([inspect.getsource(draw_weights), *_law(fault), code.text()]),
        _MAIN.format(
            weights=_weights(case, fault), target=case.target, demands=_demands(case, fault)
        ),
    ]
    return "\n".join(part for part in parts if part)


def digest(case: Case) -> str:
    """A short name of a case, always the same."""
    return hashlib.sha256(repr(case).encode()).hexdigest()[:8]


def _weights(case: Case, fault: Fault) -> str:
    if fault.kind.startswith("build"):
        return "pass"
    return build_with_recipe(case)[1].text()


def _spaced(parts: list[str]) -> list[str]:
    return [f"\n\n{part.strip()}" for part in parts]


def _law(fault: Fault) -> list[str]:
    """The function that holds the law which was broken, where verify does not hold it."""
    if fault.kind.startswith("stepper"):
        return [inspect.getsource(stepper.check_stepper)]
    if fault.kind.startswith("halves"):
        return [inspect.getsource(halves.check_halves), inspect.getsource(halves.run_half)]
    return []


def _imports_of(fault: Fault) -> str:
    module = {"stepper": stepper, "halves": halves}.get(fault.kind.split(":")[0])
    if module is None:
        return ""
    lines = inspect.getsource(module).splitlines()
    wanted = ("from collections", "from rnnport.")
    return "\n".join(line for line in lines if line.startswith(wanted))


def _demands(case: Case, fault: Fault) -> str:
    """What must hold of the graph besides, as assertions, and the law that was broken."""
    lines = ['assert not {"Loop", "If"} & set(operators), operators']
    if not scan_expected(case):
        lines.append('assert "Scan" not in operators, operators')
    if isinstance(case, Stack) and scan_needed(case):
        lines.append('assert "Scan" in operators, operators')
    if isinstance(case, Stack) and not any(layer.unroll for layer in case.layers):
        lines.append(f"assert manifest.streamable.ok is {streams_expected(case)}")
    if not isinstance(case, Stack):
        lines.append(f"assert manifest.handoff.ok is {case.hands_off}")
    lines.append("assert not manifest.conditioning, manifest.conditioning")
    if fault.kind.startswith("stepper"):
        lines.append(f'check_stepper(folder / "out", {case.seed})')
    if fault.kind.startswith("halves"):
        lines.append(f'check_halves(model, folder / "out", {case.seed})')
    return "".join(f"    {line}\n" for line in lines)
