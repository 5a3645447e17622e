"""Pictures taken several at a time, as networks run faster on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

CARD_BATCH = 8
"""Pictures looked at together on a card; the CPU is no faster with more than one."""


def batch_size(device: str) -> int:
    """Say how many pictures a large network shall look at together on a device of PyTorch's name."""
    return 1 if device == "cpu" else CARD_BATCH


def in_batches(pictures: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Put pictures together as they come.

    Args:
        pictures: All of one shape.
        size: How many to put together, >= 1; fewer are left at the end.

    Yields:
        Them with one axis more, the first.
    """
    remaining = iter(pictures)
    while batch := list(islice(remaining, size)):
        yield np.stack(batch)
