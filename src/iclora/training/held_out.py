"""The loss on clips that are not trained on, always with the same noise, so that its curve is smooth."""

from __future__ import annotations

import numpy as np
import torch

from iclora.training.batches import Batch, Chosen, Disk, moved, sort_by_size
from iclora.training.chance import Chance
from iclora.training.model import uncompiled
from iclora.training.run import Run

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Noise levels that the loss is told at."""
MAX_CLIPS = 32
"""Held-out clips that are looked at: the first ones."""


class HeldOut:
    """Held-out clips, in the computer's memory.

    Args:
        run: The run. Where processes take turns they share the clips; where they work in step all do all.
        in_step: Whether all processes must compute the same.
    """

    def __init__(self, run: Run, *, in_step: bool) -> None:
        self._run = run
        self._share = not in_step
        size, world = run.settings.data.batch_size, run.accelerator.num_processes
        disk, left = Disk(run.store, torch.device("cpu")), MAX_CLIPS
        self._batches: list[tuple[int, Batch]] = []
        for places in sort_by_size(run.store, "held_out").values():
            places, left = places[:left], left - len(places[:left])
            for start in range(0, len(places), size):
                some = tuple(places[start : start + size])
                number = len(self._batches)
                self._batches.append(
                    (number, disk.take(Chosen(targets=some, references=some, silent=(False,) * len(some))))
                )
        if self._share:
            self._batches = self._batches[run.accelerator.process_index :: world]

    @torch.no_grad()
    def losses(self) -> list[float] | None:
        """Compute the mean loss at each of `LEVELS`; None where no clip is held out."""
        device = self._run.accelerator.device
        sums = torch.zeros(len(LEVELS) + 1, device=device)
        for number, waiting in self._batches:
            batch, count = moved(waiting, device), len(waiting.target)
            for place, level in enumerate(LEVELS):
                chance = _chance(count, level, self._run.settings.watch.seed + 1000 * number + place)
                with uncompiled(self._run.base.transformer):
                    sums[place] += self._run.learner(batch, chance)[0].sum()
            sums[-1] += count
        if self._share:
            sums = self._run.accelerator.reduce(sums, reduction="sum")
        *totals, count = sums.tolist()
        return [total / count for total in totals] if count else None


def _chance(count: int, level: float, seed: int) -> Chance:
    """One noise level, references as they are, no first frame."""
    nobody = np.zeros(count, bool)
    return Chance(
        sigma=np.full(count, level, np.float32),
        first_frame=nobody,
        silent=nobody,
        strangers=nobody,
        with_references=True,
        strengths=None,
        masks=None,
        noise_seed=seed,
    )
