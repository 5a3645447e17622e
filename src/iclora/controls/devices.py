"""Where estimators run: refused before anything is loaded where there is no such device."""

from __future__ import annotations

from typing import Any

from iclora.errors import RequestError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""What onnxruntime calls them."""


def check_device(device: str) -> None:
    """Try a device of PyTorch.

    Args:
        device: In PyTorch's words, such as `cpu`, `cuda` or `cuda:1`.

    Raises:
        RequestError: There is no such device.
    """
    import torch

    try:
        there = torch.empty(0, device=device).device.type != "meta"
    except (RuntimeError, AssertionError):
        there = False
    if not there:
        raise RequestError(
            f"There is no device '{device}' here; use {' or '.join(devices())}. 'iclora doctor' says more."
        )


def devices() -> list[str]:
    """List the devices of PyTorch that are here, the CPU first."""
    import torch

    cards = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


def onnx_providers(device: str) -> list[Any]:
    """Choose what onnxruntime shall run on; it must be installed.

    Args:
        device: `cpu`, `cuda`, or `cuda:N`.

    Returns:
        What its sessions take as `providers`.

    Raises:
        RequestError: This build of onnxruntime has no such device.
    """
    import onnxruntime

    kind, _, number = device.partition(":")
    there = [name for name, one in _PROVIDERS.items() if one in onnxruntime.get_available_providers()]
    if kind not in there or (number and not number.isdigit()):
        advice = "" if "cuda" in there else " For a card install another build: pip install onnxruntime-gpu"
        raise RequestError(f"onnxruntime has no device '{device}' here. Use {' or '.join(there)}.{advice}")
    if kind == "cpu":
        return [_PROVIDERS["cpu"]]
    return [(_PROVIDERS[kind], {"device_id": int(number or 0)}), _PROVIDERS["cpu"]]
