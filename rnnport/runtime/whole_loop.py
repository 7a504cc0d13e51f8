"""WholeLoop: generate.onnx in place of a loop over encoder.onnx and decoder.onnx.

One call instead of one a step: half the time and less for small batches. Rows of a batch run in
parts side by side, each on one thread: inside a step, threads would wait for one another at every
operator. It does what it was exported for and nothing else; export, and verify, hold its tokens
against the loop's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.crew import run_together
from rnnport.runtime.form_sessions import FormSessions
from rnnport.runtime.generate_checks import Request
from rnnport.runtime.hypotheses import Hypothesis
from rnnport.runtime.layout import cut
from rnnport.runtime.session import run_refused
from rnnport.runtime.walk import ENDED
from rnnport.spec import Generate

__all__ = ["GENERATE", "WholeLoop"]

Arrays = dict[str, NDArray[Any]]
Ids = NDArray[np.int64]

GENERATE = "generate"
_ROWS = 4  # of a part, at least


@dataclass(frozen=True)
class WholeLoop:
    """Runs generate.onnx, greedy.

    Attributes:
        wish: what the graph does.
        sessions: of the graph.
        parts: into how many a batch may be cut; 1 where its rows influence one another.
        one_each: every part has a session of its own.
    """

    wish: Generate
    sessions: FormSessions
    parts: int = 1
    one_each: bool = True

    def suits(self, request: Request, *, scored: bool) -> bool:
        """Whether the graph does what is asked for.

        Args:
            request: checked.
            scored: whether scores are wanted, which a greedy graph does not give.
        """
        wish = self.wish
        asked = (request.start, request.stops, request.max_steps)
        done = (wish.start, tuple(sorted(set(wish.stops))), wish.max_steps)
        greedy = request.beam_width == wish.beam_width == 1 and not request.samples
        return greedy and asked == done and not (scored or request.min_steps)

    def run(self, arrays: Arrays) -> list[list[Hypothesis]]:
        """Decode sources that share a batch.

        Args:
            arrays: the encoder's inputs, (B, S, …) each.

        Returns:
            One hypothesis for each source, its stop left out and its score 0.

        Raises:
            InputError: onnxruntime refused the values.
        """
        batch = len(next(iter(arrays.values())))
        count = min(self.parts, batch // _ROWS)
        try:
            ids = self._ids(arrays) if count < 2 else self._in_parts(arrays, cut(batch, count))
        except Exception as error:
            raise run_refused(f"{GENERATE}.onnx", error) from error
        return [[Hypothesis(0.0, row[row != ENDED])] for part in ids for row in part]

    def _ids(self, arrays: Arrays) -> list[Ids]:
        return [self.sessions.session_for(arrays).run(None, arrays)[0]]

    def _in_parts(self, arrays: Arrays, parts: Sequence[tuple[int, int]]) -> list[Ids]:
        """Ids of each part, as many steps as the part took."""
        rows = [stop - start for start, stop in parts]
        sessions = self.sessions.singles(rows, one_each=self.one_each)
        found: list[Ids] = [np.zeros((0, 0), np.int64)] * len(parts)

        def job(number: int) -> Callable[[], None]:
            start, stop = parts[number]
            given = {name: array[start:stop] for name, array in arrays.items()}

            def run() -> None:
                found[number] = sessions[number].run(None, given)[0]

            return run

        run_together([job(number) for number in range(len(parts))])
        return found
