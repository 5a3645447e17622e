"""What lets a large base be trained on in little memory: 8-bit weights, and blocks that wait on the host."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from iclora.errors import MissingDependencyError, RequestError


def quantise(transformer: Any, kind: str, device: torch.device) -> None:
    """Turn the frozen linear layers of the blocks into 8-bit ones, in place.

    Args:
        transformer: The frozen transformer, before an adapter is put on it.
        kind: `none`, `int8` or `fp8`.
        device: Where it will be computed.

    Raises:
        MissingDependencyError: torchao is not installed.
        RequestError: The device does not know the type.
    """
    if kind == "none":
        return
    if kind == "fp8" and not (device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)):
        raise RequestError(
            "memory.quantise=fp8 needs a GPU of the Ada or Hopper kind or newer; int8 runs on all."
        )
    try:
        quantization: Any = importlib.import_module("torchao.quantization")
    except ImportError as error:
        raise MissingDependencyError(
            f"memory.quantise={kind} needs torchao ({error}): pip install torchao, or say none."
        ) from error
    names = {"int8": "Int8WeightOnlyConfig", "fp8": "Float8WeightOnlyConfig"}
    for block in transformer.transformer_blocks:
        quantization.quantize_(block, getattr(quantization, names[kind])())


def keep_on_host(transformer: Any, num_blocks: int, device: torch.device) -> bool:
    """Not yet written."""
    return False


def frozen(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of a module that are not trained."""
    return [parameter for parameter in module.parameters() if not parameter.requires_grad]
