"""What a well-typed manifest may still get wrong: paths, names and structures that do not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rnnport.errors import Reason
from rnnport.spec import FileRecord, Form, Manifest, Port, State, Structure, Tuned

__all__ = ["contradictions", "file_records", "is_plain_name"]

FORM_NAMES = ("model", "stream", "encoder", "decoder", "generate")
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
DTYPES = ("bool", "float16", "float32", "float64", *_INTEGERS)
_REMEDY = "take the artifact from its source again; do not edit rnnport.json"


def contradictions(manifest: Manifest) -> list[Reason]:
    """Collect everything in a manifest that cannot be right, whatever the files hold."""
    return [
        Reason(f"rnnport.json, {subject}", received, expected, _REMEDY)
        for subject, received, expected in _contradictions(manifest)
    ]


def file_records(manifest: Manifest) -> Iterator[FileRecord]:
    """Every file the manifest refers to."""
    for form in manifest.forms.values():
        yield form.record
        yield from form.data
    yield manifest.golden


def is_plain_name(name: str) -> bool:
    """Whether a file name stays in its folder on every operating system."""
    return (
        name not in ("", ".", "..")
        and not any(c in '/\\:*?"<>|' or ord(c) < 32 for c in name)
        and len(name.encode("utf-8", "replace")) <= 255
    )


_Finding = tuple[str, str, str]


def _contradictions(manifest: Manifest) -> Iterator[_Finding]:
    yield from _files(manifest)
    if not manifest.forms:
        yield "forms", "none", "at least one"
    for name, form in manifest.forms.items():
        if name not in FORM_NAMES:
            yield "forms", repr(name), f"one of {', '.join(FORM_NAMES)}"
        yield from _form(f"form {name}", form)
    yield from _stream(manifest)
    for point in manifest.tuned:
        yield from _tuned(point)
    if "model" in manifest.forms:
        model = manifest.forms["model"]
        yield from _structure("input_structure", manifest.input_structure, model.inputs, True)
        yield from _structure("output_structure", manifest.output_structure, model.outputs, False)


def _tuned(point: Tuned) -> Iterator[_Finding]:
    """A measured size; runners divide by its sizes and cut the batch into its parts."""
    subject = f"tuned, {point.batch}×{point.time}"
    for name in ("batch", "time", "threads", "parts"):
        if (count := getattr(point, name)) < 1:
            yield subject, f"{name} {count}", "at least 1"
    if point.parts > point.batch:
        yield subject, f"{point.parts} parts", "at most one for each row of the batch"
    for name in ("before_us", "after_us"):
        if not 0 < (taken := getattr(point, name)) < math.inf:
            yield subject, f"{name} {taken}", "a time above 0"


def _files(manifest: Manifest) -> Iterator[_Finding]:
    names = [record.file for record in file_records(manifest)]
    for name in names:
        if not is_plain_name(name):
            yield "file", repr(name), "a plain file name inside the artifact folder"
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield "file", f"{name!r} listed twice", "each file once"
    for form_name, form in manifest.forms.items():
        if not form.record.file.endswith(".onnx"):
            yield f"form {form_name}", repr(form.record.file), "a file ending in .onnx"


def _form(subject: str, form: Form) -> Iterator[_Finding]:
    for side, ports in (("inputs", form.inputs), ("outputs", form.outputs)):
        names = [port.name for port in ports]
        if len(set(names)) != len(names):
            yield f"{subject}, {side}", f"names {names}", "each name once"
    letters = {axis for port in form.inputs for axis in port.shape if isinstance(axis, str)}
    if not set(form.pads) <= letters - {"B"}:
        yield f"{subject}, pads", f"{form.pads}", f"axis letters of its inputs: {sorted(letters)}"
    if not form.outputs:
        yield f"{subject}, outputs", "none", "at least one"
    for port in (*form.inputs, *form.outputs):
        yield from _tensor(f"{subject}, {port.name}", port)
    for state in form.states:
        yield from _tensor(f"{subject}, {state.input}", state)


def _stream(manifest: Manifest) -> Iterator[_Finding]:
    """What a stream form and the verdict on streaming say of one another and of the model."""
    form = manifest.forms.get("stream")
    if manifest.streamable.ok != (form is not None):
        told = "streamable" if manifest.streamable.ok else "not streamable"
        yield "streamable", f"{told}, forms {list(manifest.forms)}", "a stream form if streamable"
    halves = [name for name in ("encoder", "decoder") if name in manifest.forms]
    if halves != (["encoder", "decoder"] if manifest.handoff.ok else []):
        yield "handoff", f"forms {list(manifest.forms)}", "encoder and decoder, or neither"
    if form is None:
        return
    inputs, outputs = [p.name for p in form.inputs], [p.name for p in form.outputs]
    for side, names in (
        ("inputs", [*inputs, *(s.input for s in form.states)]),
        ("outputs", [*outputs, *(s.output for s in form.states)]),
    ):
        if len(set(names)) != len(names):
            yield f"form stream, {side} with states", f"names {names}", "each name once"
    if not set(form.fixed) <= set(inputs):
        yield "form stream, fixed", f"{form.fixed}", f"some of the inputs {inputs}"
    if "model" in manifest.forms:
        yield from _ends(form, manifest.forms["model"])


def _ends(form: Form, model: Form) -> Iterator[_Finding]:
    """States may start from, and end in, what the stream form leaves out of the model's ports."""
    free_in = {p.name for p in model.inputs} - {p.name for p in form.inputs}
    free_out = {p.name for p in model.outputs} - {p.name for p in form.outputs}
    for state in form.states:
        if state.start and state.start not in free_in:
            yield f"form stream, {state.input}", f"start {state.start!r}", f"one of {free_in}"
        if state.end and state.end not in free_out:
            yield f"form stream, {state.output}", f"end {state.end!r}", f"one of {free_out}"


def _tensor(subject: str, tensor: Port | State) -> Iterator[_Finding]:
    if tensor.dtype not in DTYPES:
        yield subject, f"dtype {tensor.dtype!r}", f"one of {', '.join(DTYPES)}"
    if any(axis == "" or (isinstance(axis, int) and axis < 0) for axis in tensor.shape):
        yield subject, f"shape {tensor.shape}", "sizes and axis letters"


def _structure(
    subject: str, structure: Structure, ports: list[Port], exact: bool
) -> Iterator[_Finding]:
    known = [port.name for port in ports]
    leaves = list(_leaves(structure))
    fits = sorted(leaves) == sorted(known) if exact else set(leaves) <= set(known)
    if not fits:
        yield subject, f"leaves {leaves}", f"the ports {known}"
    if not _well_formed(structure):
        yield subject, "keys and items that do not pair", "one item for each key"


def _leaves(structure: Structure) -> Iterator[str]:
    if structure.kind == "leaf":
        yield structure.name
    for item in structure.items:
        yield from _leaves(item)


def _well_formed(structure: Structure) -> bool:
    keys, items = structure.keys, structure.items
    if structure.kind == "leaf" and items:
        return False
    if len(set(keys)) != (len(items) if structure.kind == "dict" else 0):
        return False
    return len(set(keys)) == len(keys) and all(_well_formed(item) for item in items)
