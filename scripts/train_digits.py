"""Train a small LSTM on scikit-learn's digits and export it to artifacts/digits-lstm.

Each image is a sequence of 8 rows of 8 grey values, read from top to bottom. Run it with
`.venv/bin/python scripts/train_digits.py`; it takes about a minute on two cores.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["digits", "train"]

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "artifacts" / "digits-lstm"
SEED = 7
EPOCHS = 60
MOST_BYTES = 300_000

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def digits() -> tuple[Floats, Labels, Floats, Labels]:
    """Training images and labels, then test images and labels; always the same split.

    Images are (N, 8, 8) in [0, 1], labels (N,) in 0…9.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels.astype(np.int64), test_size=0.2, random_state=SEED, stratify=labels
    )
    return train_x, train_y, test_x, test_y


def train(images: Floats, labels: Labels, epochs: int = EPOCHS) -> Any:
    """A Keras model trained on the images; the same weights on every run of one machine."""
    import keras

    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((8, 8), name="rows"),
            keras.layers.LSTM(64, name="lstm"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits_lstm",
    )
    steps = epochs * -(-len(images) // 64)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--keras", type=Path, metavar="FILE", help="save the Keras model there and export nothing"
    )
    options = parser.parse_args()
    if options.keras is None:
        train_and_export(options.epochs)
    else:
        train_and_save(options.epochs, options.keras)


def train_and_save(epochs: int, file: Path) -> None:
    """Train, and save the Keras model."""
    from rnnport.cli.quiet import load_exporter

    load_exporter()
    images, labels, *_ = digits()
    train(images, labels, epochs).save(file)


def train_and_export(epochs: int) -> None:
    """Train, export, and show that both sides read the test images alike."""
    from rich.console import Console

    import rnnport
    from rnnport.cli.quiet import load_exporter

    console = Console(highlight=False)
    train_x, train_y, test_x, test_y = digits()
    with console.status("loading TensorFlow") as status:
        load_exporter()
        status.update(f"training on {len(train_x)} images, {epochs} epochs")
        started = time.perf_counter()
        model = train(train_x, train_y, epochs)
        seconds = time.perf_counter() - started
        status.update("exporting")
        artifact = rnnport.export(model, OUT, overwrite=True)
        report = rnnport.verify(artifact, model=model)

    keras_says = model.predict(test_x, batch_size=len(test_x), verbose=0)
    onnx_says = rnnport.load(artifact, provider="cpu").run(test_x)
    same = keras_says.argmax(1) == onnx_says.argmax(1)
    size = sum(path.stat().st_size for path in OUT.iterdir())

    console.print(f"trained on {len(train_x)} images in {seconds:.0f} s")
    for name, says in (("Keras", keras_says), ("ONNX", onnx_says)):
        console.print(f"{name:<6} accuracy on {len(test_x)} test images  {accuracy(says, test_y)}")
    console.print(
        f"same digit on {same.sum()} of {len(same)} test images, "
        f"probabilities apart by at most {np.abs(keras_says - onnx_says).max():.1e}"
    )
    console.print(f"{OUT.relative_to(ROOT)}: {size / 1e3:.0f} kB, {len(report.checks)} checks")
    if not (same.all() and report.passed and size < MOST_BYTES):
        raise SystemExit("the artifact is not as it should be")


def accuracy(probabilities: Floats, labels: Labels) -> str:
    return f"{(probabilities.argmax(1) == labels).mean():.2%}"


if __name__ == "__main__":
    main()
