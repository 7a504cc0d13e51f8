"""Two models as sources: each half with the ports of its graph, and both run one after another.

What the encoder gives reaches the decoder as plain tensors, as under `predict`: a mask that Keras
carries along unseen stays behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf
from keras import tree

from rnnport.capture.open import open_source
from rnnport.capture.source import Input, Source
from rnnport.capture.trace import Trace
from rnnport.errors import MissingSignature, Reason, UsageError
from rnnport.spec import Port, Structure

__all__ = [
    "Feed",
    "composed",
    "decoder_half",
    "encoder_half",
    "labels",
    "one_step",
    "open_half",
    "signatures",
]

_SIDES = ("encoder", "decoder")


@dataclass(frozen=True)
class Feed:
    """What a decoder input is fed with.

    Attributes:
        own: which of the decoder's own inputs; None where it is none of them.
        handed: which encoder output; None where it is none.
        start: of a state that starts from zeros, what one row of it is.
    """

    own: int | None = None
    handed: int | None = None
    start: Port | None = None


def signatures(given: Any) -> dict[str, Any]:
    """The input signature of either side: from a dict by side, or a pair in order.

    Raises:
        UsageError: neither of these.
    """
    if given is None:
        return dict.fromkeys(_SIDES)
    if isinstance(given, Mapping) and set(given) <= set(_SIDES):
        return {side: given.get(side) for side in _SIDES}
    if isinstance(given, (list, tuple)) and len(given) == 2:
        return dict(zip(_SIDES, given, strict=True))
    raise UsageError.of(
        "input_signature",
        repr(given)[:80],
        "a signature for each of the two models",
        'pass {"encoder": [tf.TensorSpec(…)], "decoder": [tf.TensorSpec(…), …]}; '
        "None for a model that knows its inputs",
    )


def open_half(
    model: Any, side: str, custom_objects: Mapping[str, Any] | None, signature: Any
) -> Source:
    """Open one of the two.

    Args:
        model: file or live object.
        side: "encoder" or "decoder", for messages.
        custom_objects: for files.
        signature: its own.

    Raises:
        ModelError: as open_source.
    """
    try:
        return open_source(model, custom_objects=custom_objects, input_signature=signature)
    except MissingSignature as error:
        remedy = f'input_signature={{"{side}": […]}} with one tf.TensorSpec for each, in this order'
        raise MissingSignature(
            *(
                Reason(f"{side}, {r.subject}", r.received, r.expected, f"pass {remedy}")
                for r in error.reasons
            )
        ) from error


def labels(traced: Trace) -> list[str]:
    """Names of flat outputs: the keys of a dict where the model gives one, else the trace's."""
    return [label or name for label, name in _labels(traced.structure, "")]


def _labels(structure: Structure, label: str) -> Iterator[tuple[str, str]]:
    if structure.kind == "leaf":
        yield label, structure.name
        return
    for number, item in enumerate(structure.items):
        key = structure.keys[number] if structure.kind == "dict" else ""
        yield from _labels(item, key or (f"{label}_{number}" if label else ""))


def encoder_half(source: Source, outputs: Sequence[tuple[int, str]]) -> Source:
    """The encoder with these of its outputs, under new names and in this order."""

    def call(flat: Sequence[Any]) -> list[Any]:
        given = _leaves(source.call(flat))
        return [given[index] for index, _ in outputs]

    return replace(source, call=call, output_names=tuple(name for _, name in outputs))


def decoder_half(
    source: Source,
    inputs: Sequence[tuple[int, str]],
    outputs: Sequence[tuple[int, str]],
) -> Source:
    """The decoder with its ports in another order.

    Args:
        source: the decoder as it was opened.
        inputs: which of its inputs, and its new name.
        outputs: which of its outputs, and its new name.
    """
    place = {index: at for at, (index, _) in enumerate(inputs)}
    names = [name for _, name in inputs]

    def call(flat: Sequence[Any]) -> list[Any]:
        given = _leaves(source.call([flat[place[i]] for i in range(len(source.inputs))]))
        return [given[index] for index, _ in outputs]

    return replace(
        source,
        call=call,
        inputs=tuple(replace(source.inputs[index], name=name) for index, name in inputs),
        structure=_row(names),
        output_names=tuple(name for _, name in outputs),
    )


def composed(
    encoder: Source,
    decoder: Source,
    feeds: Sequence[Feed],
    own: Sequence[tuple[int, str]],
    *,
    masks: bool = False,
) -> Source:
    """decoder(own inputs, *encoder(source)), what the decoder gives as it gives it.

    Args:
        encoder: as it was opened.
        decoder: likewise.
        feeds: one for each decoder input.
        own: which decoder inputs are its own, and their names beside the encoder's.
        masks: whether masks that Keras carries along reach the decoder.
    """
    first = len(encoder.inputs)

    def call(flat: Sequence[Any]) -> Any:
        handed = _leaves(encoder.call(flat[:first]))
        if not masks:
            handed = [tf.identity(leaf) for leaf in handed]
        batch = tf.shape(flat[0])[0]
        return decoder.call([_fed(feed, flat[first:], handed, batch) for feed in feeds])

    added = tuple(replace(decoder.inputs[index], name=name) for index, name in own)
    leaves = [Structure(kind="leaf", name=name) for _, name in own]
    return Source(
        name=f"{encoder.name}_{decoder.name}",
        kind=f"two models ({encoder.kind}, {decoder.kind})",
        call=call,
        inputs=(*encoder.inputs, *added),
        structure=Structure(kind="list", items=[encoder.structure, *leaves]),
        layer=_Both([s.layer for s in (encoder, decoder) if s.layer is not None]),
        output_names=decoder.output_names,
    )


def _fed(feed: Feed, own: Sequence[Any], handed: Sequence[Any], batch: Any) -> Any:
    if feed.own is not None:
        return own[feed.own]
    if feed.handed is not None:
        return handed[feed.handed]
    assert feed.start is not None
    return tf.zeros([batch, *feed.start.shape[1:]], feed.start.dtype)


class _Both:
    """Stands for the two models where a source names its layer."""

    stateful = False

    def __init__(self, layers: Sequence[Any]) -> None:
        self._all = list(layers)

    def _flatten_layers(self) -> Iterator[Any]:
        for layer in self._all:
            flatten: Callable[[], Any] = getattr(layer, "_flatten_layers", lambda: ())
            yield from flatten()

    @property
    def variables(self) -> list[Any]:
        """Of both, those they share once."""
        found = [v for layer in self._all for v in getattr(layer, "variables", [])]
        return list({id(v): v for v in found}.values())


def _row(names: Sequence[str]) -> Structure:
    return Structure(kind="list", items=[Structure(kind="leaf", name=name) for name in names])


def _leaves(nest: Any) -> list[Any]:
    return [leaf for leaf in tree.flatten(nest) if leaf is not None]


def one_step(source: Source, names: Sequence[str]) -> Source:
    """The source with the length of these inputs declared to be 1, where it was open."""

    def declared(given: Input) -> Input:
        timed = len(given.shape) > 1 and given.shape[1] is None
        if given.name not in names or not timed:
            return given
        return replace(given, shape=(given.shape[0], 1, *given.shape[2:]))

    return replace(source, inputs=tuple(map(declared, source.inputs)))
