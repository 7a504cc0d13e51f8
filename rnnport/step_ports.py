"""What a decoder is fed with and what it gives in one step, and which output is fed back.

Axis letters: B rows, T steps, V vocabulary, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnport.errors import NotGenerative, UsageError
from rnnport.spec import Form, Port

__all__ = ["is_odd", "last_size", "scored_output", "step_time"]


def scored_output(form: Form, name: str = "", *, file: str = "decoder.onnx") -> Port:
    """The output that is fed back: scores of tokens, or numbers.

    It is the only one there is; else the only one as wide as the vocabulary of the ids that are fed
    in, or as the numbers; else, where none is, the only one that could be scores at all. Order says
    nothing, since a dict is sorted by its keys.

    Args:
        form: a decoder with one input given anew for every step.
        name: the user's word, "" for none.
        file: for messages.

    Raises:
        UsageError: no output of that name.
        NotGenerative: which output it is is not clear; lists them.
    """
    if name:
        return _named(form, name)
    if len(form.outputs) == 1:
        return form.outputs[0]
    (step,) = form.per_step
    wanted = _known(step)
    fitting = [port for port in form.outputs if not is_odd(port, True, step_time(step))]
    alike = [port for port in fitting if last_size(port) == wanted]
    found = alike or fitting
    if len(found) == 1:
        return found[0]
    size = "V" if wanted is None else wanted
    raise NotGenerative.of(
        file,
        f"outputs {_list(form.outputs)}; which of them is fed back is not clear",
        f"exactly one float output (B, T, {size}) or (B, {size}), as wide as what {step.name!r} "
        "takes",
        "pass output= with the name of one of them",
    )


def is_odd(port: Port, floats: bool, time: Sequence[str]) -> bool:
    """Whether a port is anything but one entry for every row and step.

    Args:
        port: of a decoder.
        floats: whether an entry is a row of floats, (F,); else it is one id.
        time: the axis letters of a step, from step_time.
    """
    if not port.shape or (isinstance(port.shape[0], str) and port.shape[0] != "B"):
        return True
    rest = [axis for axis in port.shape[1:] if axis != 1 and axis not in time]
    if not floats:
        return bool(rest)
    width = last_size(port)
    return width is None or rest not in ([width], []) or not port.dtype.startswith("float")


def step_time(step: Port) -> tuple[str, ...]:
    """Axis letters of the step; each is 1 when one step is taken."""
    return tuple(axis for axis in step.shape[1:2] if isinstance(axis, str))


def last_size(port: Port) -> int | None:
    """The size of the last axis, None where there is none or it varies."""
    axis = port.shape[-1] if len(port.shape) > 1 else None
    return axis if isinstance(axis, int) and axis > 0 else None


def _known(step: Port) -> int | None:
    """How many ids a step can be, or how many numbers it is."""
    if not step.is_ids:
        return last_size(step)
    return step.sampling.high if step.sampling is not None else None


def _named(form: Form, name: str) -> Port:
    for port in form.outputs:
        if port.name == name:
            return port
    expected = f"one of the decoder's outputs: {_list(form.outputs)}"
    raise UsageError.of("output", repr(name), expected, "name one of them, or leave it out")


def _list(ports: Sequence[Port]) -> str:
    return ", ".join(f"{p.name} {p.dtype} ({', '.join(map(str, p.shape))})" for p in ports)
