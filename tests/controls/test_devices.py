"""controls.devices: what is not there is refused, with what is."""

import pytest
import torch

from iclora.controls.devices import check_device, devices, onnx_providers
from iclora.errors import RequestError


def test_a_device_that_is_not_there() -> None:
    check_device("cpu")
    with pytest.raises(RequestError, match="There is no device 'nowhere' here; use cpu"):
        check_device("nowhere")
    with pytest.raises(RequestError, match="no device 'meta'"):  # it holds no numbers
        check_device("meta")


def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices() == ["cpu", "cuda:0", "cuda:1", "mps"]


def test_providers_of_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="pip install 'iclora[onnx]'")
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    monkeypatch.setattr(runtime, "get_available_providers", lambda: [cpu])
    assert onnx_providers("cpu") == [cpu]
    for device in ("cuda", "cuda:1", "mps", "nowhere"):
        with pytest.raises(RequestError, match=f"has no device '{device}' here. Use cpu. .*onnxruntime-gpu"):
            onnx_providers(device)
    monkeypatch.setattr(runtime, "get_available_providers", lambda: [cuda, cpu])
    assert onnx_providers("cuda:1") == [(cuda, {"device_id": 1}), cpu]
    with pytest.raises(RequestError, match=r"has no device 'cuda:x' here. Use cpu or cuda\.$"):
        onnx_providers("cuda:x")
