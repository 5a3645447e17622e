"""Which clips make the batch of a step, and their latents.

A step's clips follow from the seed and the step alone, so a run that goes on takes those it would have taken:

    epoch ─ shuffle by (seed, epoch) ─► clips of one size side by side ─► steps ─► batches, slot by slot

A *slot* is one batch of a step: of each process and each accumulated batch one. Two processes fill the slots
that one process fills with twice the accumulation, and learn the same.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from iclora.errors import DatasetError
from iclora.training.store import Bucket, Sample, Split, Store

Size = tuple[Bucket, int]
"""What clips must have in common to be in one batch: their size, and the number of their references."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Encoded clips of one size.

    Attributes:
        target: What is to be made.
        references: What it is to follow, one tensor for each reference of a clip.
        context: The encoded captions.
        context_mask: True where a token of them counts; None: all do.
    """

    target: Float[Tensor, "b c f h w"]
    references: tuple[Tensor, ...]
    context: Float[Tensor, "b t d"]
    context_mask: Bool[Tensor, "b t"] | None = None


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Places in the store's samples that a batch is made of.

    Attributes:
        targets: Whose target and caption.
        references: Whose references; another clip's where a clip is shown what it shall not trust.
        silent: Which clips have no caption.
    """

    targets: tuple[int, ...]
    references: tuple[int, ...]
    silent: tuple[bool, ...]


