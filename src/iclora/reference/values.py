"""What the user asks of a reference, and the tokens the model gets: values, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from iclora import controls
from iclora.clip import Clip, Film
from iclora.errors import RequestError


def check_unit(name: str, value: float) -> None:
    """Refuse a dial outside 0 to 1."""
    if not 0 <= value <= 1:
        raise RequestError(f"The {name} is {value}; a number from 0 to 1 is accepted.")


def check_mask(mask: Tensor) -> None:
    """Refuse a mask that is not ``h w`` or ``f h w``, or holds anything but 0 to 1."""
    if mask.ndim not in (2, 3):
        raise RequestError(f"An attention mask has shape {tuple(mask.shape)}; 'h w' or 'f h w' is accepted.")
    if mask.numel() == 0 or not bool(((mask >= 0) & (mask <= 1)).all()):
        raise RequestError(
            "An attention mask holds no values, or values outside 0 to 1. Divide an 8-bit picture by 255."
        )


@dataclass(frozen=True, eq=False)
class Reference:
    """A control clip the result shall follow.

    Attributes:
        clip: The control, for instance canny edges; or the film that `control` is taken from. A `Film`, as
            `media.film` opens one, is not held in memory, but brought to the result's size as it is read.
        control: A name in `controls.CONTROLS`, to be drawn of the clip at the size and rate of the result.
            None: the clip is the control.
        dials: How it is drawn, such as `{"thickness": 3}`; what is left out is as the adapter was trained.
        strength: How clean the reference tokens stay, 0 (noise) to 1 (clean).
        attention_strength: How much the target looks at the reference, 0 (not at all) to 1.
        attention_mask: Where it looks, ``h w`` or ``f h w``, 0 to 1; multiplied with the attention strength.
        downscale: How many times smaller than the target the reference is encoded; None asks the adapter.
        temporal_factor: How many target frames one reference frame stands for; None asks the adapter.
    """

    clip: Clip | Film
    _: KW_ONLY
    control: str | None = None
    dials: Mapping[str, Any] = field(default_factory=dict)
    strength: float = 1.0
    attention_strength: float = 1.0
    attention_mask: np.ndarray | None = None
    downscale: int | None = None
    temporal_factor: int | None = None

    def __post_init__(self) -> None:
        if self.control is not None:
            object.__setattr__(self, "dials", controls.check_dials(self.control, self.dials))
        elif self.dials:
            raise RequestError(f"The dials {', '.join(self.dials)} are of no control; say which: control=..")
        check_unit("strength", self.strength)
        check_unit("attention strength", self.attention_strength)
        for name, value in (("downscale", self.downscale), ("temporal factor", self.temporal_factor)):
            if value is not None and value < 1:
                raise RequestError(f"A reference's {name} is {value}; it must be a whole number from 1 up.")
        if self.attention_mask is not None:
            check_mask(torch.as_tensor(self.attention_mask))


_WORTH = 0.125
"""From which share of an item's tokens, those of one weight and those of none, they are handled apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceTokens:
    """Tokens appended to the target: a reference or a keyframe.

    Attributes:
        latents: Clean tokens ``[b, r, c]``.
        positions: Bounds ``[b, 3, r, 2]``.
        strength: How clean they stay, 0 to 1.
        weights: How much the target looks at each token, ``[b, r]``, 0 to 1; None means 1 everywhere.
    """

    latents: Float[Tensor, "b r c"]
    positions: Float[Tensor, "b 3 r 2"]
    strength: float = 1.0
    weights: Float[Tensor, "b r"] | None = None

    def __post_init__(self) -> None:
        check_unit("strength", self.strength)


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenSequence:
    """The whole sequence of one stream, target first; changed no more once it is in use.

    Attributes:
        clean: Clean latents ``[b, s, c]``; zeros for tokens that are made from noise alone (or, in training
            and refinement, the video itself).
        positions: Bounds ``[b, p, s, 2]``: three axes for video, time alone for audio.
        mask: Denoise mask ``[b, s]``: 1 is made from noise, 0 stays clean. A token's noise level is
            ``mask * sigma``.
        lengths: Tokens of the target, then of each appended item.
        weights: For each appended item its attention weights ``[b, r]``, or None for 1 everywhere.
        isolate: True: appended items never see each other; False: always; None: the official rule, by which
            items from the first weighted one on do not see other items.
        num_one_way: Items at the end that are a stream of their own: they are looked at, but look at no token
            before them, hear no audio, and read the prompt as at noise level 0. While clean they are the same
            in every step.
        num_first: Target tokens of the first latent frame, which stands for one pixel frame alone; models
            with a keyframe embedding (LTX-2.5) mark them, and no appended ones.
    """

    clean: Float[Tensor, "b s c"]
    positions: Float[Tensor, "b p s 2"]
    mask: Float[Tensor, "b s"]
    lengths: tuple[int, ...]
    weights: tuple[Float[Tensor, "b _"] | None, ...] = ()
    isolate: bool | None = None
    num_one_way: int = 0
    num_first: int = 0

    def __post_init__(self) -> None:
        assert sum(self.lengths) == self.clean.shape[1] == self.mask.shape[1] == self.positions.shape[2]
        assert len(self.weights) == len(self.lengths) - 1 >= self.num_one_way

    @property
    def num_target(self) -> int:
        """Number of target tokens, the ones kept after sampling."""
        return self.lengths[0]

    @property
    def num_two_way(self) -> int:
        """Number of tokens before the one-way items: the target and what looks back at it."""
        return sum(self.lengths[: len(self.lengths) - self.num_one_way])

    # Facts of the values on the device are read once, not in every step: reading waits for all it has to do.
    @cached_property
    def seen(self) -> tuple[bool, ...]:
        """For each appended item whether others see any of it."""
        if self.isolate is False and len(self.weights) > 1:  # each other they see, whatever the target does
            return (True,) * len(self.weights)
        return tuple(weights is None or bool((weights > 0).any()) for weights in self.weights)

    @cached_property
    def even(self) -> tuple[bool, ...]:
        """For each appended item whether all its tokens have one weight (each batch element its own)."""
        return tuple(w is None or bool((w == w[:, :1]).all()) for w in self.weights)

    @cached_property
    def alike(self) -> tuple[tuple[Int[Tensor, " _"], Int[Tensor, " _"]] | None, ...]:
        """For each appended item its tokens of the commonest weight, then those of other weights above 0.

        None where that is no gain, as with weights that rise steadily, or that differ in the batch.
        """
        known = zip(self.weights, self.even, strict=True)
        return tuple(None if even or weights is None else _alike(weights) for weights, even in known)

    @cached_property
    def runs(self) -> tuple[int, ...]:
        """Number of tokens of each run of one mask value, common to the batch."""
        changes = (self.mask[:, 1:] != self.mask[:, :-1]).any(dim=0).nonzero()[:, 0] + 1
        bounds = [0, *changes.tolist(), self.mask.shape[1]]
        return tuple(end - start for start, end in pairwise(bounds))

    @cached_property
    def num_moving(self) -> int:
        """Number of tokens up to the last one that moves, the target at least."""
        moving = (self.mask > 0).any(dim=0).nonzero()
        return max(self.num_target, int(moving[-1]) + 1 if len(moving) else 0)

    @cached_property
    def visible(self) -> tuple[Int[Tensor, " kept"], TokenSequence] | None:
        """The indices and the sequence of the tokens that stay when hidden items are left out, or None.

        Hidden are items whose attention weights are all 0: the target does not see them. They are weighted
        items too, so by the official rule those after them do not see other items, with or without them.
        """
        seen = self.seen
        if all(seen):
            return None
        with torch.inference_mode(False):  # as it may be asked for again where gradients are wanted
            return self._left(seen)

    def _left(self, seen: tuple[bool, ...]) -> tuple[Tensor, TokenSequence]:
        """What stays when items that are not seen are left out."""
        spans = zip(pairwise(accumulate(self.lengths, initial=0)), [True, *seen], strict=True)
        kept = torch.cat([torch.arange(*span, device=self.mask.device) for span, stays in spans if stays])
        stay = [index for index, stays in enumerate(seen) if stays]
        lengths = [self.lengths[1 + index] for index in stay]
        weights = [self.weights[index] for index in stay]
        later = sum(seen[: seen.index(False)])
        if later < len(stay) > 1 and weights[later] is None:
            weights[later] = torch.ones_like(self.mask[:, : lengths[later]])
        return kept, replace(
            self,
            clean=self.clean[:, kept],
            positions=self.positions[:, :, kept],
            mask=self.mask[:, kept],
            lengths=(self.num_target, *lengths),
            weights=tuple(weights),
            num_one_way=sum(seen[len(seen) - self.num_one_way :]),
        )


def _alike(weights: Float[Tensor, "b r"]) -> tuple[Tensor, Tensor] | None:
    row = weights[0]
    values, counts = torch.unique(row[row > 0], return_counts=True)
    num_hidden = int((row == 0).sum())
    if not bool((weights == row).all()) or int(counts.max()) + num_hidden < _WORTH * len(row):
        return None
    common = row == values[counts.argmax()]
    return common.nonzero()[:, 0], ((row > 0) & ~common).nonzero()[:, 0]
