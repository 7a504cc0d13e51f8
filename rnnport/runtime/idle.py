"""Waits until this process's own threads sleep.

onnxruntime's threads go on spinning for 50 ms and more after a run, and whoever is timed next
shares the cores with them: a layer on two threads then takes up to three times as long.
"""

from __future__ import annotations

import time

__all__ = ["until_idle"]

_GLANCE = 0.004  # s
# Of one core, what may still be used; reading the clocks costs some of it.
_BUSY = 0.1


def until_idle(most: float = 0.3) -> bool:
    """Sleep until no thread of this process runs.

    Args:
        most: seconds; threads that never sleep are not waited for.

    Returns:
        Whether they sleep.
    """
    deadline = time.perf_counter() + most
    while time.perf_counter() < deadline:
        wall, used = time.perf_counter(), time.process_time()
        time.sleep(_GLANCE)
        if time.process_time() - used <= _BUSY * (time.perf_counter() - wall):
            return True
    return False
