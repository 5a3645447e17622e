"""Keys and values of references, kept between the steps of sampling.

A clean reference token has noise level 0 in every step, so its keys and values change little; those of
one-way references, which look at nothing else, do not change at all:

    step            0          1          2          3          4
    every:2     computed     kept     computed     kept     computed
    exact       computed     kept       kept       kept       kept
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from iclora.attention import KeyValue
from iclora.errors import RequestError
from iclora.reference import TokenSequence
from iclora.transformer.layers import Kept

Store = Literal["device", "host", "fp8"]

_FP8 = torch.float8_e4m3fn
_FORM = re.compile(r"(?:(off|exact)|every:([1-9]\d*))(?:,(\w+))?")


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """How long references are kept, and where.

    Attributes:
        every: Steps from one computation to the next, from 1 up; None: computed once, which is exact for
            one-way references.
        store: ``device``: as they are; ``host``: in the computer's memory, copied over block by block;
            ``fp8``: on the device in 8 bits a value, rounded.
    """

    every: int | None
    store: Store = "device"

    @classmethod
    def parse(cls, text: str) -> CachePolicy | None:
        """Read ``off``, ``exact`` or ``every:K``, the last two with ``,host`` or ``,fp8`` if wanted.

        Args:
            text: The words.

        Returns:
            The policy, or None for ``off``.

        Raises:
            RequestError: The words are not of that form, or ask for exact and for rounding.
        """
        match = _FORM.fullmatch(text)
        store = "device" if match is None or match[3] is None else match[3]
        if match is None or store not in get_args(Store) or (match[1] == "off" and match[3] is not None):
            raise RequestError(
                f"The reference cache {text!r} is not known: say off, exact or every:K with K from 1 up, "
                "then ,host or ,fp8 if it shall be kept there (such as every:4,fp8)."
            )
        if match[1] == "exact" and store == "fp8":
            raise RequestError(
                "The reference cache 'exact,fp8' contradicts itself: fp8 rounds what is kept. Say exact or "
                "exact,host, or say every:K,fp8 with K the number of steps."
            )
        if match[1] == "off":
            return None
        return cls(every=None if match[1] else int(match[2]), store=cast(Store, store))

    def num_keepable(self, items: Sequence[tuple[int, bool]], num_one_way: int) -> int:
        """Count the appended tokens that can be kept: those of the clean items at the end.

        One-way items are kept all or, where one of them moves, not at all; nothing else is kept exactly.

        Args:
            items: Tokens of each appended item, and whether they move (a strength below 1).
            num_one_way: How many of the last items are one-way.

        Returns:
            Tokens.
        """
        if num_one_way:
            own = items[len(items) - num_one_way :]
            return 0 if any(moves for _, moves in own) else sum(length for length, _ in own)
        clean = takewhile(lambda item: not item[1], reversed(items))
        return 0 if self.every is None else sum(length for length, _ in clean)

    def bytes_per_value(self, dtype: torch.dtype) -> int:
        """How much memory a kept value takes where it is computed in a dtype."""
        return _FP8.itemsize if self.store == "fp8" else dtype.itemsize


def keepable_of(policy: CachePolicy, sequence: TokenSequence) -> int:
    """Count the tokens at the end of a sequence that can be kept."""
    starts = accumulate(sequence.lengths)
    items = [
        (length, start < sequence.num_moving)
        for length, start in zip(sequence.lengths[1:], starts, strict=False)
    ]
    return policy.num_keepable(items, sequence.num_one_way)


class ReferenceCache:
    """What is kept of one guidance pass over one video."""

    def __init__(self, policy: CachePolicy) -> None:
        """Start with nothing kept."""
        self.policy = policy
        self._blocks: list[_StoredBlock] = []
        self._age = 0

    @property
    def num_bytes(self) -> int:
        """Memory that is taken now."""
        pairs = [pair for block in self._blocks for pair in (block.own, block.heard) if pair is not None]
        return sum(side.num_bytes for pair in pairs for side in pair)

    def begin(self) -> bool:
        """Start a step.

        Returns:
            Whether the references have to be computed in it; what was kept of them is dropped then.
        """
        self._age += 1
        if self._blocks and (self.policy.every is None or self._age < self.policy.every):
            return False
        self._blocks = []
        return True

    def pack(self, kept: Kept) -> _StoredBlock:
        """Bring keys and values of one block to where they are kept."""
        own, heard = (
            None if pair is None else (_stored(pair[0], self.policy), _stored(pair[1], self.policy))
            for pair in (kept.own, kept.heard)
        )
        return _StoredBlock(own=own, heard=heard)

    def fill(self, blocks: list[_StoredBlock]) -> None:
        """Keep what `pack` made of each block of a step."""
        self._blocks, self._age = blocks, 0

    def load(self, index: int) -> Kept:
        """Return the keys and values of a block, as they were given to `pack` (rounded by fp8)."""
        block = self._blocks[index]
        own, heard = (_loaded(pair) for pair in (block.own, block.heard))
        return Kept(own=own, heard=heard)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stored:
    """A tensor where it is kept: its values, times a scale for each head, on a device in a dtype."""

    values: Tensor
    scale: Tensor | None
    device: torch.device
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        return self.values.nbytes + (0 if self.scale is None else self.scale.nbytes)


@dataclass(frozen=True, kw_only=True, eq=False)
class _StoredBlock:
    own: tuple[_Stored, _Stored] | None
    heard: tuple[_Stored, _Stored] | None


def _stored(tensor: Tensor, policy: CachePolicy) -> _Stored:
    values, scale = tensor, None
    if policy.store == "fp8":
        wide = tensor.float()
        # A device may take numbers below the smallest normal one for 0, and 0 over 0 is no number.
        scale = wide.abs().amax(dim=(2, 3), keepdim=True) / torch.finfo(_FP8).max
        scale = scale.clamp(min=torch.finfo(torch.float32).tiny)
        values = (wide / scale).to(_FP8)
    elif policy.store == "host" and tensor.device.type != "cpu":
        # Copies to and from pinned memory, where there is such, queue up in order with the device's work.
        pinned = tensor.device.type == "cuda"
        values = torch.empty_like(tensor, device="cpu", pin_memory=pinned)
        values.copy_(tensor, non_blocking=pinned)
    return _Stored(values=values, scale=scale, device=tensor.device, dtype=tensor.dtype)


def _loaded(pair: tuple[_Stored, _Stored] | None) -> KeyValue | None:
    if pair is None:
        return None
    key, value = (
        side.values.to(side.device, non_blocking=side.device.type == "cuda")
        if side.scale is None
        else (side.values.float() * side.scale).to(side.dtype)
        for side in pair
    )
    return key, value
