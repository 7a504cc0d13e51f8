"""Builds the models that the sweep draws, by running their own source."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import keras
import tf_keras

from tests.sweep import pair_code, pieces, stack_code
from tests.sweep.code import Code
from tests.sweep.pair import Pair
from tests.sweep.stack import Stack
from tests.sweep.weights import Recipe, randomise

Case = Stack | Pair


def written(case: Case) -> Code:
    """The code of a model."""
    return stack_code.write(case) if isinstance(case, Stack) else pair_code.write(case)


def build(case: Case) -> Any:
    """The Keras model a case describes, with random weights and biases.

    Earlier ones are forgotten, so that names start anew and memory is given back.
    """
    return build_with_recipe(case)[0]


def build_with_recipe(case: Case) -> tuple[Any, Recipe]:
    """The model, and how its weights were drawn."""
    keras.backend.clear_session()
    tf_keras.backend.clear_session()
    model = _builder(written(case))()
    return model, randomise(model, case)


def _builder(code: Code) -> Callable[[], Any]:
    """The function `build` of a text, whose pieces are those of this process.

    So a registered cell is the one that can be loaded again.
    """
    own = pieces.OWN[code.framework]
    given = {name: own[name] for name in code.needed if name in own}
    top = [*pieces.header(code.framework), *pieces.imports(code.needed)]
    text = "\n".join([*top, code.text()])
    build: Callable[[], Any] = run_source(text, given)["build"]
    return build


def run_source(text: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a text as a module of its own and give its names.

    TensorFlow reads the source of what it traces, so the lines must be found.
    """
    name = f"<drawn {abs(hash(text))}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "drawn", **(given or {})}
    exec(compile(text, name, "exec"), space)
    return space
