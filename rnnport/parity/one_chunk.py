"""A stream form given a whole sequence in one chunk.

In int8 model.onnx computes with other kernels than the forms with states do. The streaming law is
asked of the stream form alone then: one chunk, any chunks and single steps agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from rnnport.parity.checks.precision import within_budget
from rnnport.parity.compare import Comparison
from rnnport.parity.streaming import Cut, first_states
from rnnport.parity.subject import Subject, attempt
from rnnport.spec import Check, Form

__all__ = ["beside_model", "one_chunk", "takes_chunks"]

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]


def takes_chunks(form: Form) -> bool:
    """Whether the form has a time axis among its inputs."""
    return any(port.has_time for port in form.inputs)


def one_chunk(form: Form, run: Run, hand: Run | None = None) -> Run:
    """The whole run through a form with states, from fresh ones.

    Args:
        form: takes sequences.
        run: the form, states among its inputs and outputs.
        hand: gives what the form takes beside the model's own inputs: the encoder, for a decoder.
    """

    def whole(inputs: Arrays) -> Arrays:
        given = {**inputs, **(hand(inputs) if hand is not None else {})}
        batch = len(given[form.inputs[0].name])
        ports = {port.name: given[port.name] for port in form.inputs}
        return run({**ports, **first_states(form, given, batch)})

    return whole


def beside_model(
    subject: Subject, name: str, whole: Run, cuts: Sequence[Cut], kind: str
) -> list[Check]:
    """One row for each output of each sequence: the form in one chunk beside model.onnx.

    Args:
        subject: in another precision than float32.
        name: the form's.
        whole: the form in one chunk.
        cuts: the sequences; where they are cut does not matter.
        kind: of the checks.
    """
    known = {id(cut.inputs): cut for cut in cuts}.values()
    names = [port.name for port in subject.manifest.forms[name].outputs]
    runs = []
    for cut in known:
        given = {port.name: cut.inputs[port.name] for port in subject.model.inputs}
        expected, trouble = attempt(subject.runner.run_named, given)
        received, note = attempt(whole, cut.inputs)
        label = f"{name}.onnx in one chunk beside model.onnx: {cut.name.partition(' in ')[0]}"
        runs.append(Comparison(label, expected, received, trouble or note, kind))
    return within_budget(runs, subject.golden, names, subject.manifest.precision)
