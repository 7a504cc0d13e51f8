from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rnnport.cli.main import app

CODES = "Exit codes: 0 ok, 1 parity failed, 2 usage, bad input or cannot run, 130 interrupted."


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    "command", [None, "export", "inspect", "verify", "run", "stream", "generate", "bench"]
)
def test_help_documents_exit_codes_and_json(command: str | None) -> None:
    result = CliRunner().invoke(app, [command, "--help"] if command else ["--help"])
    assert result.exit_code == 0
    assert CODES in plain(result.stdout)
    assert ("--json" in result.stdout) is (command is not None)


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, "rnnport 0.1.0\n")


@pytest.mark.parametrize("words", [["nonsense"], ["inspect"], ["run", "x"], ["verify", "--what"]])
def test_usage_errors_are_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_importing_the_command_loads_no_runtime() -> None:
    heavy = "onnxruntime numpy onnx tensorflow keras"
    code = (
        f"import sys, rnnport.cli.main; print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
