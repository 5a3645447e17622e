"""A run: everything of it in place, and its steps.

    order ─► clips ─► batch ─► learner ─► loss of each clip ─► gradient ─► step ─► every so often: `Watch`
       └──────► chance ─┘

Processes share a step's slots; see `batches`. Nothing in a step waits for the device.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from iclora.errors import TrainingError
from iclora.geometry import LatentFactors, latent_grid
from iclora.training.batches import Chosen, Disk, Memory, Order, digest_of
from iclora.training.chance import Chance, chance_of
from iclora.training.config import TrainingSettings
from iclora.training.meter import Meter, first_broken
from iclora.training.model import Base, learning_rate
from iclora.training.saving import Best, State, has_checkpoint
from iclora.training.store import Store

_FULL = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
_FROM_ALL = StateDictOptions(full_state_dict=True, ignore_frozen_params=True, strict=False)


@dataclass(kw_only=True, eq=False)
class Run:
    """A run in progress.

    Attributes:
        settings: What is trained.
        folder: Where it is written.
        accelerator: Of accelerate.
        store: What is learned from.
        order: The clips of each step.
        clips: Where batches come from.
        base: The base with the adapter.
        learner: The base with its loss, as accelerate wraps it.
        optimizer: What moves the weights, likewise.
        factors: Pixels of one latent cell.
        schedule: Noise levels that the base is sampled at.
        step: Steps done.
        best: The best checkpoint so far.
    """

    settings: TrainingSettings
    folder: Path
    accelerator: Any
    store: Store
    order: Order
    clips: Disk | Memory
    base: Base
    learner: nn.Module
    optimizer: Any
    factors: LatentFactors
    schedule: tuple[float, ...]
    step: int = 0
    best: Best | None = None
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(self.accelerator.device)

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return bool(self.accelerator.is_main_process)

    def slots(self, step: int) -> list[int]:
        """Tell the slots of a step that this process fills."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        return [rank + world * number for number in range(self.settings.data.accumulation)]

    def draw(self, step: int, slot: int) -> tuple[Chosen, Chance]:
        """Draw what a batch is made of, and all that is left to chance in it.

        Args:
            step: Steps done before it.
            slot: Its place in the step.

        Returns:
            The same for the same step and slot.
        """
        settings = self.settings
        count = settings.data.batch_size
        places = self.order.clips(step)[slot * count : (slot + 1) * count]
        bucket = self.store.samples[places[0]].bucket
        grid = latent_grid(bucket.num_frames, bucket.height, bucket.width, self.factors)
        rng = np.random.default_rng([settings.seed, step, slot])
        chance = chance_of(
            rng,
            count,
            settings.conditioning,
            settings.noise,
            num_tokens=grid.num_tokens,
            schedule=self.schedule,
        )
        alike = self.order.alike(places[0])
        others = rng.choice(alike, size=count).tolist()
        shown = [
            other if is_stranger else place
            for place, other, is_stranger in zip(places, others, chance.strangers, strict=True)
        ]
        silent = tuple(bool(one) for one in chance.silent)
        return Chosen(targets=tuple(places), references=tuple(shown), silent=silent), chance

    def weights(self) -> dict[str, Tensor]:
        """Collect what is trained; called by all processes, whole in the first one.

        The optimizer is left alone: PyTorch takes a step of it to collect its state before the first one.
        """
        return dict(get_model_state_dict(self.learner, options=_FULL).items())  # type: ignore[arg-type]

    def state(self) -> State:
        """Collect what going on exactly needs; called by all processes, whole in the first one."""
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        return State(
            step=self.step,
            weights=self.weights(),
            optimizer=get_optimizer_state_dict(self.learner, optimizer, options=_FULL),
            best=self.best,
            clips_per_step=self.order.clips_per_step,
            samples=digest_of(self.store),
        )

    def resume(self, state: State) -> None:
        """Go on from a state."""
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        set_model_state_dict(self.learner, dict(state.weights), options=_FROM_ALL)
        set_optimizer_state_dict(self.learner, optimizer, dict(state.optimizer), options=_FROM_ALL)
        self.step, self.best = state.step, state.best


def take_step(run: Run) -> None:
    """Take one step: the mean gradient of all slots, clipped, and the optimizer."""
    settings, accelerator = run.settings, run.accelerator
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(settings.optimizer, run.step, settings.steps)
    slots = run.slots(run.step)
    for slot in slots:
        chosen, chance = run.draw(run.step, slot)
        batch = run.clips.take(chosen)
        _expect_next(run, slot, slots)
        apart = slot != slots[-1]
        controls = [run.store.samples[place].control for place in chosen.targets]
        with accelerator.no_sync(run.learner) if apart else contextlib.nullcontext():
            losses = run.learner(batch, chance, controls)
            means = losses.mean(dim=1)
            loss = means[0] + settings.feedback.weight * means[1] if len(means) > 1 else means[0]
            accelerator.backward(loss / len(slots))
        run.meter.add_batch(losses, torch.from_numpy(chance.sigma).to(losses.device, non_blocking=True))
    gradient = accelerator.clip_grad_norm_(run.base.parameters, settings.optimizer.clip)
    run.optimizer.step()
    run.optimizer.zero_grad()
    # With FSDP each process has its part of the number.
    run.meter.end_step(gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient)
    run.step += 1


def _expect_next(run: Run, slot: int, slots: list[int]) -> None:
    """Let the clips of the next batch be read while this one is computed."""
    later = slots.index(slot) + 1
    step, follower = (run.step, slots[later]) if later < len(slots) else (run.step + 1, slots[0])
    if isinstance(run.clips, Disk) and step < run.settings.steps:
        run.clips.expect(run.draw(step, follower)[0])


def read_meter(run: Run, *, seconds: float) -> dict[str, Any]:
    """Read the numbers of the steps since the last time.

    Args:
        run: The run.
        seconds: What they took.

    Returns:
        A row for the log: the means, the loss of each step, the loss by noise level, and what guesses lacked.

    Raises:
        TrainingError: A loss or a gradient is not finite; the clips of that step are named.
    """
    count = run.meter.num_steps
    (losses, *judged), gradients, by_level = run.meter.read(run.accelerator)
    broken = first_broken(losses, gradients, *judged)
    if broken is not None:
        raise TrainingError(_blame(run, run.step - count + broken))
    return {
        "step": run.step,
        "loss": sum(losses) / count,
        "losses": losses,
        **({"feedback": sum(judged[0]) / count} if judged else {}),
        "gradient": sum(gradients) / count,
        "learning_rate": learning_rate(run.settings.optimizer, run.step - 1, run.settings.steps),
        "by_noise": by_level,
        "seconds_per_step": seconds / count,
    }


def _blame(run: Run, step: int) -> str:
    clips = [run.store.samples[place].id for place in run.order.clips(step)]
    sound = "is sound" if has_checkpoint(run.folder) else "would be sound, but there is none yet"
    return (
        f"The loss or the gradient of step {step + 1} is not finite. Its clips are: {', '.join(clips)}. Look "
        f"at them, or lower the learning rate ({run.settings.optimizer.learning_rate:g}); the newest "
        f"checkpoint in {run.folder} {sound}."
    )


class Clock:
    """Tells how long steps take, and the most memory they need."""

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.monotonic) -> None:
        self._device, self._clock = device, clock
        self._since = clock()

    def seconds(self) -> float:
        """Seconds since the last time, once the device has done all it was asked for."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        before, self._since = self._since, self._clock()
        return self._since - before
