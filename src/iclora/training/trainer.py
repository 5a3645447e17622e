"""The whole of a training, from settings to an adapter.

settings ─► store, base ─► estimate ─► steps ─┬─► log, held-out loss, previews, best     ─► adapter, card,
                              └─► first steps ┘   checkpoint ─► (killed) ─► goes on          report
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType, broadcast_object_list, gather_object

from iclora import adapters
from iclora.adapters import LowRank
from iclora.adherence import Truth
from iclora.errors import TrainingError
from iclora.media.files import write_file
from iclora.plan import ModelFacts
from iclora.training import output, saving
from iclora.training.batches import digest_of
from iclora.training.config import TrainingSettings
from iclora.training.estimate import Estimate, estimate
from iclora.training.held_out import HeldOut
from iclora.training.model import adapter_name, layers_of
from iclora.training.previews import (
    chosen_for_previews,
    find_truth,
    make_preview,
    mean_numbers,
    write_preview,
)
from iclora.training.report import REPORT, write_report
from iclora.training.run import Clock, Run, read_meter, take_step
from iclora.training.saving import Best
from iclora.training.start import (
    begin,
    begin_trackers,
    clips_per_step,
    exact_kernels,
    exact_products,
    facts_of,
    is_unnamed,
    make_accelerator,
    open_store,
)
from iclora.training.store import Store

_PROBED = (1, 4)
"""Steps of a start between which its speed is measured: the first one compiles and allocates."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a training tells while it goes on.

    Attributes:
        say: Called with a line of text.
        progress: Called with what is being done, how much of it is done, and of how much.
        numbers: Called with the newest numbers: `loss`, `held_out`, or `adherence` of a control.
    """

    say: Callable[[str], None] = lambda text: None
    progress: Callable[[str, int, int | None], None] = lambda what, done, total: None
    numbers: Callable[[Mapping[str, float]], None] = lambda numbers: None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training left.

    Attributes:
        adapter: The finished adapter: the best checkpoint's.
        report: A page of its curves, previews and settings.
        best: Which checkpoint was the best; None where nothing was held out.
        steps: Steps done.
    """

    adapter: Path
    report: Path
    best: Best | None
    steps: int


def foresee(settings: TrainingSettings, *, device: str = "cpu") -> Estimate:
    """Estimate what a training will take; no weight of the transformer is loaded.

    Args:
        settings: What would be trained.
        device: Where.

    Returns:
        The estimate.

    Raises:
        IcloraError: The base or the prepared folder is missing or damaged, or they do not fit.
    """
    facts = facts_of(settings.model)
    return _estimated(settings, facts, open_store(settings, facts), device)


def _estimated(settings: TrainingSettings, facts: ModelFacts, store: Store, device: str) -> Estimate:
    output.metadata_of(settings, store, facts, step=0, score={})
    return estimate(settings, facts, store, torch.device(device))


def train(
    settings: TrainingSettings, *, device: str = "cpu", overwrite: bool = False, told: Told | None = None
) -> Trained:
    """Train an adapter, or go on with one whose run is in the output folder.

    Args:
        settings: What is trained.
        device: `cpu`, or `cuda`; several processes are started with `accelerate launch`.
        overwrite: Whether a run of other settings in the output folder may be thrown away.
        told: Who is told of what is going on; in the first process alone.

    Returns:
        What was left in the output folder.

    Raises:
        IcloraError: Something is missing, damaged or does not fit, or the loss is no longer finite.
    """
    exact_products(settings)
    accelerator = make_accelerator(settings, device)
    told = told if told is not None and accelerator.is_main_process else Told()
    facts = facts_of(settings.model)
    store = open_store(settings, facts)
    foreseen = _estimated(settings, facts, store, str(accelerator.device))
    told.say(foreseen.told())
    if any(map(is_unnamed, store.samples)):
        told.say(
            f"What the references of {store.path} show is not said, so previews are not scored. Where it is "
            "a control, set adapter.control, such as adapter.control=canny."
        )
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            count = clips_per_step(settings, accelerator)
            now: Any = {"clips_per_step": count, "samples": digest_of(store)}
            saving.claim(Path(settings.output), settings, overwrite=overwrite, **now)
    begin_trackers(settings, accelerator)
    with exact_kernels(settings):
        run = begin(settings, accelerator, facts, store, told.progress)
        _go_on(run, told)
        watch = _Watch(run, facts, told, foreseen)
        if run.step < settings.steps:
            watch.all_steps()
        finished = watch.finish()
    accelerator.end_training()
    return finished


