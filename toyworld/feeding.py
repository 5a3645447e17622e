"""Draws training batches ahead, in worker processes, each from the chance of its own step.

A step's batch depends on the seed and the step alone, so a resumed run sees what an unbroken one would,
however many workers there are.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset


class Batches(Dataset[Any]):
    """The batch of each step."""

    def __init__(self, draw: Callable[[np.random.Generator], Any], seed: int) -> None:
        self.draw, self.seed = draw, seed

    def __getitem__(self, step: int) -> Any:
        return self.draw(np.random.default_rng([self.seed, step]))


def feed(
    draw: Callable[[np.random.Generator], Any], *, seed: int, first: int, last: int, workers: int
) -> Iterator[tuple[int, Any]]:
    """Yields steps and their batches.

    Args:
        draw: Makes a batch from a source of chance.
        seed: Seed of the run.
        first: First step.
        last: Step before which to stop.
        workers: Processes that draw ahead; 0 draws here.

    Returns:
        Pairs of step and batch, in order.
    """
    steps = range(first, last)
    loader = DataLoader(Batches(draw, seed), batch_size=None, sampler=steps, num_workers=workers)
    return zip(steps, loader, strict=True)
