"""Pictures taken several at a time, as networks run faster on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np


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
