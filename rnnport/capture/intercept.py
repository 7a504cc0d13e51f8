"""Replaces `call` of the recurrent classes while one thread traces one model.

The classes are patched under a lock, act only on the thread that traces, and are put back whatever
happens. Other threads, and the model afterwards, see Keras as it was.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnport.errors import RnnportError

if TYPE_CHECKING:
    from rnnport.capture.context import TraceContext

__all__ = ["Patch", "current", "intercepting"]

Handler = Callable[..., Any]

_LOCK = threading.RLock()
_THREAD = threading.local()


@dataclass(frozen=True)
class Patch:
    """Route calls of `owner.name` on the tracing thread to `handler`.

    Attributes:
        owner: the class, or the module.
        name: the method or function.
        handler: called as handler(context, original, *args, **kwargs), args[0] being self.
        always: even where the other handlers stand aside.
    """

    owner: Any
    name: str
    handler: Handler
    always: bool = False


def current() -> TraceContext | None:
    """The context of the trace running on this thread, unless suspended."""
    context: TraceContext | None = getattr(_THREAD, "context", None)
    return None if context is None or context.suspended else context


@contextmanager
def intercepting(context: TraceContext, patches: list[Patch]) -> Iterator[None]:
    """Route the patched methods of this thread through their handlers.

    Args:
        context: receives what the handlers record.
        patches: what to route.
    """
    with _LOCK:
        undo: list[Callable[[], None]] = []
        outer = getattr(_THREAD, "context", None)
        try:
            for patch in patches:
                undo.append(_install(patch))
            _THREAD.context = context
            yield
        finally:
            _THREAD.context = outer
            for restore in reversed(undo):
                restore()


def _install(patch: Patch) -> Callable[[], None]:
    own = vars(patch.owner).get(patch.name)
    original = getattr(patch.owner, patch.name)

    @functools.wraps(original)
    def routed(*args: Any, **kwargs: Any) -> Any:
        context = getattr(_THREAD, "context", None) if patch.always else current()
        if context is None:
            return original(*args, **kwargs)
        try:
            return patch.handler(context, original, *args, **kwargs)
        except RnnportError as error:  # Keras raises another one of its own wording in its place
            context.refusal = context.refusal or error
            raise

    # Keras 2 looks up what a `call` takes, and not behind `__wrapped__`.
    routed.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    setattr(patch.owner, patch.name, routed)
    if own is None:
        return lambda: delattr(patch.owner, patch.name)
    return lambda: setattr(patch.owner, patch.name, own)
