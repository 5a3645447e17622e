"""What a sweep over a dial shows: mean and spread of each score at each value of the dial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Point:
    """One score at one value of the dial.

    Args:
        score: What is measured of which reference.
        value: The value of the dial, as it was said.
        mean: Over the seeds.
        spread: Standard deviation over the seeds; 0 of a single one.
        count: How many seeds.
    """

    score: str
    value: str
    mean: float
    spread: float
    count: int


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Take mean and spread over the seeds.

    Args:
        rows: One for each result: `value` of the dial, and `scores`, of which each has a `reference`, a
            `measure` and a `value`, and perhaps numbers `inside` and `outside` of a mask.

    Returns:
        A point for each score at each value that has it, in the order they come in.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        for score in row["scores"]:
            name = f"{score['measure']} to {score['reference']}"
            found.setdefault((name, row["value"]), []).append(float(score["value"]))
            main = next(key for key in score if f"frame_{key}" in score)
            for part in ("inside", "outside"):
                if part in score:
                    of_part = (f"{name} {part}", row["value"])
                    found.setdefault(of_part, []).append(float(score[part][main]))
    return [
        Point(
            score=score,
            value=value,
            mean=float(np.mean(numbers)),
            spread=float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0,
            count=len(numbers),
        )
        for (score, value), numbers in found.items()
    ]


def places_of(values: Sequence[str]) -> list[float]:
    """Put values of a dial on an axis.

    Args:
        values: As they were said.

    Returns:
        The values themselves where all are numbers; else 0, 1, 2, ...
    """
    try:
        return [float(value) for value in values]
    except ValueError:
        return [float(index) for index in range(len(values))]
