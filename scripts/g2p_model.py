"""g2p-en's spelling-to-phonemes model: its weights, the Keras model they make, and its formula.

A GRU reads the letters and the end symbol; a second GRU starts from its last state and gives
phonemes one by one. The weights were PyTorch's. Its GRU, for an input x and a state h:

    r = σ(W_r x + b_r + U_r h + c_r)
    z = σ(W_z x + b_z + U_z h + c_z)
    n = tanh(W_n x + b_n + r ∘ (U_n h + c_n))
    h' = (1 − z) ∘ n + z ∘ h

which is Keras's GRU with reset_after=True, the gates there in the order z, r, n and each kernel
transposed. Axis letters here: E embedding, U units, V vocabulary, G letters and symbols.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fetch import package_file
from numpy.typing import NDArray

__all__ = [
    "MAX_STEPS",
    "Symbols",
    "numpy_greedy",
    "numpy_logits",
    "read_symbols",
    "read_weights",
    "rebuild",
    "symbols_file",
    "weights_file",
]

PACKAGE = "g2p-en==2.1.0"
MAX_STEPS = 20  # where the package stops if the model does not

Array = NDArray[Any]
Weights = dict[str, Array]


@dataclass(frozen=True)
class Symbols:
    """What the ids stand for.

    Attributes:
        graphemes: by id, "<pad>", "<unk>" and "</s>" first.
        phonemes: by id, "<pad>", "<unk>", "<s>" and "</s>" first.
    """

    graphemes: tuple[str, ...]
    phonemes: tuple[str, ...]

    @property
    def start(self) -> int:
        """What the decoder is fed first."""
        return self.phonemes.index("<s>")

    @property
    def stop(self) -> int:
        """What the decoder ends with."""
        return self.phonemes.index("</s>")

    def spell(self, word: str) -> Array:
        """The encoder's ids, (S,): letters, then the end symbol."""
        return np.array([self.graphemes.index(x) for x in (*word, "</s>")], np.int32)

    def say(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Phonemes of the decoder's ids."""
        return tuple(self.phonemes[i] for i in ids)


def weights_file() -> Path:
    """The published weights.

    Raises:
        Unavailable: the package cannot be downloaded.
    """
    return package_file(
        PACKAGE,
        "g2p_en/checkpoint20.npz",
        "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6",
    )


def symbols_file() -> Path:
    """The module of the package that names the symbols.

    Raises:
        Unavailable: the package cannot be downloaded.
    """
    return package_file(
        PACKAGE,
        "g2p_en/g2p.py",
        "fc2548b855e102f774506a6afe4f4bc88424229b69701ab6040aa16710ddff3a",
    )


def read_weights(path: Path) -> Weights:
    """The arrays of the file, their shapes checked.

    Raises:
        ValueError: not the arrays of this model.
    """
    with np.load(path, allow_pickle=False) as file:
        weights = {name: file[name] for name in file.files}
    found = {name: array.shape for name, array in weights.items()}
    if found != (wanted := _shapes(weights)):
        raise ValueError(f"{path.name} holds {found}, not {wanted}")
    return weights


def _shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    """The shapes that agree with the embeddings and the units of the encoder."""
    U = weights["enc_w_hh"].shape[1]
    V = len(weights["dec_emb"])
    shapes: dict[str, tuple[int, ...]] = {"fc_w": (V, U), "fc_b": (V,)}
    for side in ("enc", "dec"):
        rows, E = weights[f"{side}_emb"].shape
        shapes |= {f"{side}_emb": (rows, E), f"{side}_w_ih": (3 * U, E), f"{side}_w_hh": (3 * U, U)}
        shapes |= {f"{side}_b_ih": (3 * U,), f"{side}_b_hh": (3 * U,)}
    return shapes


def read_symbols(path: Path) -> Symbols:
    """The lists that the module's text gives self.graphemes and self.phonemes; it is not run."""
    lists = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            lists.setdefault(node.targets[0].attr, node.value)
    return Symbols(tuple(_listed(lists["graphemes"])), tuple(_listed(lists["phonemes"])))


def _listed(node: ast.expr) -> list[str]:
    """A list written down, list("of letters"), or a sum of those."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _listed(left) + _listed(right)
        case ast.Call(func=ast.Name(id="list"), args=[letters]):
            return list(ast.literal_eval(letters))
    return [str(item) for item in ast.literal_eval(node)]


def rebuild(weights: Weights) -> Any:
    """One teacher-forced Keras model, as one would train it.

    Letters (B, S), phonemes so far (B, T), the start first → logits of the next ones (B, T, V).
    Letters of id 0, the padding, are masked.
    """
    import keras

    layers, units = keras.layers, weights["enc_w_hh"].shape[1]
    letters = keras.Input((None,), dtype="int32", name="letters")
    phonemes = keras.Input((None,), dtype="int32", name="phonemes")
    x = layers.Embedding(*weights["enc_emb"].shape, mask_zero=True, name="letter")(letters)
    _, handed = layers.GRU(units, return_state=True, name="encoder")(x)
    y = layers.Embedding(*weights["dec_emb"].shape, name="phoneme")(phonemes)
    decoder = layers.GRU(units, return_sequences=True, return_state=True, name="decoder")
    y, _ = decoder(y, initial_state=handed)
    logits = layers.Dense(len(weights["fc_b"]), name="logits")(y)
    model = keras.Model([letters, phonemes], logits, name="g2p")
    for name, arrays in _keras_weights(weights).items():
        model.get_layer(name).set_weights(arrays)
    return model


def _keras_weights(weights: Weights) -> dict[str, list[Array]]:
    """Layer name to its weights, laid out as Keras has them."""
    return {
        "letter": [weights["enc_emb"]],
        "encoder": _keras_gru(weights, "enc"),
        "phoneme": [weights["dec_emb"]],
        "decoder": _keras_gru(weights, "dec"),
        "logits": [weights["fc_w"].T, weights["fc_b"]],
    }


def _keras_gru(weights: Weights, side: str) -> list[Array]:
    """Kernel (E, 3·U), recurrent kernel (U, 3·U), input and recurrent bias (2, 3·U)."""
    w, u, b, c = (_zrn(weights[f"{side}_{name}"]) for name in ("w_ih", "w_hh", "b_ih", "b_hh"))
    return [w.T, u.T, np.stack([b, c])]


def _zrn(array: Array) -> Array:
    """Rows of the gates in Keras's order."""
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])


