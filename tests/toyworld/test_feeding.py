"""A function over many things: all results, in order, however many processes make them."""

import math

import pytest

from toyworld.feeding import AHEAD, spread


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_the_order_of_the_things(workers: int) -> None:
    items = range(2 * AHEAD + 3)  # more than two processes do at once
    results = list(spread(math.factorial, items, workers=workers))
    assert results[:5] == [1, 1, 2, 6, 24]
    assert results == [math.factorial(item) for item in items]


def test_without_processes_nothing_is_done_before_it_is_asked_for() -> None:
    done: list[int] = []
    results = spread(done.append, [4, 5, 6], workers=0)
    next(results)
    assert done == [4]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        list(spread(math.factorial, [3, -1], workers=workers))
