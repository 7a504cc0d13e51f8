"""Writes a Keras model as source text: functional, or as a class with a call written by hand."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

_INDENT = "    "
_ROWS, _STEPS = 2, 7


class Raw(str):
    """Source text among the arguments of a layer, not a string."""

    __slots__ = ()

    __repr__ = str.__str__


class Code:
    """Collects inputs, layers and calls of one model, in the order in which they run.

    Args:
        framework: "keras" or "tf_keras", the module the text imports.
        style: "functional" or "subclassed".
        batch: the batch size, where the model fixes it.
    """

    def __init__(self, framework: str, style: str, batch: int | None = None) -> None:
        self.framework, self.batch = framework, batch
        self.subclassed = style == "subclassed"
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.needed: list[str] = []  # names of tests.sweep.pieces that the text uses
        self._examples: list[str] = []
        self._made: list[str] = []
        self._lines: list[str] = []
        self._names: Counter[str] = Counter()

    def need(self, piece: str) -> Raw:
        """Something written beside the model: a cell, an activation."""
        if piece not in self.needed:
            self.needed.append(piece)
        return Raw(piece)

    def name(self, stem: str) -> str:
        """A name nobody has yet."""
        self._names[stem] += 1
        count = self._names[stem]
        return stem if count == 1 else f"{stem}{count}"

    def line(self, text: str) -> None:
        """A statement that runs when the model is called."""
        self._lines.append(text)

    def value(self, stem: str, text: str) -> str:
        """A new name for what an expression gives."""
        name = self.name(stem)
        self.line(f"{name} = {text}")
        return name

    def input(self, stem: str, shape: tuple[int | None, ...], dtype: str = "float32") -> str:
        """An input (B, *shape)."""
        name = self.name(stem)
        self.inputs.append(name)
        if self.subclassed:
            open_ = [self.batch or _ROWS, *shape]
            sizes = tuple(_STEPS if size is None else size for size in open_)
            self._examples.append(f"np.ones({sizes}, {dtype!r})")
        else:
            shape = (self.batch, *shape)
            given = "" if dtype == "float32" else f", dtype={dtype!r}"
            self.line(f"{name} = keras.Input(batch_shape={shape}{given})")
        return name

    def layer(self, text: str) -> str:
        """What calls a layer, made once: `layers.Dense(3)` gives `dense`, or `self.dense`."""
        kind = re.findall(r"(\w+)\(", text)[0]
        name = self.name(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower())
        if self.subclassed:
            self._made.append(f"self.{name} = {text}")
            return f"self.{name}"
        self.line(f"{name} = {text}")
        return name

    def through(self, text: str, x: str) -> str:
        """The name of what a new layer gives for x."""
        return self.value("x", f"{self.layer(text)}({x})")

    def text(self) -> str:
        """The whole of it, with a function `build`; imports and pieces are left to others."""
        outputs = self.outputs
        whole = outputs[0] if len(outputs) == 1 else f"[{', '.join(outputs)}]"
        if not self.subclassed:
            given = self.inputs[0] if len(self.inputs) == 1 else f"[{', '.join(self.inputs)}]"
            body = [*self._lines, f"return keras.Model({given}, {whole})"]
            return "def build():\n" + _indented(body, 1)
        taken = [] if len(self.inputs) == 1 else [f"{', '.join(self.inputs)} = inputs"]
        argument = self.inputs[0] if len(self.inputs) == 1 else "inputs"
        example = (
            self._examples[0] if len(self._examples) == 1 else f"[{', '.join(self._examples)}]"
        )
        return "\n".join(
            [
                "class Written(keras.Model):",
                _indented(["def __init__(self):"], 1)
                + _indented(["super().__init__()"], 2)
                + _indented(self._made, 2),
                _indented([f"def call(self, {argument}):"], 1)
                + _indented([*taken, *self._lines, f"return {whole}"], 2),
                "",
                "def build():",
                _indented(["model = Written()", f"model({example})", "return model"], 1),
            ]
        )


def call_text(name: str, *args: Any, **options: Any) -> Raw:
    """`name(args…, options…)` as source."""
    given = [repr(arg) for arg in args]
    given += [f"{key}={value!r}" for key, value in options.items()]
    return Raw(f"{name}({', '.join(given)})")


def unlike(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The options that are not at their defaults."""
    return {name: v for name, v in given.items() if name not in defaults or defaults[name] != v}


def _indented(lines: list[str], depth: int) -> str:
    return "".join(f"{_INDENT * depth}{line}\n" for line in lines)
