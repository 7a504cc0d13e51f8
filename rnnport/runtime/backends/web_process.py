"""The Node process of a web session, and the frames that go to it and back."""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from rnnport.runtime.backends.base import Array, RunFailed

__all__ = ["WebProcess"]

_WORKER = Path(__file__).with_name("web_worker.mjs")
_PREFIX = struct.Struct("<4sIQ")
_MAGIC = b"RNNP"
_LONGEST_HEADER = 1 << 26


class WebProcess:
    """A Node process that holds one model. Calls from several threads take turns.

    Ends with close, with this object, or with the interpreter; if that is killed, with its pipe.

    Args:
        node: the Node program.
        dist: onnxruntime-web's folder `dist`.
        runtime: what to call it in messages.
    """

    def __init__(self, node: str, dist: Path, runtime: str) -> None:
        self.runtime = runtime
        self._lock = threading.Lock()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115, open as long as the process
        self._process = subprocess.Popen(
            [node, str(_WORKER), str(dist)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )
        self._end = weakref.finalize(self, _stop, self._process, self._complaints)

    def ask(
        self, header: Mapping[str, Any], tensors: Mapping[str, Array]
    ) -> tuple[dict[str, Any], list[Array]]:
        """Send a frame and wait for the answer.

        Args:
            header: what the worker is to do.
            tensors: input name to array, C-contiguous.

        Returns:
            The answer's header, and the tensors it lists, as new arrays.

        Raises:
            RunFailed: the worker refused, or is gone.
        """
        with self._lock:
            if self._process.returncode is not None:
                raise RunFailed(self.runtime, "the session is closed")
            try:
                self._send(header, tensors)
                answer, arrays = self._receive()
            except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
                raise RunFailed(self.runtime, self._last_words(error)) from error
            except BaseException:  # a frame cut short: what follows would make no sense
                self.close()
                raise
        if "error" in answer:
            raise RunFailed(self.runtime, " ".join(str(answer["error"]).split())[:500])
        return answer, arrays

    def close(self) -> None:
        """End the process."""
        self._end()

    def _send(self, header: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
        listed = [
            {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)}
            for name, array in tensors.items()
        ]
        text = json.dumps({**header, "tensors": listed}).encode()
        size = sum(array.nbytes for array in tensors.values())
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(_PREFIX.pack(_MAGIC, len(text), size) + text)
        for array in tensors.values():
            pipe.write(array.tobytes())
        pipe.flush()

    def _receive(self) -> tuple[dict[str, Any], list[Array]]:
        pipe = self._process.stdout
        assert pipe is not None
        magic, length, size = _PREFIX.unpack(_exactly(pipe, _PREFIX.size))
        if magic != _MAGIC or length > _LONGEST_HEADER:
            raise ValueError("an answer that is no frame")
        header = json.loads(_exactly(pipe, length))
        arrays = _arrays(_exactly(pipe, size), header["tensors"])
        return header, arrays

    def _last_words(self, error: Exception) -> str:
        """What is known of a process that no longer answers; it is ended."""
        gone = isinstance(error, (EOFError, OSError))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5 if gone else 0)
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - 300))
        complaints = " ".join(self._complaints.read().decode(errors="replace").split())
        code = self._process.returncode
        self.close()
        return f"no answer from Node (exit status {code}): {complaints or error}"


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError(f"{len(data)} bytes of an answer of {size}")
    return data


def _arrays(data: bytes, listed: Sequence[Mapping[str, Any]]) -> list[Array]:
    found, place = [], 0
    for one in listed:
        dtype, shape = np.dtype(one["dtype"]), tuple(one["shape"])
        count = math.prod(shape)
        if place + count * dtype.itemsize > len(data):
            raise ValueError("tensors larger than their frame")
        found.append(np.frombuffer(data, dtype, count, place).reshape(shape).copy())
        place += count * dtype.itemsize
    if place != len(data):
        raise ValueError("tensors smaller than their frame")
    return found


def _stop(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, complaints):
        if stream is not None:
            with contextlib.suppress(OSError):  # what was still to be sent
                stream.close()