def _go_on(run: Run, told: Told) -> None:
    found = [saving.load_newest(run.folder) if run.is_main else None]
    if run.accelerator.num_processes > 1:
        broadcast_object_list(found)  # other hosts may not see the folder
    (state,) = found
    step = 0 if state is None else state.step
    if state is not None:
        run.resume(state)
        told.say(f"{run.folder} holds a run of these settings; it goes on from step {step}.")
        if state.clips_per_step is None:
            told.say("Its checkpoint is of before the clips of a step were counted: they are not compared.")
    if run.is_main:
        saving.rewind(run.folder, step)


class _Watch:
    """Does, every so many steps, what the settings ask for."""

    def __init__(self, run: Run, facts: ModelFacts, told: Told, foreseen: Estimate) -> None:
        self._run, self._facts, self._told, self._foreseen = run, facts, told, foreseen
        self._in_step = run.accelerator.distributed_type == DistributedType.FSDP
        self._held_out = HeldOut(run, in_step=self._in_step) if run.settings.watch.held_out_every else None
        self._clock = Clock(run.accelerator.device)
        self._newest: Best | None = None
        self._truths = self._own_truths()
        self._name = adapter_name(run.settings, output.control_of(run.settings, run.store))

    @property
    def _shows(self) -> bool:
        """Whether clips are made while it trains."""
        run = self._run
        return run.settings.watch.previews_every > 0 and run.base.components is not None

    def _own_truths(self) -> dict[int, Truth | None]:
        """Find what previews are compared with, for those that this process makes."""
        run = self._run
        if not self._shows:
            return {}
        rank, world = run.accelerator.process_index, run.accelerator.num_processes
        return {place: find_truth(run, place) for place in chosen_for_previews(run)[rank::world]}

    def all_steps(self) -> None:
        """Take all steps that are left."""
        run, settings = self._run, self._run.settings
        if run.step == 0:
            self._look_at_start()
        begun, probe = run.step, Clock(run.accelerator.device)
        self._clock.seconds()
        while run.step < settings.steps:
            self._step()
            if run.step - begun in _PROBED:
                self._compare(probe.seconds(), done=run.step - begun)
            self._told.progress("training", run.step, settings.steps)
            saves = self._is_due(settings.save.every)
            shows = self._is_due(settings.watch.previews_every)
            looks = self._is_due(settings.watch.held_out_every) or saves or shows
            if self._is_due(settings.watch.log_every) or looks:
                # Before anything else is done: what it is the mean of took the time until now.
                self._log(read_meter(run, seconds=self._clock.seconds()))
            if self._held_out is not None and looks:
                self._look_at_held_out(self._held_out)
            if saves or shows:
                self._save(shows=shows)
            if looks:
                self._clock.seconds()

    def _step(self) -> None:
        try:
            take_step(self._run)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"The memory does not suffice for a step ({error}). Lower data.batch_size (and raise "
                "data.accumulation as much) or feedback.crop, set memory.gradient_checkpointing=true, or see "
                "preset low-vram."
            ) from error

    def _look_at_start(self) -> None:
        """Show what the base does before anything is learned: what all curves begin with."""
        if self._shows:
            self._preview(layers_of(self._run.weights(), self._run.base.scale))
        if self._held_out is not None:
            self._look_at_held_out(self._held_out)

    def _is_due(self, every: int) -> bool:
        step = self._run.step
        return every > 0 and (step % every == 0 or step == self._run.settings.steps)

    def _compare(self, seconds: float, *, done: int) -> None:
        """Hold the estimate against the first steps."""
        if done != _PROBED[1]:
            return
        device = self._run.accelerator.device
        memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
        rate = seconds / (_PROBED[1] - _PROBED[0])
        self._told.say(self._foreseen.compared(seconds_per_step=rate, memory=memory))

    def _log(self, row: Mapping[str, Any]) -> None:
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        self._told.numbers(numbers)
        self._run.accelerator.log(numbers, step=self._run.step)
        if self._run.is_main:
            saving.add_row(self._run.folder, row)

    def _look_at_held_out(self, held_out: HeldOut) -> None:
        losses = held_out.losses()
        if losses is not None:
            mean = sum(losses) / len(losses)
            if not self._run.settings.feedback.weight:  # which raises this loss, and is to
                self._newest = Best(step=self._run.step, score=-mean, measure="held_out")
            self._log({"step": self._run.step, "held_out": mean, "held_out_by_noise": losses})

    def _save(self, *, shows: bool) -> None:
        """Write a checkpoint, after it was looked at: what was best by then is part of it."""
        run, state = self._run, self._run.state()
        layers = layers_of(state.weights, run.base.scale)
        scores: dict[str, float] = {}
        if shows and self._shows:
            scores = self._preview(layers)
        if scores:
            mean = sum(scores.values()) / len(scores)
            self._newest = Best(step=run.step, score=mean, measure="adherence")
        newest = self._newest
        is_best = newest is not None and newest.step == run.step and _is_better(newest, run.best)
        run.best = newest if is_best else run.best
        if run.is_main:
            files = {self._file: adapters.encode(layers, self._metadata(scores))}
            if is_best and run.best is not None:
                saving.save_best(run.folder, run.best, files)
            whole = replace(state, best=run.best)
            saving.save_checkpoint(run.folder, whole, files, keep=run.settings.save.keep)
            write_report(run.folder)

    def _preview(self, layers: Mapping[str, LowRank]) -> dict[str, float]:
        """Make clips of held-out references, each process its share; return mean scores by control."""
        run, world = self._run, self._run.accelerator.num_processes
        if run.is_main:
            adapters.write(self._current, layers, self._metadata({}), overwrite=True)
        run.accelerator.wait_for_everyone()
        own = self._truths.items()
        folder, scores = run.folder / "previews" / f"{run.step:06d}", []
        for number, (place, truth) in enumerate(own):
            self._told.progress("previews", number, len(own))
            preview = make_preview(run, place, truth, self._current)
            write_preview(folder, preview)
            scores.append(preview.numbers)
        self._told.progress("previews", len(own), len(own))
        means = mean_numbers(gather_object(scores) if world > 1 else scores)
        if means:
            self._log({"step": run.step, **means})
        return {name.partition("/")[2]: mean for name, mean in means.items() if name.startswith("adherence/")}

    def _metadata(self, scores: Mapping[str, float]) -> dict[str, str]:
        run = self._run
        return output.metadata_of(run.settings, run.store, self._facts, step=run.step, score=scores)

    @property
    def _file(self) -> str:
        return f"{self._name}.safetensors"

    @property
    def _current(self) -> Path:
        return self._run.folder / "current" / self._file

    def finish(self) -> Trained:
        """Write the adapter, its card and the report."""
        run, folder = self._run, self._run.folder
        adapter = folder / self._file
        if run.is_main:
            source = folder / "best" if run.best is not None else saving.newest(folder)
            content = (source / self._file).read_bytes()
            write_file(adapter, content, overwrite=True)
            metadata = adapters.read_outline(adapter).metadata
            text = output.card(run.settings, run.store, self._facts, self._name, metadata)
            write_file(folder / "README.md", text.encode(), overwrite=True)
            write_report(folder)
            shutil.rmtree(folder / "current", ignore_errors=True)
            if run.settings.push_to_hub:
                output.push(folder, (self._file, "README.md"), run.settings.push_to_hub)
        run.accelerator.wait_for_everyone()
        return Trained(adapter=adapter, report=folder / REPORT, best=run.best, steps=run.step)


def _is_better(newest: Best, best: Best | None) -> bool:
    """What follows its references better is better; the loss counts only where that was never measured."""
    if best is None or best.measure == newest.measure:
        return best is None or newest.score > best.score
    return newest.measure == "adherence"
