"""Buckets: the few sizes and lengths that clips of any size are brought to."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from iclora import geometry
from iclora.errors import RequestError
from iclora.training.store import Bucket

_ALIKE = 0.05
"""Shapes that differ by less, in the logarithm of width over height, are about the same."""


def parse_bucket(text: str, fps: float) -> Bucket:
    """Read `WIDTHxHEIGHTxFRAMES`.

    Args:
        text: What was written.
        fps: Frames per second of the bucket.

    Returns:
        The bucket.

    Raises:
        RequestError: The text is not of that form.
    """
    match = re.fullmatch(r"(\d+)[xX](\d+)[xX](\d+)", text.strip())
    if match is None:
        raise RequestError(f"The bucket {text!r} is not WIDTHxHEIGHTxFRAMES; write for instance 768x448x89.")
    return Bucket(width=int(match[1]), height=int(match[2]), num_frames=int(match[3]), fps=fps)


def check_bucket(
    bucket: Bucket, factors: geometry.LatentFactors, *, downscale: int, temporal_factor: int
) -> None:
    """Refuse a bucket that the model, or a reference made smaller and slower, does not fit.

    Args:
        bucket: The bucket.
        factors: The autoencoder's factors.
        downscale: How many times smaller references are.
        temporal_factor: How many target frames one reference frame stands for.

    Raises:
        RequestError: It does not fit; the message names one that does.
    """
    for name, value in (("downscale", downscale), ("temporal factor", temporal_factor)):
        if not 1 <= value <= geometry.MAX_FACTOR:
            raise RequestError(f"The {name} is {value}; 1 to {geometry.MAX_FACTOR} are accepted.")
    geometry.latent_grid(bucket.num_frames, bucket.height, bucket.width, factors)
    for axis, size, factor in (
        ("wide", bucket.width, factors.width * downscale),
        ("high", bucket.height, factors.height * downscale),
    ):
        if size % factor:
            raise RequestError(
                f"The bucket {bucket} is {size} px {axis}; references {downscale} times smaller take "
                f"multiples of {factor}, such as {max(1, round(size / factor)) * factor}."
            )
    step = factors.time * temporal_factor
    if (bucket.num_frames - 1) % step:
        raise RequestError(
            f"The bucket {bucket} has {bucket.num_frames} frames; references {temporal_factor} times slower "
            f"take {step}k+1 frames, such as {max(1, round((bucket.num_frames - 1) / step)) * step + 1}."
        )


def choose_bucket(buckets: Sequence[Bucket], *, width: int, height: int, num_frames: int) -> Bucket | None:
    """Choose the bucket that keeps most of a clip.

    Args:
        buckets: Those there are.
        width: Of the clip, in pixels.
        height: Of the clip, in pixels.
        num_frames: Frames of the clip at the buckets' rate.

    Returns:
        Of those that are no longer than the clip, the one whose shape is nearest; of these the longest; of
        these the largest that the clip is not enlarged for, or else the smallest. None where all are longer.
    """
    fitting = [bucket for bucket in buckets if bucket.num_frames <= num_frames]

    def order(bucket: Bucket) -> tuple[int, int, bool, int]:
        bend = abs(math.log(bucket.width / bucket.height) - math.log(width / height))
        enlarged = bucket.width > width or bucket.height > height
        area = bucket.width * bucket.height
        return round(bend / _ALIKE), -bucket.num_frames, enlarged, area if enlarged else -area

    return min(fitting, key=order, default=None)