class Order:
    """The clips of each step.

    Args:
        sizes: Places in the store's samples, by what they must have in common.
        clips_per_step: Clips that one step takes, in all its slots.
        seed: Seed of the order.
    """

    def __init__(self, sizes: dict[Size, list[int]], *, clips_per_step: int, seed: int) -> None:
        self._sizes = list(sizes.values())
        self.clips_per_step = clips_per_step
        self._seed = seed
        self.steps_per_epoch = sum(-(-len(places) // clips_per_step) for places in self._sizes)
        self._alike = {place: places for places in self._sizes for place in places}
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def clips(self, step: int) -> list[int]:
        """Tell the clips of a step, all of one size.

        Args:
            step: Steps done before it.

        Returns:
            Places in the store's samples. Where there are too few of a size, some come again.
        """
        epoch, place = divmod(step, self.steps_per_epoch)
        return self._epoch(epoch)[place]

    def alike(self, place: int) -> list[int]:
        """Tell all clips that may be in one batch with a clip."""
        return self._alike[place]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng([self._seed, epoch])
        steps = []
        for places in self._sizes:
            shuffled = rng.permutation(places)
            count = -(-len(places) // self.clips_per_step)
            filled = np.resize(shuffled, count * self.clips_per_step)
            steps += filled.reshape(count, self.clips_per_step).tolist()
        return [steps[place] for place in rng.permutation(len(steps))]


def sort_by_size(store: Store, split: Split) -> dict[Size, list[int]]:
    """Sort the samples of a split by what they must have in common to be in one batch.

    Args:
        store: The prepared folder.
        split: `train` or `held_out`.

    Returns:
        Places in the store's samples.
    """
    sizes: dict[Size, list[int]] = defaultdict(list)
    for place in store.indices(split):
        row = store.samples[place]
        sizes[row.bucket, row.num_references].append(place)
    return dict(sizes)


def digest_of(store: Store) -> str:
    """Tell prepared folders apart by what the order of clips follows from.

    Args:
        store: The prepared folder.

    Returns:
        16 letters and digits.
    """
    rows = [
        (row.id, row.clip, row.caption, row.split, row.num_references, row.bucket) for row in store.samples
    ]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


class Disk:
    """Reads batches from the prepared folder, the next one while a step is computed.

    Args:
        store: The prepared folder.
        device: Where batches go.
    """

    def __init__(self, store: Store, device: torch.device) -> None:
        self._store, self._device = store, device
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="iclora-clips")
        self._ahead: tuple[Chosen, Future[Batch]] | None = None

    def take(self, chosen: Chosen) -> Batch:
        """Take a batch.

        Args:
            chosen: What it is made of.

        Returns:
            The batch, on the device.

        Raises:
            DatasetError: A clip cannot be read.
        """
        ahead, self._ahead = self._ahead, None
        batch = ahead[1].result() if ahead is not None and ahead[0] == chosen else self._collect(chosen)
        return moved(batch, self._device)

    def expect(self, chosen: Chosen) -> None:
        """Begin to read what is probably asked for next."""
        if self._ahead is None:
            self._ahead = chosen, self._reader.submit(self._collect, chosen)

    def _collect(self, chosen: Chosen) -> Batch:
        own = [self._store.load(place) for place in chosen.targets]
        shown = [
            sample.references if place == other else self._store.load_references(other)
            for sample, place, other in zip(own, chosen.targets, chosen.references, strict=True)
        ]
        context, mask = _contexts(self._store, own, chosen.silent)
        return Batch(
            target=torch.stack([halved(sample.target) for sample in own]),
            references=tuple(
                torch.stack([halved(latents) for latents in side]) for side in zip(*shown, strict=True)
            ),
            context=context,
            context_mask=mask,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shelf:
    """All clips of one size: targets and contexts once a clip, references once a sample."""

    targets: Tensor
    contexts: Tensor
    masks: Tensor | None
    references: tuple[Tensor, ...]
    clip_of: dict[int, int] = field(repr=False)
    row_of: dict[int, int] = field(repr=False)


class Memory:
    """Holds all clips, in the computer's memory or the GPU's.

    Args:
        store: The prepared folder.
        sizes: From `sort_by_size`: what is held.
        device: Where batches go.
        home: Where clips wait.
        progress: Called with the samples read and their number.
    """

    def __init__(
        self,
        store: Store,
        sizes: dict[Size, list[int]],
        device: torch.device,
        *,
        home: torch.device,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._device, self._home = device, home
        self._shelf_of: dict[int, _Shelf] = {}
        total = sum(map(len, sizes.values()))
        for places in sizes.values():
            done = len(self._shelf_of)
            shelf = _fill(store, places, home, lambda count, done=done: progress(done + count, total))  # type: ignore[misc]
            self._shelf_of |= dict.fromkeys(places, shelf)

    def take(self, chosen: Chosen) -> Batch:
        """Take a batch.

        Args:
            chosen: What it is made of; all of one size.

        Returns:
            The batch, on the device.
        """
        shelf = self._shelf_of[chosen.targets[0]]
        nothing = len(shelf.contexts) - 1  # the empty prompt stands last
        clips = [shelf.clip_of[place] for place in chosen.targets]
        said = [nothing if silent else clip for clip, silent in zip(clips, chosen.silent, strict=True)]
        rows = [shelf.row_of[place] for place in chosen.references]
        # In one small piece: larger ones wait until the device has done all it has to do.
        own, words, shown = torch.tensor([clips, said, rows]).to(self._home, non_blocking=True)
        batch = Batch(
            target=shelf.targets[own],
            references=tuple(latents[shown] for latents in shelf.references),
            context=shelf.contexts[words],
            context_mask=None if shelf.masks is None else shelf.masks[words],
        )
        return batch if self._home == self._device else moved(batch, self._device)

    def expect(self, chosen: Chosen) -> None:
        """Nothing has to be read ahead."""


def moved(batch: Batch, device: torch.device) -> Batch:
    """Bring a batch to a device, without waiting for what that has to do."""

    def move(tensor: Tensor) -> Tensor:
        pinned = tensor.pin_memory() if device.type == "cuda" and not tensor.is_cuda else tensor
        return pinned.to(device, non_blocking=True)

    return Batch(
        target=move(batch.target),
        references=tuple(map(move, batch.references)),
        context=move(batch.context),
        context_mask=None if batch.context_mask is None else move(batch.context_mask),
    )


def halved(latents: Tensor) -> Tensor:
    """Keep latents, whose values are around 1, in two bytes each."""
    return latents.half() if latents.dtype == torch.float32 else latents


def _fill(store: Store, places: list[int], home: torch.device, progress: Callable[[int], None]) -> _Shelf:
    targets: list[Tensor] = []
    said: list[Sample] = []
    references: list[list[Tensor]] = []
    clip_of: dict[int, int] = {}
    known: dict[str, int] = {}
    for count, place in enumerate(places, 1):
        clip = store.samples[place].clip
        if clip in known:
            shown = store.load_references(place)
        else:
            known[clip], sample = len(known), store.load(place)
            shown = sample.references
            targets.append(halved(sample.target))
            said.append(sample)
        clip_of[place] = known[clip]
        references.append([halved(latents) for latents in shown])
        progress(count)
    contexts, masks = _contexts(store, [*said, said[0]], [False] * len(said) + [store.empty is not None])
    return _Shelf(
        targets=torch.stack(targets).to(home),
        contexts=contexts.to(home),
        masks=None if masks is None else masks.to(home),
        references=tuple(torch.stack(side).to(home) for side in zip(*references, strict=True)),
        clip_of=clip_of,
        row_of={place: row for row, place in enumerate(places)},
    )


def _contexts(
    store: Store, samples: Sequence[Sample], silent: Sequence[bool]
) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"] | None]:
    """The encoded captions, that of the empty prompt where a clip is silent."""
    chosen = [store.empty if quiet else sample for sample, quiet in zip(samples, silent, strict=True)]
    if any(one is None for one in chosen):
        raise DatasetError(
            f"{store.path} holds no empty prompt, which clips without a caption need. Prepare the dataset "
            "with this version, or set conditioning.prompt_dropout=0."
        )
    found = [(one.context, one.context_mask) for one in chosen if one is not None]
    if len({context.shape for context, _ in found}) > 1:
        raise DatasetError(
            f"The captions of {store.path} are of different lengths. Prepare it with this version."
        )
    contexts = torch.stack([context for context, _ in found])
    if all(mask is None for _, mask in found):
        return contexts, None
    full = torch.ones(contexts.shape[1], dtype=torch.bool)
    return contexts, torch.stack([full if mask is None else mask for _, mask in found])
