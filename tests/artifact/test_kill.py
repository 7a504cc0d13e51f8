"""A save killed at any moment leaves the old artifact or the new one, and no trace after the next.

The child forks once for every line that a save executes in save.py, swap.py, leftovers.py and
shutil, and kills itself with SIGKILL just before that line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import json, os, shutil, signal, sys
from pathlib import Path
import msgspec
from rnnport.artifact import save, swap, leftovers, load

out, source, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
files = {p.name: p.read_bytes() for p in source.iterdir() if p.name != "rnnport.json"}
old = load.open_artifact(source).manifest
new = msgspec.structs.replace(old, name="new")
if mode == "aside":
    swap.exchange = lambda *_: False
os.fsync = lambda _: None  # a kill, unlike a power cut, loses nothing the kernel was given
WATCHED = {m.__file__ for m in (save, swap, leftovers, shutil)}

def store(manifest, overwrite):
    with save.staging(out, overwrite=overwrite) as draft:
        for name, data in files.items():
            (draft.folder / name).write_bytes(data)
        draft.commit(manifest)

def killed_at(count):
    pid = os.fork()
    if pid == 0:
        left = [count]
        def trace(frame, event, arg):
            if frame.f_code.co_filename not in WATCHED:
                return None
            if event == "line":
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace
        sys.settrace(trace)
        store(new, overwrite=True)
        sys.settrace(None)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])

def reset():
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir()
    if mode != "fresh":
        shutil.copytree(source, out)

seen, count = [], 0
while True:
    reset()
    if not killed_at(count):
        break
    there = os.path.lexists(out)
    try:
        found = load.open_artifact(out).manifest.name
    except Exception as error:
        found = type(error).__name__
    with save.staging(out, overwrite=True):  # the next save to the same target
        pass
    seen.append([there, found, [p.name for p in out.parent.iterdir() if p != out]])
    count += 1
print(json.dumps(seen))
"""


@pytest.mark.parametrize("mode", ["fresh", "exchange", "aside"])
def test_killed_at_every_line(tmp_path: Path, lstm_folder: Path, mode: str) -> None:
    out = tmp_path / "room" / "out"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(out), str(lstm_folder), mode],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) > 40
    before = "UsageError" if mode == "fresh" else "tiny"
    assert {found for _, found, _ in seen} == {before, "new"}
    # Never back from new to old as the save goes on.
    assert [found for _, found, _ in seen] == sorted((f for _, f, _ in seen), key="new".__eq__)
    assert all(rest == [] for _, _, rest in seen)
    if mode == "exchange":
        assert all(there for there, _, _ in seen)
