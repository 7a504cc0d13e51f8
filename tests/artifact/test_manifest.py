from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rnnport.artifact.load import open_artifact
from rnnport.artifact.manifest import MANIFEST_FILE, decode, encode, record
from rnnport.errors import ArtifactDamaged
from rnnport.spec import Manifest
from tests import tiny_streams


@pytest.fixture(scope="module")
def manifest(lstm_folder: Path) -> Manifest:
    return open_artifact(lstm_folder).manifest


def test_it_comes_back_as_it_was(manifest: Manifest) -> None:
    assert decode(encode(manifest)) == manifest


def test_same_manifest_same_bytes(manifest: Manifest) -> None:
    other = msgspec.structs.replace(
        manifest, versions=dict(reversed(list(manifest.versions.items())))
    )
    assert encode(other) == encode(manifest)


def test_it_is_indented_json_that_ends_in_a_line(manifest: Manifest) -> None:
    text = encode(manifest).decode()
    assert json.loads(text)["schema"] == 1
    assert text.startswith('{\n  "schema": 1,')
    assert text.endswith("}\n")


def test_every_changed_byte_is_seen(manifest: Manifest) -> None:
    data = encode(manifest)
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ArtifactDamaged):
            decode(changed)


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (b"", "Input data was truncated"),
        (b"not json", "JSON is malformed"),
        (b"\xff\xfe{", "JSON is malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b"[" * 100_000, "Expected `object`"),
        (b'{"schema": "1"}', "Expected `int`, got `str`"),
        (b'{"schema": 1}', "missing required field `name`"),
        (b'{"a": ' * 100_000, ""),
    ],
)
def test_junk_is_damaged(data: bytes, received: str) -> None:
    with pytest.raises(ArtifactDamaged) as caught:
        decode(data)
    assert received in caught.value.reasons[0].received


@pytest.mark.parametrize(
    ("version", "remedy"),
    [(2, "pip install -U rnnport"), (0, "export the model again with this rnnport")],
)
def test_another_schema_version_says_which_and_what_to_do(version: int, remedy: str) -> None:
    with pytest.raises(ArtifactDamaged) as caught:
        decode(json.dumps({"schema": version, "unheard of": True}).encode())
    assert str(caught.value) == (
        f"rnnport.json | received: schema version {version} | expected: schema version 1, "
        f"the one this rnnport reads | remedy: {remedy}"
    )


def _edit(manifest: Manifest, *path: Any, value: Any) -> bytes:
    """Change one field, and seal the change as an attacker would."""
    document = json.loads(encode(manifest))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    document["digest"] = "0" * 64 if path != ("name",) else ""
    data = json.dumps(document).encode()
    seal = hashlib.sha256(data).hexdigest()
    return data.replace(b"0" * 64, seal.encode())


MODEL = ("forms", "model")
TUNED = {"batch": 8, "time": 20, "threads": 2, "before_us": 2.0, "after_us": 1.0}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((*MODEL, "record", "file"), "../x.onnx", "'../x.onnx' | expected: a plain file name"),
        ((*MODEL, "record", "file"), "/etc/x.onnx", "'/etc/x.onnx' | expected: a plain file name"),
        ((*MODEL, "record", "file"), "c:x.onnx", "expected: a plain file name"),
        ((*MODEL, "record", "file"), "a\\x.onnx", "expected: a plain file name"),
        ((*MODEL, "record", "file"), "x\0.onnx", "expected: a plain file name"),
        ((*MODEL, "record", "file"), "model.exe", "'model.exe' | expected: a file ending in .onnx"),
        (("golden", "file"), "..", "'..' | expected: a plain file name"),
        (("golden", "file"), "", "'' | expected: a plain file name"),
        (("golden", "file"), "model.onnx", "'model.onnx' listed twice"),
        ((*MODEL, "data"), [{"file": "../w", "size": 1, "sha256": "0"}], "'../w'"),
        (("forms",), {}, "forms | received: none | expected: at least one"),
        ((*MODEL, "inputs", 0, "dtype"), "object", "x | received: dtype 'object'"),
        ((*MODEL, "inputs", 0, "shape"), ["B", -1], "shape ['B', -1]"),
        ((*MODEL, "pads"), ["S"], "pads | received: ['S'] | expected: axis letters of its inputs"),
        ((*MODEL, "pads"), ["B"], "pads | received: ['B']"),
        ((*MODEL, "outputs"), [], "form model, outputs | received: none"),
        (("input_structure", "name"), "z", "leaves ['z'] | expected: the ports ['x']"),
        (("output_structure", "keys"), ["a"], "keys and items that do not pair"),
        (("tuned",), [{**TUNED, "batch": 0}], "tuned, 0×20 | received: batch 0"),
        (("tuned",), [{**TUNED, "time": -1}], "tuned, 8×-1 | received: time -1"),
        (("tuned",), [{**TUNED, "threads": 0}], "tuned, 8×20 | received: threads 0"),
        (("tuned",), [{**TUNED, "parts": 0}], "tuned, 8×20 | received: parts 0"),
        (("tuned",), [{**TUNED, "parts": 9}], "tuned, 8×20 | received: 9 parts"),
        (("tuned",), [{**TUNED, "after_us": 0}], "tuned, 8×20 | received: after_us 0"),
        (("surprise",), 1, "Object contains unknown field `surprise`"),
        (("golden", "size"), "1", "Expected `int`, got `str`"),
        (("name",), "digest", "bytes that do not fit the digest"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_refused(
    manifest: Manifest, path: tuple[Any, ...], value: Any, message: str
) -> None:
    with pytest.raises(ArtifactDamaged) as caught:
        decode(_edit(manifest, *path, value=value))
    assert message in str(caught.value)


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("started") / "out"
    return tiny_streams.stream_artifact(folder, tiny_streams.started()).manifest


STREAM = ("forms", "stream")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("streamable", "ok"), False, "not streamable, forms ['model', 'stream']"),
        ((*STREAM, "fixed"), ["nobody"], "fixed | received: ['nobody']"),
        ((*STREAM, "states", 0, "input"), "x", "inputs with states | received: names ['x', 'x'"),
        ((*STREAM, "states", 0, "output"), "y", "outputs with states | received: names ['y', 'y'"),
        ((*STREAM, "states", 0, "start"), "x", "received: start 'x'"),
        ((*STREAM, "states", 0, "end"), "y", "received: end 'y'"),
    ],
)
def test_a_stream_form_that_cannot_be_right_is_refused(
    streaming: Manifest, path: tuple[Any, ...], value: Any, message: str
) -> None:
    with pytest.raises(ArtifactDamaged) as caught:
        decode(_edit(streaming, *path, value=value))
    assert message in str(caught.value)


def test_every_contradiction_is_listed(manifest: Manifest) -> None:
    document = json.loads(encode(manifest))
    document["golden"]["file"] = "../golden.npz"
    document["forms"]["other"] = document["forms"]["model"]
    with pytest.raises(ArtifactDamaged) as caught:
        decode(json.dumps(document).encode())
    subjects = [reason.subject for reason in caught.value.reasons]
    assert subjects == ["rnnport.json, file"] * 2 + ["rnnport.json, forms"]


def test_a_record_says_name_size_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "f.bin"
    path.write_bytes(b"abc" * 100_000)
    found = record(path)
    assert (found.file, found.size) == ("f.bin", 300_000)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert MANIFEST_FILE == "rnnport.json"
