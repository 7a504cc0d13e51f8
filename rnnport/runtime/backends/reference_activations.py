"""Activations of ONNX's recurrent operators, with their parameters and defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Function", "functions"]

Array = NDArray[Any]
Function = Callable[[Array], Array]

_PLAIN: dict[str, Function] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    # Never overflows, and rounds once where exp would twice.
    "sigmoid": lambda x: 0.5 + 0.5 * np.tanh(0.5 * x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softplus": lambda x: np.logaddexp(x, 0),
}
_ONE: dict[str, Callable[[Array, float], Array]] = {
    "leakyrelu": lambda x, a: np.where(x >= 0, x, a * x),
    "thresholdedrelu": lambda x, a: np.where(x > a, x, 0),
    "elu": lambda x, a: np.where(x >= 0, x, a * np.expm1(np.minimum(x, 0))),
}
_TWO: dict[str, Callable[[Array, float, float], Array]] = {
    "affine": lambda x, a, b: a * x + b,
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
}
# Where the specification gives none, the parameter must be given.
_ALPHA = {"leakyrelu": 0.01, "thresholdedrelu": 1.0, "elu": 1.0, "hardsigmoid": 0.2}
_BETA = {"hardsigmoid": 0.5}


def functions(
    names: Sequence[str], alphas: Sequence[float] | None, betas: Sequence[float] | None
) -> list[Function]:
    """The functions that an operator's attributes name.

    Args:
        names: attribute `activations`; upper and lower case are the same.
        alphas: attribute `activation_alpha`, one for each function that takes one, in order.
        betas: attribute `activation_beta`, likewise.

    Raises:
        ValueError: an unknown name, a parameter that is missing, or one too many.
    """
    alpha, beta = iter(alphas or ()), iter(betas or ())
    found = [_function(name, alpha, beta) for name in names]
    for attribute, left in (("activation_alpha", alpha), ("activation_beta", beta)):
        if list(left):
            raise ValueError(f"{attribute} holds more values than {list(names)} take")
    return found


def _function(name: str, alpha: Iterator[float], beta: Iterator[float]) -> Function:
    key = name.lower()
    if key in _PLAIN:
        return _PLAIN[key]
    if key in _ONE:
        return partial(_call_one, _ONE[key], _parameter(name, alpha, _ALPHA))
    if key in _TWO:
        first = _parameter(name, alpha, _ALPHA)
        return partial(_call_two, _TWO[key], first, _parameter(name, beta, _BETA))
    raise ValueError(f"activation {name!r} is not one ONNX names")


def _parameter(name: str, given: Iterator[float], defaults: dict[str, float]) -> float:
    value = next(given, None)
    if value is None:
        value = defaults.get(name.lower())
    if value is None:
        raise ValueError(f"activation {name!r} lacks a parameter that has no default")
    return value


def _call_one(function: Callable[[Array, float], Array], a: float, x: Array) -> Array:
    return function(x, a)


def _call_two(
    function: Callable[[Array, float, float], Array], a: float, b: float, x: Array
) -> Array:
    return function(x, a, b)
