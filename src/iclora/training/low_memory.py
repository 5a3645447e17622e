"""What lets a large base be trained on in little memory: 8-bit weights, and blocks that wait on the host."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from iclora.errors import MissingDependencyError, RequestError
from iclora.transformer import call_blocks


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


def keep_on_host(transformer: Any, num_blocks: int, device: torch.device) -> None:
    """Let the last blocks wait in the computer's memory, and come to the device when they are run.

    Each is fetched while the one before it is computed. Backward needs a block's weights again: with
    gradient checkpointing it is fetched again for that, without it stays until then.

    Args:
        transformer: The transformer with its adapter, whose trained weights stay on the device.
        num_blocks: How many blocks wait.
        device: Where they are computed.
    """
    blocks = list(transformer.transformer_blocks)
    waiting = blocks[max(0, len(blocks) - num_blocks) :]
    for block in blocks[: len(blocks) - len(waiting)]:
        block.to(device)
    for name, part in transformer.named_children():
        if name != "transformer_blocks":
            part.to(device)
    for own in (*transformer._parameters.values(), *transformer.buffers(recurse=False)):
        if own is not None:
            own.data = own.data.to(device)
    fetcher = _Fetcher(waiting, device)
    for place, block in enumerate(waiting):
        for trained in (one for one in block.parameters() if one.requires_grad):
            trained.data = trained.data.to(device)
        for buffer in block.buffers():
            buffer.data = buffer.data.to(device)
        block.register_forward_pre_hook(partial(_enter, fetcher, place))
        # Always: computing a block again for backward ends, by an exception, where nothing more is needed.
        block.register_forward_hook(partial(_leave, fetcher, place), always_call=True)
    if waiting:
        call_blocks(transformer)


class _Fetcher:
    """Copies of waiting blocks' weights on the device, made ahead in a stream of their own."""

    def __init__(self, blocks: list[Any], device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._homes = [_homes(block, pinned=self._stream is not None) for block in blocks]
        self._ahead: dict[int, tuple[list[nn.Parameter], Any]] = {}
        self._last = -1

    def enter(self, place: int) -> None:
        """Put a block's copies in, and begin to fetch those that are probably wanted next."""
        copies, ready = self._ahead.pop(place) if place in self._ahead else self._fetch(place)
        if ready is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(ready)
            for copy in copies:
                copy.record_stream(current)
        for (module, name, _), copy in zip(self._homes[place], copies, strict=True):
            module._parameters[name] = copy
        following = place + 1 if place > self._last else place - 1  # backward goes the other way
        self._last = place
        self._ahead = {}
        if 0 <= following < len(self._homes):
            self._ahead[following] = self._fetch(following)

    def leave(self, place: int) -> None:
        """Put the weights that wait back; backward keeps the copies that it needs."""
        for module, name, home in self._homes[place]:
            module._parameters[name] = home

    def _fetch(self, place: int) -> tuple[list[nn.Parameter], Any]:
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            copies = [
                nn.Parameter(
                    home.detach().to(self._device, non_blocking=True, copy=True), requires_grad=False
                )
                for _, _, home in self._homes[place]
            ]
        if self._stream is None:
            return copies, None
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record(self._stream)
        return copies, ready


def _homes(block: Any, *, pinned: bool) -> list[tuple[nn.Module, str, nn.Parameter]]:
    """Where each frozen weight of a block belongs, and the weight itself in the computer's memory."""
    homes = []
    for module in block.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and not parameter.requires_grad:
                parameter.data = parameter.data.cpu()
                if pinned and type(parameter.data) is torch.Tensor:  # others, of 8 bits, cannot be pinned
                    parameter.data = parameter.data.pin_memory()
                homes.append((module, name, parameter))
    return homes


def _enter(fetcher: _Fetcher, place: int, block: Any, arguments: Any) -> None:
    fetcher.enter(place)


def _leave(fetcher: _Fetcher, place: int, block: Any, arguments: Any, result: Any) -> None:
    fetcher.leave(place)
