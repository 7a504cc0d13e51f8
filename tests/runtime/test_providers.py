from __future__ import annotations

import pytest

from rnnport.errors import ProviderUnavailable, UnknownProvider
from rnnport.runtime.backends import cuda
from rnnport.runtime.backends.onnxruntime import session_providers
from rnnport.runtime.cuda_probe import Probe
from rnnport.runtime.providers import resolve_provider

BROKEN = Probe(False, "asking the driver for a GPU", "the driver sees no GPU", "install it")


@pytest.fixture(params=[Probe(True), BROKEN], ids=["cuda", "no cuda"])
def probe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Probe:
    monkeypatch.setattr(cuda, "probe_cuda", lambda: request.param)
    return request.param


def test_auto_is_cuda_where_it_works(probe: Probe) -> None:
    assert resolve_provider("auto") == ("cuda" if probe.works else "cpu")
    assert resolve_provider("cpu") == "cpu"


def test_cuda_asked_for_by_name_never_falls_back(probe: Probe) -> None:
    if probe.works:
        assert resolve_provider("cuda") == "cuda"
        return
    with pytest.raises(ProviderUnavailable) as caught:
        resolve_provider("cuda")
    assert str(caught.value) == (
        "provider 'cuda' | received: asking the driver for a GPU failed: the driver sees no GPU | "
        "expected: an NVIDIA GPU, its driver, CUDA 13 and cuDNN 9 that run a small LSTM | "
        "remedy: install it"
    )


@pytest.mark.parametrize("name", ["CPU", "", "gpu", None, 3])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UnknownProvider) as caught:
        resolve_provider(name)
    assert str(caught.value) == (
        f"provider | received: {name!r} | "
        "expected: one of cpu, cuda, openvino, web, reference, auto | remedy: choose one of those"
    )


def test_tf32_is_off_on_cuda() -> None:
    assert session_providers("cuda")[0] == ("CUDAExecutionProvider", {"use_tf32": "0"})
    assert [name for name, _ in session_providers("cpu")] == ["CPUExecutionProvider"]
