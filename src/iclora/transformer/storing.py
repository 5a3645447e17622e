"""Where keys and values of references lie between steps: on the device, there in 8 bits, or on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from iclora.attention import KeyValue
from iclora.transformer.layers import Kept

Store = Literal["device", "host", "fp8"]
FP8 = torch.float8_e4m3fn


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A tensor where it is kept: its values, times a scale for each head, for a device in a dtype."""

    values: Tensor
    scale: Tensor | None
    device: torch.device
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """Memory that is taken."""
        return self.values.nbytes + (0 if self.scale is None else self.scale.nbytes)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredBlock:
    """Keys and values of one block, as `Kept` has them."""

    own: tuple[Stored, Stored] | None
    heard: tuple[Stored, Stored] | None


def stored(kept: Kept, store: Store) -> StoredBlock:
    """Bring keys and values of one block to where they are kept."""
    own, heard = (
        None if pair is None else (_stored(pair[0], store), _stored(pair[1], store))
        for pair in (kept.own, kept.heard)
    )
    return StoredBlock(own=own, heard=heard)


def loaded(block: StoredBlock) -> Kept:
    """Bring keys and values of one block back to the device, as they were (rounded by fp8)."""
    return Kept(own=_loaded(block.own), heard=_loaded(block.heard))


def sides_of(block: StoredBlock) -> list[Stored]:
    """All that is stored of a block, in order."""
    return [side for pair in (block.own, block.heard) if pair is not None for side in pair]


def waits_on_host(block: StoredBlock) -> bool:
    """Whether a block's keys and values are of a GPU, and lie in the computer's memory."""
    return any(side.device.type == "cuda" and side.values.device.type == "cpu" for side in sides_of(block))


class Fetcher:
    """Brings what waits on the host to a GPU, a block ahead of the one that is computed, in its own stream.

    Two places on the GPU take turns, so that never more than two blocks' are there, however far the program
    is ahead of the GPU:

        computing   block 0 (place 0)   block 1 (place 1)   block 2 (place 0)
        copying     block 1 (place 1)   block 2 (place 0)   block 3 (place 1)
    """

    def __init__(self, blocks: Sequence[StoredBlock]) -> None:
        """Start with nothing fetched of some blocks, of which all wait on the host."""
        self._blocks = blocks
        self._device = next(side.device for block in blocks for side in sides_of(block))
        self._copying = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._places: tuple[dict[int, Tensor], dict[int, Tensor]] = ({}, {})
        self._ahead: dict[int, tuple[Kept, torch.cuda.Event]] = {}

    def load(self, index: int) -> Kept:
        """Return a block's keys and values, and begin to fetch the next one's."""
        kept, there = self._ahead.pop(index) if index in self._ahead else self._fetch(index)
        self._ahead = {index + 1: self._fetch(index + 1)} if index + 1 < len(self._blocks) else {}
        torch.cuda.current_stream(self._device).wait_event(there)
        return kept

    def _fetch(self, index: int) -> tuple[Kept, torch.cuda.Event]:
        block, place = self._blocks[index], self._places[index % 2]
        for number, side in enumerate(sides_of(block)):
            if number not in place or place[number].shape != side.values.shape:
                place[number] = torch.empty_like(side.values, device=self._device)
                place[number].record_stream(self._copying)
        # The last block that read this place is among what the GPU was given to do before.
        self._copying.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._copying):
            copies = [
                place[number].copy_(side.values, non_blocking=True)
                for number, side in enumerate(sides_of(block))
            ]
        pairs = (
            None if pair is None else (copies.pop(0), copies.pop(0)) for pair in (block.own, block.heard)
        )
        return Kept(*pairs), self._copying.record_event()


def _stored(tensor: Tensor, store: Store) -> Stored:
    values, scale = tensor, None
    if store == "fp8":
        wide = tensor.float()
        # A device may take numbers below the smallest normal one for 0, and 0 over 0 is no number.
        scale = wide.abs().amax(dim=(2, 3), keepdim=True) / torch.finfo(FP8).max
        scale = scale.clamp(min=torch.finfo(torch.float32).tiny)
        values = (wide / scale).to(FP8)
    elif store == "host" and tensor.device.type != "cpu":
        # Copies to and from pinned memory, where there is such, queue up in order with the device's work.
        pinned = tensor.device.type == "cuda"
        values = torch.empty_like(tensor, device="cpu", pin_memory=pinned)
        values.copy_(tensor, non_blocking=pinned)
    return Stored(values=values, scale=scale, device=tensor.device, dtype=tensor.dtype)


def _loaded(pair: tuple[Stored, Stored] | None) -> KeyValue | None:
    if pair is None:
        return None
    key, value = (
        side.values.to(side.device)
        if side.scale is None
        else (side.values.float() * side.scale).to(side.dtype)
        for side in pair
    )
    return key, value
