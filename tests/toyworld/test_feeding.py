"""Batches depend on seed and step alone, whoever draws them."""

import numpy as np
import pytest
import torch

from toyworld.feeding import feed


def drawing(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.random(3))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_sees_the_same_batches(workers: int) -> None:
    whole = dict(feed(drawing, seed=4, first=0, last=5, workers=0))
    rest = dict(feed(drawing, seed=4, first=2, last=5, workers=workers))
    assert list(rest) == [2, 3, 4]
    assert all(torch.equal(rest[step], whole[step]) for step in rest)
    assert not torch.equal(whole[0], whole[1])


def test_another_seed_gives_other_batches() -> None:
    (_, one), (_, other) = (next(feed(drawing, seed=seed, first=0, last=1, workers=0)) for seed in (0, 1))
    assert not torch.equal(one, other)
