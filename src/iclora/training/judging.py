"""Feedback from what is made: a guess is decoded, its control is found again, and compared with the clip's.

    guess ───► pictures ─► edges, depth, skeletons or what moves ─┐
                                                                  ├─► how far apart they are, for each clip
    clip  ───► pictures ─► edges, depth, skeletons or what moves ─┘

Flow matching teaches the mean of all clips that fit, and that is blurred: edges of a mean are weak. What is
found again is differentiable here: sizes of gradients instead of the yes or no of an edge detector, the maps
of the package's own networks, and instead of points that are followed, the pictures where they go: with the
first frame given, what moves along given tracks can hardly look otherwise than in the clip.

Source: the cycle consistency of Li et al., "ControlNet++" (ECCV 2024), here on the model's own way through
its schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from iclora.controls.canny import (
    AUTO_HIGH_RANGE,
    AUTO_PERCENTILE,
    AUTO_STRONG_PERCENTILE,
    AUTO_STRONG_SHARE,
    DEFAULT_BLUR,
)
from iclora.controls.depths import tiny as tiny_depth
from iclora.controls.poses import tiny as tiny_pose
from iclora.pipeline import pixels_of

NUM_FRAMES = 5
"""Frames of a clip whose depth or skeletons are looked at."""
STRONG, WEAK = 1.3, 0.3
"""How strong an edge should be on a line, and may be away from all, in units of the clip's own threshold."""
WRONG = 0.5
"""What an edge of strength 1 in the wrong place weighs, a missing one being 1."""
MOVED = 0.1
"""How far a pixel's colour, of -1..1, is from that in the first frame where something moves."""
LEAST_MOVED = 0.01
"""Share of a clip's pixels that count as moved at least: a still one is no more to be missed than that."""
_NEAR, _AWAY = 2, 4
"""Pixels within which an edge is on its line, and beyond which it is on none."""
_SAMPLES = 200_000
"""Pixels of a clip that its threshold is chosen from."""
_STRIDE = 16
"""Height and width of what the networks look at are multiples of this."""

Pictures = Float[Tensor, "b 3 f h w"]
Find = Callable[[Pictures, Pictures], Float[Tensor, " b"]]


def judged_steps(schedule: Sequence[float], from_noise: float) -> list[int]:
    """Tell the steps of a schedule whose guesses are judged.

    Args:
        schedule: Noise levels that a base is sampled at, the last one 0.
        from_noise: The noise level from which on they are.

    Returns:
        Numbers of steps, counted from 0; never the first, whose guess is of noise alone.
    """
    return [step for step, sigma in enumerate(schedule[:-1]) if step and sigma <= from_noise]


