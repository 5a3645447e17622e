"""Pictures about clips: side by side as a clip, contact sheets as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from iclora.clip import Clip
from iclora.errors import RequestError
from iclora.media.shaping import scale_picture

_GAP_PX = 4
_BACKGROUND = 16
_TEXT = (235, 235, 235)


def side_by_side(
    clips: Sequence[Clip], *, labels: Sequence[str] | None = None, height: int | None = None
) -> Clip:
    """Show clips next to each other.

    ```
    ┌ control ┬ result ┐   label strip, only if labels are given
    │  clip 0 │ clip 1 │   all at one height, each with its own aspect ratio
    └─────────┴────────┘
    ```

    Args:
        clips: At least one clip, all at the same frame rate. Shorter ones hold their last frame.
        labels: One line for each clip, or None for no labels.
        height: Height of the pictures in pixels; None takes that of the tallest clip.

    Returns:
        One clip with the sound of the first clip that has any.

    Raises:
        RequestError: No clips, a label count that differs, different frame rates, or a height below 1.
    """
    _check_labels(len(clips), labels)
    rates = sorted({clip.fps for clip in clips})
    if len(rates) > 1:
        raise RequestError(
            f"Cannot set clips of {rates} frames per second side by side; "
            "bring them to one clock with media.resample first."
        )
    height = max(clip.height for clip in clips) if height is None else height
    if height < 1:
        raise RequestError(f"Clips cannot be shown {height} pixels high; the height must be at least 1.")
    num_frames = max(clip.num_frames for clip in clips)
    columns = [_column(clip, height, num_frames) for clip in clips]
    if labels is not None:
        columns = [_label_column(column, label) for column, label in zip(columns, labels, strict=True)]
    audio = next((clip.audio for clip in clips if clip.audio is not None), None)
    return replace(clips[0], frames=np.concatenate(_with_gaps(columns, axis=2), axis=2), audio=audio)


def contact_sheet(
    rows: Sequence[Clip], *, labels: Sequence[str], num_columns: int = 6, height: int = 128
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay frames of several clips out as one picture, a row for each clip and a column for each moment.

    Args:
        rows: At least one clip.
        labels: One line for each, written above its row.
        num_columns: Frames to show of each clip, evenly spread from its first to its last, at least 1.
        height: Height of a frame in pixels, at least 1.

    Returns:
        RGB, uint8 0..255, `h w 3`.

    Raises:
        RequestError: No clips, a label count that differs, or a column count or height below 1.
    """
    _check_labels(len(rows), labels)
    if num_columns < 1 or height < 1:
        raise RequestError(
            f"A contact sheet of {num_columns} columns with frames {height} pixels high is impossible; "
            "both must be at least 1."
        )
    strips = []
    for clip, label in zip(rows, labels, strict=True):
        indices = np.round(np.linspace(0, clip.num_frames - 1, num_columns)).astype(int)
        width = _scaled_width(clip, height)
        cells = [scale_picture(np.ascontiguousarray(clip.frames[at]), height, width) for at in indices]
        strip = np.concatenate(_with_gaps(cells, axis=1), axis=1)
        strips.append(np.concatenate([_label_strip(label, strip.shape[1]), strip]))
    widest = max(strip.shape[1] for strip in strips)
    return np.concatenate(_with_gaps([_pad_right(strip, widest) for strip in strips], axis=0))


def _check_labels(num_clips: int, labels: Sequence[str] | None) -> None:
    if num_clips == 0:
        raise RequestError("There are no clips to show; give at least one.")
    if labels is not None and len(labels) != num_clips:
        raise RequestError(f"There are {len(labels)} labels for {num_clips} clips; give one for each.")


def _scaled_width(clip: Clip, height: int) -> int:
    return max(1, round(clip.width * height / clip.height))


def _column(clip: Clip, height: int, num_frames: int) -> UInt8[np.ndarray, "f y x 3"]:
    width = _scaled_width(clip, height)
    frames = [scale_picture(np.ascontiguousarray(frame), height, width) for frame in clip.frames]
    return np.stack(frames + [frames[-1]] * (num_frames - len(frames)))


def _label_column(frames: UInt8[np.ndarray, "f h w 3"], label: str) -> UInt8[np.ndarray, "f y w 3"]:
    strip = _label_strip(label, frames.shape[2])
    strips = np.broadcast_to(strip, (len(frames), *strip.shape))
    return np.concatenate([strips, frames], axis=1)


def _label_strip(label: str, width: int) -> UInt8[np.ndarray, "y w 3"]:
    font = ImageFont.load_default(size=13)
    strip = Image.new("RGB", (width, 20), (_BACKGROUND,) * 3)
    ImageDraw.Draw(strip).text((4, 2), label, font=font, fill=_TEXT)
    return np.array(strip, dtype=np.uint8)


def _with_gaps(pictures: list[np.ndarray], *, axis: int) -> list[np.ndarray]:
    """Put a dark gap between pictures that are joined along an axis."""
    shape = list(pictures[0].shape)
    shape[axis] = _GAP_PX
    gap = np.full(shape, _BACKGROUND, dtype=np.uint8)
    joined = [part for picture in pictures for part in (gap, picture)]
    return joined[1:]


def _pad_right(picture: UInt8[np.ndarray, "h w 3"], width: int) -> UInt8[np.ndarray, "h x 3"]:
    missing = width - picture.shape[1]
    return np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=_BACKGROUND)
