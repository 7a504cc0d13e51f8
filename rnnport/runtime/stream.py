"""Stream: one live stream among those that asyncio steps together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rnnport.errors import StreamError
from rnnport.runtime.batch import Kind, Place, Request
from rnnport.runtime.fixed_checks import check_fixed_row
from rnnport.runtime.stream_checks import check_row, exact_row
from rnnport.runtime.stream_plan import StreamPlan

__all__ = ["Stream"]


class Stream:
    """One live stream; Streams.open makes it.

    Args:
        plan: the stream form's.
        place: the stream's, in the pool.
        submit: waits until a request is served, and gives what it gave.
    """

    def __init__(
        self, plan: StreamPlan, place: Place, submit: Callable[[Request], Awaitable[Any]]
    ) -> None:
        self._plan, self._place, self._submit = plan, place, submit
        self._row = exact_row(plan)
        # Asked to close; the place knows whether it came to that.
        self._closed = False

    async def step(self, /, *args: Any, **kwargs: Any) -> Any:
        """Take one step.

        Args:
            *args: arrays (F…), without batch and time, as Runner.run takes them.
            **kwargs: arrays by input name.

        Returns:
            Outputs (F…), nested as Keras gives them.

        Raises:
            InputError: names, shapes, dtypes or values do not fit; only this call fails.
            StreamError: the stream is closed, or the context was left.
        """
        if len(args) == 1 and not kwargs and self._row is not None and self._row.fits(args[0]):
            return await self._ask("step", {self._row.name: args[0]})
        given = self._plan.bind(args, kwargs)
        return await self._ask("step", check_row(self._plan, self._plan.steps, given))

    async def feed(self, /, *args: Any, **kwargs: Any) -> Any:
        """Take the steps of a chunk; as step, with arrays (t, F…)."""
        given = self._plan.bind(args, kwargs)
        return await self._ask("feed", check_row(self._plan, self._plan.pieces, given))

    async def reset(self, *, fixed: Mapping[str, Any] | None = None) -> None:
        """Start anew, after what was asked before; fixed as in open, those left out stay."""
        await self._ask("reset", check_fixed_row(self._plan, fixed, required=False))

    async def snapshot(self) -> bytes:
        """The stream as bytes, after what was asked before."""
        blob: bytes = await self._ask("snapshot", {})
        return blob

    async def close(self) -> None:
        """End the stream, after what was asked before."""
        self._check_open()
        self._closed = True
        try:
            await self._ask("close", {}, closing=True)
        except BaseException:
            self._closed = False
            raise

    async def _ask(self, kind: Kind, arrays: dict[str, Any], *, closing: bool = False) -> Any:
        if not closing:
            self._check_open()
        # The caller may reuse its arrays while the request waits.
        own = {name: array.copy() for name, array in arrays.items()}
        return await self._submit(Request(self._place, kind, own))

    def _check_open(self) -> None:
        if self._closed or self._place.closed:
            remedy = "open another with streams.open()"
            raise StreamError.of("stream", "closed", "an open stream", remedy)
