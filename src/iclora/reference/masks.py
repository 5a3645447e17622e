"""Attention masks: built from numbers and control clips, and shown as the tokens see them.

A mask is a float array ``h w`` or ``f h w``, 0 (not looked at) to 1, of any size in pixels; its frames are on
the clock of the result. Masks are multiplied as arrays are:

    feather(foreground(control), 8.0) * fade_in(24, num_frames=121)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from iclora.clip import Clip
from iclora.errors import RequestError
from iclora.geometry import LatentGrid
from iclora.reference.tokens import mask_to_tokens
from iclora.reference.values import check_mask, check_unit

Mask: TypeAlias = Float[np.ndarray, "*f h w"] | Bool[np.ndarray, "*f h w"]

_UNSEEN_RGB = (20, 20, 120)
_UNSEEN_SHARE = 0.75
"""Colour laid over what no token sees, and how much of it: blue, to differ from a picture that is dark."""


def fade_in(frames: int, *, num_frames: int) -> Float32[np.ndarray, "f 1 1"]:
    """Let a reference set in over time.

    Args:
        frames: How long it takes: the mask is 0 at frame 0 and 1 from frame `frames` on; from 1 up to
            ``num_frames - 1``.
        num_frames: Frames of the result.

    Returns:
        A mask ``f 1 1`` that holds for the whole picture, rising linearly.

    Raises:
        RequestError: The length is not a whole number, or does not fit into the result.
    """
    if not (frames >= 1 and frames % 1 == 0 and num_frames % 1 == 0):
        raise RequestError(
            f"A fade over {frames} of {num_frames} frames is not usable; give whole numbers from 1 up."
        )
    if frames >= num_frames:
        raise RequestError(
            f"A fade over {frames} frames does not end within {num_frames} frames; "
            f"give at most {num_frames - 1}."
        )
    rising = np.minimum(np.arange(num_frames, dtype=np.float32) / np.float32(frames), np.float32(1))
    return np.asarray(rising[:, None, None])


def fade_out(frames: int, *, num_frames: int) -> Float32[np.ndarray, "f 1 1"]:
    """Let a reference end over time: `fade_in` run backwards, 0 at the last frame.

    Args:
        frames: How long it takes, from 1 up to ``num_frames - 1``.
        num_frames: Frames of the result.

    Returns:
        A mask ``f 1 1`` that holds for the whole picture, falling linearly.

    Raises:
        RequestError: The length is not a whole number, or does not fit into the result.
    """
    # A copy: torch takes no array that runs backwards.
    return np.ascontiguousarray(fade_in(frames, num_frames=num_frames)[::-1])


def regions(
    pairs: Sequence[tuple[Float[np.ndarray, ...] | Bool[np.ndarray, ...], float]],
    *,
    background: float = 0.0,
) -> Float32[np.ndarray, "*f h w"]:
    """Give parts of the picture strengths of their own.

    Each mask is laid over those before it: where it is 1 its strength holds, where it is 0 what was there
    stays, and between the two are mixed.

    Args:
        pairs: Masks, each with its strength, 0 to 1; the later one wins. A mask without frames holds for
            all frames, an axis of size 1 for the whole axis.
        background: Strength where no mask is, 0 to 1.

    Returns:
        A mask ``h w`` where all are, else ``f h w``.

    Raises:
        RequestError: There is no mask, one is not usable, sizes differ, or a strength is outside 0 to 1.
    """
    check_unit("background", background)
    if not pairs:
        raise RequestError("There is no region; give at least one pair of a mask and its strength.")
    masks = [_checked(mask) for mask, _ in pairs]
    shapes = [mask.shape for mask in masks]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(" x ".join(map(str, one)) for one in shapes)
        raise RequestError(
            f"The masks of the regions have sizes {listed}, which differ; bring them to one size, "
            "and to the frames of the result or to one frame."
        ) from None
    mixed = np.full(shape, background, np.float32)
    for mask, (_, strength) in zip(masks, pairs, strict=True):
        check_unit("strength of a region", strength)
        mixed = mixed * (1 - mask) + np.float32(strength) * mask
    return np.asarray(np.clip(mixed, 0, 1))


def feather(mask: Mask, pixels: float) -> Float32[np.ndarray, "*f h w"]:
    """Soften the edges of a mask in space, frame by frame.

    Beyond the picture's border the mask is taken to go on as it is there.

    Args:
        mask: ``h w`` or ``f h w``, 0 to 1.
        pixels: Standard deviation of the Gaussian, in pixels of the mask: an edge rises from 0.16 to 0.84
            over twice as many. 0 leaves it hard; at most the longer side of the mask.

    Returns:
        The soft mask, of the same shape.

    Raises:
        RequestError: The mask is not usable or the number of pixels is out of range.
    """
    checked = _checked(mask)
    longer = max(checked.shape[-2:])
    if not 0 <= pixels <= longer:
        raise RequestError(
            f"A mask of {checked.shape[-1]}x{checked.shape[-2]} pixels cannot be feathered by {pixels}; "
            f"give 0 (not at all) to {longer} pixels."
        )
    if pixels > 0:
        for frame in checked if checked.ndim == 3 else checked[None]:
            # Weighed against its opposite, so that 0 and 1 stay exact away from the edges.
            seen, unseen = _blurred(frame, pixels), _blurred(1 - frame, pixels)
            frame[:] = seen / (seen + unseen)
    return checked


def foreground(
    clip: Clip, *, threshold: float | None = None, softness: float = 0.0, grow: int = 0
) -> Float32[np.ndarray, "f h w"]:
    """Take the bright part of a clip as the mask.

    ```
    mask clip, depth (near is white)     brighter than the threshold
    pose, edges (lines on black)         the same, then gaps of up to 2 `grow` closed and `grow` added around
    ```

    Brightness is that of a pixel's brightest channel: of a grey picture its grey, and a blue limb of a pose
    is as much there as a white one.

    Args:
        clip: A mask clip or a control, RGB 0..255.
        threshold: Brightness above which a pixel is foreground, 0 to 255. None: chosen once from all frames
            (Otsu), so that the mask does not flicker.
        softness: Range of brightness around the threshold over which the mask rises from 0 to 1; 0 is hard.
        grow: Pixels, a whole number from 0 up; only for a hard mask.

    Returns:
        A mask ``f h w``, 0 to 1, with the clip's size and frames.

    Raises:
        RequestError: A number is out of its range, both `softness` and `grow` are given, or no threshold is
            and the clip has a single brightness.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems,
        Man, and Cybernetics 9 (1979).
    """
    _check_foreground(threshold, softness, grow)
    red, green, blue = (clip.frames[..., channel] for channel in range(3))
    brightness = np.maximum(np.maximum(red, green), blue)
    threshold = _otsu_threshold(brightness) if threshold is None else threshold
    if softness > 0:
        rising = (brightness.astype(np.float32) - np.float32(threshold)) / np.float32(softness)
        return np.asarray(np.clip(rising + np.float32(0.5), 0, 1))
    hard = brightness > threshold
    if grow > 0:
        hard = np.stack([_grown(frame, grow) for frame in hard])
    return np.asarray(hard.astype(np.float32))


def preview(clip: Clip, mask: Mask, *, grid: LatentGrid) -> Clip:
    """Show a mask as the tokens of a reference see it: over a video, in the reference's latent cells.

    Where the weight is 1 the video is as it was; the lower it is, the more of the video lies under dark blue.

    Args:
        clip: The result, or the control, on the clock of the result; of any size that shows the same picture.
        mask: ``h w`` or ``f h w``, 0 to 1, as a `Reference` takes it.
        grid: The reference's latent grid: `Plan.references[i].grid`, or `geometry.latent_grid` of the
            result's frames and its size divided by the reference's downscale.

    Returns:
        The clip with the mask drawn into it; each cell a rectangle that stands for as many frames as its
        token does.

    Raises:
        RequestError: The mask is not usable, or its frames or the clip's cannot be shared among the grid's.
    """
    tokens = mask_to_tokens(torch.from_numpy(_checked(mask)), grid)
    cells = tokens.numpy().reshape(grid.shape)
    rows = np.arange(clip.height) * grid.height // clip.height
    columns = np.arange(clip.width) * grid.width // clip.width
    cover = np.array(_UNSEEN_RGB, np.float32)
    frames = np.empty_like(clip.frames)
    for index, cell_frame in enumerate(_latent_frames(clip.num_frames, grid)):
        unseen = _UNSEEN_SHARE * (1 - cells[cell_frame][rows][:, columns, None])
        frames[index] = np.rint(clip.frames[index] * (1 - unseen) + cover * unseen)
    return replace(clip, frames=frames)


def _latent_frames(num_frames: int, grid: LatentGrid) -> Int64[np.ndarray, " f"]:
    """For each pixel frame the latent frame that stands for it: the first for itself, then equal groups."""
    if grid.frames == 1:
        return np.zeros(num_frames, np.int64)
    group, rest = divmod(num_frames - 1, grid.frames - 1)
    if rest or group == 0:
        raise RequestError(
            f"A clip of {num_frames} frames cannot be shared among {grid.frames} latent frames; bring it to "
            "the frames of the result first (media.resample)."
        )
    return np.asarray((np.arange(num_frames, dtype=np.int64) + group - 1) // group)


def _checked(mask: Mask) -> Float32[np.ndarray, ...]:
    """Return a copy that may be written to."""
    copy = np.array(mask, dtype=np.float32, order="C")
    check_mask(torch.from_numpy(copy))
    return copy


def _blurred(frame: Float32[np.ndarray, "h w"], pixels: float) -> Float32[np.ndarray, "h w"]:
    return np.asarray(
        cv2.GaussianBlur(frame, (0, 0), float(pixels), borderType=cv2.BORDER_REPLICATE), np.float32
    )


def _check_foreground(threshold: float | None, softness: float, grow: int) -> None:
    if threshold is not None and not 0 <= threshold <= 255:
        raise RequestError(f"The threshold is {threshold}; give 0 to 255, or leave it out.")
    if not 0 <= softness < math.inf:
        raise RequestError(f"The softness is {softness}; give 0 (hard) or more, such as 32 of 255.")
    if not (grow >= 0 and grow % 1 == 0):
        raise RequestError(f"The mask cannot grow by {grow} pixels; give a whole number from 0 up.")
    if softness > 0 and grow > 0:
        raise RequestError("'softness' and 'grow' exclude each other; grow a hard mask, then use feather.")


def _otsu_threshold(brightness: UInt8[np.ndarray, "f h w"]) -> float:
    """Return the threshold with the largest variance between the two classes; of equal ones the middle."""
    counts = sum(np.bincount(frame.ravel(), minlength=256) for frame in brightness)
    values = np.asarray(counts, np.float64)
    below, sum_below = values.cumsum(), (values * np.arange(256)).cumsum()
    total, total_sum = below[-1], sum_below[-1]
    splits = np.flatnonzero((below > 0) & (below < total))
    if splits.size == 0:
        raise RequestError(
            f"All of the clip has the brightness {brightness.flat[0]} of 255, so nothing stands out; "
            "give a threshold, or a clip with something bright on something dark."
        )
    apart = (sum_below * total - total_sum * below)[splits] ** 2 / (below * (total - below))[splits]
    best = splits[apart == apart.max()]
    return float(best[0] + best[-1]) / 2


def _grown(hard: Bool[np.ndarray, "h w"], pixels: int) -> Bool[np.ndarray, "h w"]:
    """Close gaps and add a rim, with discs: by exact distances, whose cost does not grow with the disc."""
    if not hard.any():
        return hard
    reached = _distance_px(hard) <= pixels
    if reached.all():
        return np.asarray(reached)
    closed = _distance_px(~reached) > pixels
    return np.asarray(_distance_px(closed) <= pixels)


def _distance_px(seen: Bool[np.ndarray, "h w"]) -> np.ndarray:
    return np.asarray(cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
