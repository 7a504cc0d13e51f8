"""DecodePlan: what a model is asked and what it is fed with when it goes on from its own output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rnnport.errors import NotGenerative, Reason
from rnnport.runtime.structure import leaves, without_others
from rnnport.spec import Form, Manifest, Port, State, Streamable, Structure
from rnnport.step_ports import is_odd, last_size, scored_output, step_time

__all__ = ["DECODER", "ENCODER", "STREAM", "DecodePlan"]

ENCODER, DECODER, STREAM = "encoder", "decoder", "stream"

_EXPECTED = "a decoder, or a stream form, that can be fed its own output"


@dataclass(frozen=True)
class DecodePlan:
    """A decoder and where its states begin.

    Attributes:
        encoder: the form that makes the hand-off, or None where a prompt takes its place.
        decoder: the form that is stepped: "decoder", or "stream" where there is no encoder.
        name: the decoder's: "decoder" or "stream".
        sources: what a source brings: the encoder's inputs, or the prompt and what stays fixed.
        structure: nesting of the sources.
        step: the input that takes the last output, (B, T) ids or (B, T, F) floats.
        context: inputs that stay the same from step to step.
        states: the states, (B, …) each.
        output: the output that is fed back, (B, T, V) or (B, V); the others are not computed.
        time: axis letters of the step; 1 all the way.
        width: F where the step is floats, None where it is ids.
        vocabulary: V; in a forecaster the number of values.
    """

    encoder: Form | None
    decoder: Form
    name: str
    sources: tuple[Port, ...]
    structure: Structure
    step: Port
    context: tuple[Port, ...]
    states: tuple[State, ...]
    output: Port
    time: tuple[str, ...]
    width: int | None
    vocabulary: int

    @classmethod
    def of(cls, manifest: Manifest, output: str = "") -> DecodePlan:
        """Read the plan of a manifest.

        Args:
            manifest: the artifact's.
            output: the name of the output that is fed back; "" to find it.

        Raises:
            NotGenerative: no decoder, or one that cannot be fed its own output; lists every reason.
            UsageError: no output of that name.
        """
        forms = manifest.forms
        encoder = forms.get(ENCODER) if DECODER in forms else None
        name = STREAM if encoder is None else DECODER
        if name not in forms:
            raise NotGenerative(_no_decoder(manifest))
        form = forms[name]
        steps = form.per_step
        reasons = [*_step_reasons(name, steps, form), *_hand_off_reasons(encoder, form)]
        given, more = _given_back(name, form, output) if len(steps) == 1 else (None, [])
        if reasons := [*reasons, *more]:
            raise NotGenerative(*reasons)
        assert given is not None
        step = steps[0]
        sources = tuple((form if encoder is None else encoder).inputs)
        return cls(
            encoder=encoder,
            decoder=form,
            name=name,
            sources=sources,
            structure=_nesting(manifest.input_structure, sources),
            step=step,
            context=tuple(port for port in form.inputs if port.name in form.fixed),
            states=tuple(form.states),
            output=given,
            time=step_time(step),
            width=None if step.is_ids else last_size(step),
            vocabulary=last_size(given) or 0,
        )

    @property
    def known_ids(self) -> int:
        """An exclusive upper bound for ids that can be fed."""
        hint = self.step.sampling
        # A smaller vocabulary than the output's could not be fed what it gave.
        high = hint.high if hint is not None and self.step.is_ids else 0
        return max(high, self.vocabulary)

    def sizes(self, rows: int, time: int = 1) -> dict[str, int]:
        """Sizes of the axis letters of a step."""
        return {"B": rows, **dict.fromkeys(self.time, time)}


def _no_decoder(manifest: Manifest) -> Reason:
    handoff = _because(manifest.handoff) or "no state hand-off between the two was found"
    return Reason(
        f"model {manifest.name!r}",
        f"no encoder and decoder: {handoff}; no stream form: {_because(manifest.streamable)}",
        _EXPECTED,
        "use runner.run, or export encoder and decoder as two models",
    )


def _because(verdict: Streamable) -> str:
    return verdict.reason + (f" (layer {verdict.layer!r})" if verdict.layer else "")


def _step_reasons(name: str, steps: Sequence[Port], form: Form) -> Iterator[Reason]:
    """Why the form cannot be stepped with its own output."""
    subject = f"{name}.onnx"
    if len(steps) != 1:
        received = f"inputs given anew for every step: {', '.join(p.name for p in steps) or 'none'}"
        yield Reason(subject, received, "exactly one: the last output", "use runner.run")
        return
    (step,) = steps
    if is_odd(step, not step.is_ids, step_time(step)):
        received, shape = f"{step.dtype} {step.shape}", "(B, T) ids or (B, T, F) floats"
        yield Reason(f"{subject}, {step.name}", received, shape, "use runner.run")
    tensors: list[Port | State] = [step, *form.states]
    fixed = [t.shape[0] for t in tensors if t.shape and isinstance(t.shape[0], int)]
    if fixed:
        remedy = "export a model whose batch size is None"
        yield Reason(subject, f"batch size {fixed[0]} and no other", "any batch size", remedy)
    for state in form.states:
        if any(isinstance(axis, str) for axis in state.shape[1:]):
            received, remedy = f"shape {state.shape}", "use runner.run"
            yield Reason(f"{subject}, {state.input}", received, "one size in every step", remedy)


def _given_back(name: str, form: Form, wanted: str) -> tuple[Port | None, list[Reason]]:
    """What is fed back, or why nothing can be."""
    subject = f"{name}.onnx"
    try:
        port = scored_output(form, wanted, file=subject)
    except NotGenerative as error:
        return None, list(error.reasons)
    if is_odd(port, True, step_time(form.per_step[0])):
        received, expected = f"{port.dtype} {port.shape}", "(B, T, V) or (B, V)"
        reason = Reason(f"{subject}, {port.name}", received, expected, "use runner.run")
        return None, [reason]
    return port, []


def _hand_off_reasons(encoder: Form | None, decoder: Form) -> Iterator[Reason]:
    """Where what an encoder gives is not what its decoder takes."""
    if encoder is None:
        return
    given = {port.name: port for port in encoder.outputs}
    wanted: list[tuple[str, Port | State]] = [(s.start, s) for s in decoder.states if s.start]
    wanted += [(port.name, port) for port in decoder.inputs if port.name in decoder.fixed]
    for name, tensor in wanted:
        expected = f"decoder.onnx takes {name!r} as {tensor.dtype} {tensor.shape}"
        port = given.get(name)
        if port is not None and port.dtype == tensor.dtype and _meet(port.shape, tensor.shape):
            continue
        received = f"outputs {list(given)}" if port is None else f"{port.dtype} {port.shape}"
        remedy = "export encoder and decoder again, together"
        yield Reason(f"encoder.onnx, {name}", received, expected, remedy)


def _meet(given: Sequence[int | str], wanted: Sequence[int | str]) -> bool:
    return len(given) == len(wanted) and all(
        a == b or isinstance(a, str) or isinstance(b, str)
        for a, b in zip(given, wanted, strict=True)
    )


def _nesting(structure: Structure, sources: Sequence[Port]) -> Structure:
    """The model's nesting where it has these inputs, else a list of them."""
    names = {port.name for port in sources}
    if names <= leaves(structure):
        return without_others(structure, names)
    items = [Structure(kind="leaf", name=port.name) for port in sources]
    return Structure(kind="list", items=items)