def numpy_greedy(
    weights: Weights, letters: Array, *, start: int, stop: int, max_steps: int = MAX_STEPS
) -> list[int]:
    """The ids that follow the start, each the likeliest after those before it, without the stop."""
    h, token = _encode(weights, letters), start
    found: list[int] = []
    for _ in range(max_steps):
        h = _gru_step(weights, "dec", token, h)
        token = int(_logits(weights, h).argmax())
        if token == stop:
            break
        found.append(token)
    return found


def numpy_logits(weights: Weights, letters: Array, phonemes: Sequence[int]) -> Array:
    """Logits (T, V) after each of these phonemes (T,)."""
    h, rows = _encode(weights, letters), []
    for token in phonemes:
        h = _gru_step(weights, "dec", token, h)
        rows.append(_logits(weights, h))
    return np.stack(rows)


def _encode(weights: Weights, letters: Array) -> Array:
    """The state (U,) after all letters."""
    h = np.zeros(weights["enc_w_hh"].shape[1], np.float32)
    for letter in letters:
        h = _gru_step(weights, "enc", int(letter), h)
    return h


def _gru_step(weights: Weights, side: str, token: int, h: Array) -> Array:
    """The next state (U,)."""
    x = weights[f"{side}_emb"][token]
    given = weights[f"{side}_w_ih"] @ x + weights[f"{side}_b_ih"]  # (3·U,)
    kept = weights[f"{side}_w_hh"] @ h + weights[f"{side}_b_hh"]  # (3·U,)
    (r, z, n), (r_kept, z_kept, n_kept) = np.split(given, 3), np.split(kept, 3)
    r, z = _sigmoid(r + r_kept), _sigmoid(z + z_kept)
    return (1 - z) * np.tanh(n + r * n_kept) + z * h


def _logits(weights: Weights, h: Array) -> Array:
    return weights["fc_w"] @ h + weights["fc_b"]


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))