class Judge:
    """Tells how far the controls of guesses are from those of the clips.

    Args:
        vae: The autoencoder, on the device to compute on.
        controls: What is to be judged, names in `JUDGED`.
        crop: Side in pixels of the square that is decoded and looked at, at most.
    """

    def __init__(self, vae: Any, controls: Sequence[str], *, crop: int) -> None:
        self._vae, self._crop = vae, crop
        self._find: dict[str, Find] = {name: JUDGED[name](vae.device) for name in dict.fromkeys(controls)}

    def losses(
        self,
        guess: Float[Tensor, "b c f h w"],
        target: Float[Tensor, "b c f h w"],
        controls: Sequence[str],
        *,
        seed: int,
    ) -> Float[Tensor, " b"]:
        """Compare guesses with the clips they should follow.

        Args:
            guess: Normalised latents, with a gradient.
            target: The clips' latents.
            controls: The control of each.
            seed: Chooses the place that is looked at.

        Returns:
            For each clip 0 where nothing is missing, about 1 where nothing is followed.
        """
        cell = self._vae.spatial_compression_ratio
        cut = _cut((target.shape[-2], target.shape[-1]), max(1, self._crop // cell), seed)
        pictures = pixels_of(self._vae, guess[cut])
        with torch.no_grad():
            wanted = pixels_of(self._vae, target[cut])
        losses = pictures.new_zeros(len(pictures))
        for name, find in self._find.items():
            rows = [row for row, control in enumerate(controls) if control == name]
            if rows:
                places = torch.tensor(rows).to(losses.device, non_blocking=True)
                losses = losses.index_copy(0, places, find(pictures[places], wanted[places]))
        return losses


def _cut(sides: tuple[int, int], most: int, seed: int) -> tuple[Any, ...]:
    """A square of latents at a place that the seed chooses."""
    rng = np.random.default_rng(seed)
    spans = []
    for side in sides:
        length = min(side, most)
        start = int(rng.integers(side - length + 1))
        spans.append(slice(start, start + length))
    return (Ellipsis, *spans)


def edges_apart(pictures: Pictures, wanted: Pictures) -> Float[Tensor, " b"]:
    """What edges lack where the clip has some, and what there is away from them.

    Args:
        pictures: RGB, -1..1, with a gradient.
        wanted: The clips.

    Returns:
        For each clip 0 where each edge of it has a strong one within 2 pixels, and nothing else shows.
    """
    theirs = gradients_of(wanted)
    threshold = threshold_of(theirs)
    lines = (theirs > threshold).float()
    sizes = gradients_of(pictures) / threshold
    # Where a crop has few lines, wrong ones would count without bound; a whole clip has at least so many.
    count = lines.sum(dim=(1, 2, 3)).clamp_min((1 - AUTO_PERCENTILE / 100) * lines[0].numel())
    return off_lines(sizes, lines) / count


def off_lines(sizes: Float[Tensor, "b f y x"], lines: Float[Tensor, "b f y x"]) -> Float[Tensor, " b"]:
    """Sum what edges lack on lines, and what there is of them away from all lines.

    Args:
        sizes: How strong edges are, in units of the threshold.
        lines: 1 on lines, 0 elsewhere.

    Returns:
        For each clip the sum over its pixels.
    """
    missing = lines * functional.relu(STRONG - _largest_near(sizes, _NEAR))
    wrong = (1 - _largest_near(lines, _AWAY)) * functional.relu(sizes - WEAK)
    return (missing + WRONG * wrong).sum(dim=(1, 2, 3))


def moved_apart(pictures: Pictures, wanted: Pictures) -> Float[Tensor, " b"]:
    """Where colours change in the clip, compare those of the guess.

    Args:
        pictures: RGB, -1..1, with a gradient.
        wanted: The clips.

    Returns:
        For each clip 0 where what moves is where it is in the clip, 1 where it stays where it begins.
    """
    change = (wanted - wanted[:, :, :1]).abs().mean(dim=1)
    moved = change * (change > MOVED)
    apart = (pictures - wanted).abs().mean(dim=1) * (change > MOVED)
    least = MOVED * LEAST_MOVED * change[0].numel()
    return apart.sum(dim=(1, 2, 3)) / moved.sum(dim=(1, 2, 3)).clamp_min(least)


def gradients_of(pictures: Pictures) -> Float[Tensor, "b f y x"]:
    """Sizes of the gradients that `iclora.controls.canny` measures, differentiable.

    Args:
        pictures: RGB, -1..1; what lies beyond does not show.

    Returns:
        Size of the 3x3 Sobel gradient of the blurred grey picture of 0..255, without the border.
    """
    red, green, blue = pictures.clamp(-1, 1).unbind(dim=1)
    grey = 127.5 * (0.299 * red + 0.587 * green + 0.114 * blue) + 127.5
    picture = rearrange(grey, "b f h w -> (b f) 1 h w")
    bell, slopes = _filters(pictures.device)
    sides = functional.conv2d(functional.conv2d(picture, bell), slopes)
    sizes = (sides.square().sum(dim=1) + 1e-3).sqrt()
    return rearrange(sizes, "(b f) h w -> b f h w", b=len(pictures))


@cache
def _filters(device: torch.device) -> tuple[Float[Tensor, "1 1 y x"], Float[Tensor, "2 1 3 3"]]:
    """Gaussian and Sobel, made once: bringing numbers to a device waits for all it has to do."""
    reach = round(4 * DEFAULT_BLUR)
    steps = torch.arange(-reach, reach + 1)
    bell = torch.exp(-(steps**2) / (2 * DEFAULT_BLUR**2))
    bell = bell / bell.sum()
    slope = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return (bell[:, None] * bell)[None, None].to(device), torch.stack([slope, slope.T])[:, None].to(device)


def threshold_of(sizes: Float[Tensor, "b f y x"]) -> Float[Tensor, "b 1 1 1"]:
    """The upper threshold that `iclora.controls.canny` would choose for each clip.

    Args:
        sizes: From `gradients_of`.

    Returns:
        In the same units, without a gradient.
    """
    flat = sizes.detach().flatten(1)
    flat = flat[:, :: -(-flat.shape[1] // _SAMPLES)]
    usual, strong = (
        torch.quantile(flat, share / 100, dim=1) for share in (AUTO_PERCENTILE, AUTO_STRONG_PERCENTILE)
    )
    return torch.minimum(usual, AUTO_STRONG_SHARE * strong).clamp(*AUTO_HIGH_RANGE)[:, None, None, None]


def _largest_near(values: Float[Tensor, "b f y x"], reach: int) -> Float[Tensor, "b f y x"]:
    return functional.max_pool2d(values, 2 * reach + 1, 1, reach)


def _depth_judge(device: torch.device) -> Find:
    network = tiny_depth.load().eval().requires_grad_(False).to(device)

    def find(pictures: Pictures, wanted: Pictures) -> Float[Tensor, " b"]:
        frames = [_some_frames(one, tiny_depth.SHORT_SIDE) for one in (pictures, wanted)]
        with torch.no_grad():
            theirs = _evened(network(frames[1]))
        return _by_clip((_evened(network(frames[0])) - theirs).abs().mean(dim=(1, 2)), len(pictures))

    return find


def _evened(nearness: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Nearness without its scale and shift: about its median, in units of the mean distance from it."""
    about = nearness - nearness.flatten(1).median(dim=1).values[:, None, None]
    return about / about.abs().mean(dim=(1, 2), keepdim=True).clamp_min(1e-4)


def _pose_judge(device: torch.device) -> Find:
    network = tiny_pose.load().eval().requires_grad_(False).to(device)

    def find(pictures: Pictures, wanted: Pictures) -> Float[Tensor, " b"]:
        frames = [_some_frames(one, tiny_pose.SHORT_SIDE) for one in (pictures, wanted)]
        with torch.no_grad():
            theirs = network(frames[1])[0].sigmoid()
        ours = network(frames[0])[0]
        lost = functional.binary_cross_entropy_with_logits(ours, theirs, reduction="none")
        # What even the same maps would lose.
        least = functional.binary_cross_entropy(theirs, theirs, reduction="none")
        apart = _by_clip((lost - least).sum(dim=(1, 2, 3)), len(pictures))
        return _POSE_SCALE * apart / (_by_clip(theirs.sum(dim=(1, 2, 3)), len(pictures)) + 1)

    return find


_POSE_SCALE = 0.2
"""Maps of another clip are about 5 nats for each cell of a point apart."""


def _some_frames(pictures: Pictures, side: int) -> Float[Tensor, "n 3 y x"]:
    """Frames spread over clips, a clip's side by side, about as large as a network was trained on."""
    count = pictures.shape[2]
    chosen = torch.linspace(0, count - 1, min(NUM_FRAMES, count)).round().long().tolist()
    frames = rearrange(pictures[:, :, chosen], "b c f h w -> (b f) c h w").clamp(-1, 1)
    scale = min(1.0, side / min(frames.shape[-2:]))
    for dim in (-2, -1):
        length = frames.shape[dim]
        size = max(1, round(length * scale / _STRIDE)) * _STRIDE
        frames = _resized(frames.transpose(dim, -1), size).transpose(dim, -1)
    return frames


def _resized(values: Float[Tensor, "n c y x"], size: int) -> Float[Tensor, "n c y size"]:
    """Rows of another length, by a matrix: the same numbers each time, forward and backward."""
    length = values.shape[-1]
    unit = torch.eye(length, device=values.device)[None]
    spread = functional.interpolate(unit, size=size, mode="area" if size < length else "linear")
    return values @ spread[0]


def _by_clip(values: Float[Tensor, " n"], count: int) -> Float[Tensor, " b"]:
    return rearrange(values, "(b f) -> b f", b=count).mean(dim=1)


JUDGED: Mapping[str, Callable[[torch.device], Find]] = {
    "canny": lambda device: edges_apart,
    "depth": _depth_judge,
    "pose": _pose_judge,
    "tracks": lambda device: moved_apart,
}
"""Controls that can be judged, and what makes their judge on a device."""
FROM_FIRST_FRAME = ("tracks",)
"""Those that are followed, and judged, from a first frame: without it, what moves may look as it likes."""
