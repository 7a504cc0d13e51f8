"""What scripts/stream_transients is made of, without the network: grid, rebuilding, picture."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

Script = Callable[[str], ModuleType]

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
U, CLASSES = 5, 9
LSTM = {
    "units": U,
    "activation": "tanh",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": True,
    "return_sequences": True,
    "go_backwards": False,
    "stateful": False,
    "time_major": False,
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Imports from scripts/, as its files do from each other."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def test_a_light_curve_on_the_grid(script: Script) -> None:
    curves = script("light_curves")
    days = np.array([-10.0, -4.0, 2.0, -1.0, 5.0])
    curve = curves.LightCurve(
        "n", "o", days, np.array([-6.0, 6, 0, 9, 9]), np.ones(5), np.array(list("gggrr"))
    )
    grid, fluxes = curves.on_grid(curve)
    np.testing.assert_array_equal(grid, np.arange(-10, 8, 3.0))
    np.testing.assert_allclose(fluxes[:, 0], [0, 0, 6, 3, 0, 0])  # negative, and none behind
    np.testing.assert_allclose(fluxes[:, 1], [0, 0, 0, 9, 9, 9])


def test_no_more_steps_than_the_model_was_trained_on(script: Script) -> None:
    curves = script("light_curves")
    days = np.repeat(np.arange(-100.0, 200.0, 2.0), 2)
    band = np.array(list("gr") * 150)
    curve = curves.LightCurve("n", "o", days, np.ones(300), np.ones(300), band)
    grid, fluxes = curves.on_grid(curve)
    assert (len(grid), fluxes.shape) == (50, (50, 2))
    assert -70 <= grid[0] < -67


def keras2_file(path: Path, **changes: object) -> Path:
    """A little Keras 2 file laid out like astrorapid's."""
    rng = np.random.default_rng(0)
    dense = {"name": "dense", "units": CLASSES, "activation": "softmax"}
    layers = [
        ("Masking", {"name": "masking", "mask_value": 0.0}, {}),
        ("LSTM", LSTM | {"name": "lstm"} | changes, {"kernel": (2, 4 * U)}),
        ("LSTM", LSTM | {"name": "lstm_1"}, {"kernel": (U, 4 * U)}),
        ("TimeDistributed", {"name": "td", "layer": {"config": dense}}, {"kernel": (U, CLASSES)}),
    ]
    with h5py.File(path, "w") as file:
        for kind, config, shapes in layers:
            group = file.create_group(f"model_weights/{config['name']}")
            shapes = dict(shapes)
            if kind == "LSTM":
                shapes["recurrent"] = (U, 4 * U)
            if shapes:
                shapes["bias"] = shapes["kernel"][1:]
            for name, shape in shapes.items():
                group[name] = rng.standard_normal(shape).astype(np.float32)
            group.attrs["weight_names"] = list(shapes)
        config = {
            "layers": [{"class_name": kind, "config": config} for kind, config, _ in layers],
            "build_input_shape": [None, 50, 2],
        }
        file.attrs["model_config"] = json.dumps({"config": config})
    return path


def test_the_rebuilt_model_is_what_keras_2_defines(script: Script, tmp_path: Path) -> None:
    rapid = script("rapid_model")
    file = keras2_file(tmp_path / "model.hdf5")
    x = np.random.default_rng(1).standard_normal((12, 2)).astype(np.float32)
    x[[0, 1, 5, 11]] = 0  # masked
    model = rapid.rebuild(file)
    found = np.asarray(model(x[None]))[0]
    np.testing.assert_allclose(found, rapid.numpy_steps(file, x), rtol=0, atol=1e-6)


def test_a_layer_of_another_kind_is_refused(script: Script, tmp_path: Path) -> None:
    file = keras2_file(tmp_path / "model.hdf5", recurrent_activation="sigmoid")
    with pytest.raises(ValueError, match="lstm is not the LSTM this was written for"):
        script("rapid_model").rebuild(file)


def test_a_picture_is_drawn(script: Script, tmp_path: Path) -> None:
    drawing, curves = script("draw_transients"), script("light_curves")
    curve = curves._synthetic()
    days, fluxes = curves.on_grid(curve)
    says = np.random.default_rng(0).dirichlet(np.ones(CLASSES), len(days)).astype(np.float32)
    path = tmp_path / "new" / "picture.png"
    drawing.draw([drawing.Streamed(curve, days, fluxes, says)] * 2, path, "a note")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_names_that_would_overlap_are_pushed_apart(script: Script) -> None:
    drawing = script("draw_transients")
    heights = drawing._apart([0.5, 0.51, 0.0, 0.9])
    gaps = np.diff(sorted(heights))
    assert gaps.min() >= drawing.LABEL_GAP - 1e-9
    assert np.argsort(heights).tolist() == [2, 0, 1, 3]
