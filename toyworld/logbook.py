"""The log of a training: one JSON line for some steps, and a stop where the numbers make no sense."""

import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor


def write_row(out: Path, step: int, names: tuple[str, ...], rows: list[Tensor], *, begun: float) -> None:
    """Logs the means of the steps since the last row into `OUT/log.jsonl`, and prints them.

    Args:
        out: Folder of the run.
        step: Steps done.
        names: What the numbers are.
        rows: The numbers of each step.
        begun: When the run began, in seconds of the monotonic clock.

    Raises:
        ArithmeticError: if a number is not finite; the last saved state is sound.
    """
    means = torch.stack(rows).mean(dim=0).tolist()
    if not all(map(math.isfinite, means)):
        raise ArithmeticError(
            f"a {' or '.join(names)} among the last {len(rows)} before step {step} is not finite, and the "
            f"weights with it: lower the rates (--muon, --adam) and go on from {out / 'state.pt'}, or start "
            "anew"
        )
    row = {"step": step, **{name: round(mean, 5) for name, mean in zip(names, means, strict=True)}}
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")
    print(json.dumps(row), f"{time.monotonic() - begun:.0f} s", flush=True)
