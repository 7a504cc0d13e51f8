"""The scripts' surroundings: constraints, tracked files, the committed artifact. No network."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import rnnport

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "artifacts" / "digits-lstm"
COMMANDS = (
    "scripts/test",
    "scripts/demo",
    "scripts/bench",
    "scripts/bench_cells",
    "scripts/bench_core",
    "scripts/bench_generate",
    "scripts/stream_transients",
    "scripts/g2p",
    "scripts/train_forecast",
    ".ci/run",
)

# Places of one machine, and where packages come from, have no business in the repository.
FOREIGN = re.compile(
    r"(?<![\w./-])/(?:work|root|home|Users|opt|mnt|workspace)/[\w.-]"
    r"|[A-Z]:\\\\?Users"
    r"|index-url|find-links|trusted-host|file://"
    r"|https?://[\w.:-]*(?:pypi|simple/|localhost|127\.0\.0\.1)",
)


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip(f"git ls-files: {listed.stderr.strip()}")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constrained() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [re.fullmatch(r"([A-Za-z0-9][\w.-]*)==([\w.!+-]+)", line) for line in lines]
    wrong = [line for line, match in zip(lines, found, strict=True) if match is None]
    assert not wrong, "constraints.txt holds names and versions only"
    return {normal(match[1]): match[2] for match in found if match}


def test_constraints_cover_what_the_commands_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["export"], *extras["dev"]]
    names = {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in wanted} - {"rnnport"}
    assert names <= set(constrained())


def test_no_machine_in_tracked_files() -> None:
    own = Path(__file__).resolve()
    found = []
    for path in tracked_files():
        if path == own or not path.is_file():
            continue
        content = path.read_bytes()
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if match := FOREIGN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert not found


@pytest.mark.parametrize(
    "line",
    ["see /work/one", "/root/x", "file:///opt/a", "--index-url x", "https://pypi.org/simple/a"],
)
def test_machine_pattern_finds(line: str) -> None:
    assert FOREIGN.search(line)


@pytest.mark.parametrize("line", ["a/root/b", "../work/x", "https://keras.io", "in /home"])
def test_machine_pattern_passes(line: str) -> None:
    assert not FOREIGN.search(line)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_executable(name: str) -> None:
    path = ROOT / name
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")


def test_digits_artifact_is_small_and_equal() -> None:
    assert sum(path.stat().st_size for path in DIGITS.iterdir()) < 300_000
    artifact = rnnport.open(DIGITS)
    assert [layer.lowering for layer in artifact.manifest.layers] == ["LSTM"]
    assert rnnport.verify(DIGITS, provider="cpu").passed


def test_digits_artifact_streams() -> None:
    _, _, images, _ = load_script("train_digits").digits()
    runner = rnnport.load(DIGITS, provider="cpu")
    stepper = runner.stepper(len(images))
    for row in range(images.shape[1]):
        says = stepper.step(images[:, row])
    np.testing.assert_allclose(says, runner.run(images), rtol=0, atol=1e-6)


def test_another_process_goes_on_with_the_digits(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((8, 1, 8), np.float32)
    stepper = rnnport.load(DIGITS, provider="cpu").stepper()
    whole = np.stack([stepper.step(row) for row in rows])
    stepper.reset()
    for row in rows[:4]:
        stepper.step(row)
    saved, source, target = (tmp_path / name for name in ("stream", "in.npy", "out.npy"))
    saved.write_bytes(stepper.snapshot())
    np.save(source, rows[4:])
    words = [str(path) for path in (DIGITS, saved, source, target)]
    told = subprocess.run(
        [sys.executable, "scripts/resume.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"foreign": []' in told.stdout
    np.testing.assert_array_equal(np.load(target, allow_pickle=False), whole[4:])


def test_digits_artifact_reads_digits() -> None:
    _, _, images, labels = load_script("train_digits").digits()
    runner = rnnport.load(DIGITS, provider="cpu")
    assert np.mean(runner.run(images).argmax(1) == labels) >= 0.95


def test_digits_artifact_runs_without_tensorflow(tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, np.zeros((2, 8, 8), np.float32))
    told = subprocess.run(
        [sys.executable, "scripts/infer.py", str(DIGITS), str(source), str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"foreign": []' in told.stdout
    assert np.load(target, allow_pickle=False).shape == (2, 10)
