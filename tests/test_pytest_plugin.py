"""The fixture in a suite of its own, TensorFlow left out: a report stands in for the real one."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins come from these tests, not from a package of that name that others install."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


STAND_INS = """
import pytest
import rnnport
from tests.parity import reports
from tests.tiny import lstm_artifact

seen = []

@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    def export(model, out, **options):
        seen.append(("export", out, options))
        return lstm_artifact(out)

    def verify(artifact, **options):
        seen.append(("verify", artifact.path, options))
        return getattr(reports, options["model"])()

    seen.clear()
    monkeypatch.setattr(rnnport, "export", export)
    monkeypatch.setattr(rnnport, "verify", verify)
"""


def words() -> list[str]:
    """How pytest finds the plugin: by its entry point, or by name where that is not installed."""
    installed = any(one.name == "rnnport" for one in entry_points(group="pytest11"))
    return [] if installed else ["-p", "rnnport.pytest_plugin"]


def suite(pytester: pytest.Pytester, test: str) -> pytest.RunResult:
    pytester.makeconftest(STAND_INS)
    pytester.makepyfile(test)
    return pytester.runpytest_subprocess(*words(), "-p", "no:cacheprovider", "-W", "error")


def test_a_model_that_is_equal(pytester: pytest.Pytester) -> None:
    done = suite(
        pytester,
        """
        from conftest import seen

        def test_model(assert_parity, tmp_path):
            artifact = assert_parity("passed", target="cpu")
            assert artifact.path == tmp_path / "artifact"
            assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
            assert seen[0][2]["target"] == "cpu"
            assert seen[1][2]["model"] == "passed"
            assert_parity("passed")
            assert sorted(p.name for p in tmp_path.iterdir()) == [
                "artifact", "artifact-2", "report-2.html", "report.html"
            ]
            assert_parity("passed", artifact=artifact)
            assert [what for what, *_ in seen].count("export") == 2
            assert (tmp_path / "report-3.html").exists()
        """,
    )
    done.assert_outcomes(passed=1)


def test_a_model_that_differs_says_where_and_names_the_report(pytester: pytest.Pytester) -> None:
    done = suite(pytester, "def test_model(assert_parity): assert_parity('failed')")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "E*AssertionError: sleep-staging on cpu: 6 of 72 checks failed: 1 of 10 shapes, *",
            "E*masks: right mask, B=4 T=11, output stage: max abs error 4.1e-02, bound 1.0e-05 *",
            "E*starts: row 2, step 7 of 23, the first masked step: 4.1e-02",
            "E*reproduce: rnnport verify sleep-staging --provider cpu *",
            "E*report: *report.html",
        ]
    )


def test_what_failed_at_export_fails(pytester: pytest.Pytester) -> None:
    done = suite(
        pytester,
        """
        import msgspec
        import pytest
        import rnnport
        from dataclasses import replace
        from rnnport.spec import Check

        def test_model(assert_parity, monkeypatch):
            def export(model, out, **options):
                artifact = first(model, out, **options)
                lost = Check(name="steps", output="y", error=1.0, bound=1e-5, passed=False)
                parity = [*artifact.manifest.parity, lost]
                return replace(artifact, manifest=msgspec.structs.replace(
                    artifact.manifest, parity=parity))

            first = rnnport.export
            monkeypatch.setattr(rnnport, "export", export)
            with pytest.raises(AssertionError, match="1 of 73 checks failed: 1 of 1 other checks"):
                assert_parity("passed")
        """,
    )
    done.assert_outcomes(passed=1)


def test_help_lists_the_fixture(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_subprocess(*words(), "--fixtures", "-p", "no:cacheprovider")
    done.stdout.fnmatch_lines(["assert_parity*", "*rnnport.testing.assert_parity, the artifact*"])


def test_loading_it_imports_nothing_heavy() -> None:
    heavy = {"tensorflow", "keras", "tf_keras", "onnxruntime", "onnx", "numpy", "rich", "typer"}
    code = f"import sys, rnnport.pytest_plugin; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
