"""What the demo shows: a published sleep-stage classifier or, offline, the digits model."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fetch import package_file
from numpy.typing import NDArray

__all__ = ["Subject", "digit_images", "sleep_stages"]

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "demo"
PACKAGE = "sleepecg==0.5.9"
MASKED = -1.0

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """A model and inputs that suit it.

    Attributes:
        title: what it does, in a few words.
        origin: where it comes from.
        inputs: what goes in and comes out, in a sentence.
        file: the `.keras` file.
        classes: names of the output's last axis.
        drawn: what the inputs that draw gives are.
        decisions: what the model's decisions are called.
        draw: the Keras model, how many, to inputs (N, T, F) and which decisions count, a mask of
            the output without its class axis.
        batches: batch sizes to time.
    """

    title: str
    origin: str
    inputs: str
    file: Path
    classes: Sequence[str]
    drawn: str
    decisions: str
    draw: Callable[[Any, int], tuple[Floats, NDArray[np.bool_]]]
    batches: tuple[int, int]


def sleep_stages() -> Subject:
    """The sleepecg package's classifier of heart rate.

    Raises:
        Unavailable: the package cannot be downloaded.
    """
    archive = package_file(
        PACKAGE,
        "sleepecg/classifiers/wrn-gru-mesa.zip",
        "5622a858c855b0090e1fbcbdc35334ea459707c830eae1a26a4375e33091e869",
    )
    CACHE.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as bundle:
        bundle.extract("classifier.keras", CACHE)
    return Subject(
        title="sleep stages from heart rate",
        origin=f"{PACKAGE.replace('==', ' ')}, BSD-3, as its authors published it",
        inputs="36 features for each 30 s of a night in, its sleep stage out",
        file=CACHE / "classifier.keras",
        classes=("none", "NREM", "REM", "wake"),
        drawn="nights, random but plausible",
        decisions="stages",
        draw=_nights,
        batches=(1, 16),
    )


def _nights(model: Any, count: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Nights of 7 to 9 hours, padded on the left; features wander about the training data's mean.

    The mean and spread of each feature stand in the model's own BatchNormalization.
    """
    norm = next(layer for layer in model.layers if type(layer).__name__ == "BatchNormalization")
    mean = np.asarray(norm.moving_mean)  # (F,)
    spread = np.sqrt(np.asarray(norm.moving_variance))  # (F,)
    rng = np.random.default_rng(11)
    time = 9 * 120
    noise = rng.standard_normal((count, time, len(mean)))
    wander = np.zeros_like(noise)  # (N, T, F), of unit variance, with a memory of some minutes
    wander[:, 0] = noise[:, 0]
    for t in range(1, time):
        wander[:, t] = 0.95 * wander[:, t - 1] + np.sqrt(1 - 0.95**2) * noise[:, t]
    valid = np.arange(time) >= time - rng.integers(7 * 120, time + 1, (count, 1))  # (N, T)
    nights = np.where(valid[..., None], mean + spread * wander, MASKED)
    return nights.astype(np.float32), valid


def digit_images() -> Subject:
    """The model of train_digits.py, trained for some seconds here and now.

    In a process of its own: what TensorFlow costs this one is measured later.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    file = CACHE / "digits.keras"
    script = [sys.executable, str(Path(__file__).with_name("train_digits.py"))]
    subprocess.run([*script, "--keras", str(file), "--epochs", "12"], check=True, cwd=CACHE)
    return Subject(
        title="handwritten digits, row by row",
        origin="scikit-learn's digits, trained just now by scripts/train_digits.py",
        inputs="8 rows of 8 grey values in, the digit out",
        file=file,
        classes=tuple("0123456789"),
        drawn="images that training did not see",
        decisions="digits",
        draw=_images,
        batches=(1, 64),
    )


def _images(model: Any, count: int) -> tuple[Floats, NDArray[np.bool_]]:
    from train_digits import digits

    _, _, images, _ = digits()
    return images[:count], np.ones(min(count, len(images)), bool)
