"""Tells how many steps of a training fit into some minutes: `python -m toyworld.minutes RUN/log.jsonl 5`.

The log is that of a few steps of the same training by `iclora train`; its last row says how long one took,
without what compiles before the first one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path


def steps_within(log: Path, minutes: float) -> int:
    """Computes how many steps the minutes allow.

    Args:
        log: `log.jsonl` of a run, of two rows of steps or more: the first one holds what compiles.
        minutes: How long the steps may take.

    Returns:
        Steps, at least as many as the log has.

    Raises:
        ValueError: if the log is too short.
    """
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    timed = [row for row in rows if "seconds_per_step" in row]
    if len(timed) < 2:
        raise ValueError(f"{log} has {len(timed)} rows of steps; train on until it has two")
    last = timed[-1]
    return max(int(last["step"]), int(60 * minutes / last["seconds_per_step"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the number of steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("minutes", type=float)
    given = parser.parse_args(arguments)
    print(steps_within(given.log, given.minutes))


if __name__ == "__main__":
    main()
