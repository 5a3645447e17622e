"""Maps a function over many things in several processes, in order and without piling results up."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 8
"""Results a process may be ahead."""


def spread(function: Callable[[Item], Result], items: Sequence[Item], *, workers: int) -> Iterator[Result]:
    """Yields the function of each thing.

    Args:
        function: What to do; with workers, something that can be pickled.
        items: What with.
        workers: Processes; 0 does all of it here.

    Returns:
        Results in the order of the things.
    """
    if workers == 0:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")  # a forked process must not inherit a GPU
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:  # one core each
        for start in range(0, len(items), AHEAD * workers):
            yield from pool.map(function, items[start : start + AHEAD * workers])
