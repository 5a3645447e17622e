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
from typing import cast, get_args

import torch

from iclora.errors import RequestError
from iclora.reference import TokenSequence
from iclora.transformer.layers import Kept
from iclora.transformer.storing import (
    FP8,
    Fetcher,
    Store,
    StoredBlock,
    loaded,
    sides_of,
    stored,
    waits_on_host,
)

_FORM = re.compile(r"(?:(off|exact)|every:([1-9]\d*))(?:,(\w+))?")


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """How long references are kept, and where.

    Attributes:
        every: Steps from one computation to the next, from 1 up; None: computed once, which is exact for
            one-way references.
        store: ``device``: as they are; ``host``: in the computer's memory, each block's copied over while
            the block before it is computed; ``fp8``: on the device in 8 bits a value, rounded.
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
        return FP8.itemsize if self.store == "fp8" else dtype.itemsize


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
        self._blocks: list[StoredBlock] = []
        self._fetcher: Fetcher | None = None
        self._age = 0

    @property
    def num_bytes(self) -> int:
        """Memory that is taken now."""
        return sum(side.num_bytes for block in self._blocks for side in sides_of(block))

    def begin(self) -> bool:
        """Start a step.

        Returns:
            Whether the references have to be computed in it; what was kept of them is dropped then.
        """
        self._age += 1
        if self._blocks and (self.policy.every is None or self._age < self.policy.every):
            return False
        self._blocks, self._fetcher = [], None
        return True

    def pack(self, kept: Kept) -> StoredBlock:
        """Bring keys and values of one block to where they are kept."""
        return stored(kept, self.policy.store)

    def fill(self, blocks: list[StoredBlock]) -> None:
        """Keep what `pack` made of each block of a step."""
        self._blocks, self._age = blocks, 0
        self._fetcher = Fetcher(blocks) if any(map(waits_on_host, blocks)) else None

    def load(self, index: int) -> Kept:
        """Return the keys and values of a block, as they were given to `pack` (rounded by fp8)."""
        return loaded(self._blocks[index]) if self._fetcher is None else self._fetcher.load(index)
