"""adherence.likeness: pictures of known correlation."""

import numpy as np
import pytest

from iclora import adherence
from iclora.clip import Clip
from iclora.errors import NothingToFollowError

RAMP = np.tile(np.arange(0, 160, 40, dtype=np.uint8)[None, :, None], (2, 1, 3))


def clip(*frames: np.ndarray) -> Clip:
    return Clip(frames=np.stack(frames).astype(np.uint8), fps=8.0)


def test_brightness_and_contrast_do_not_count() -> None:
    score = adherence.likeness(clip(RAMP, RAMP), clip(RAMP // 2 + 9, 255 - RAMP))
    assert score.frame_correlation == pytest.approx((1, -1)) and score.correlation == pytest.approx(0)


def test_blank_frames() -> None:
    assert adherence.likeness(clip(RAMP, 0 * RAMP), clip(RAMP, RAMP)).frame_correlation == (
        pytest.approx(1),
        None,
    )
    assert adherence.likeness(clip(RAMP), clip(0 * RAMP)).correlation == 0.0
    with pytest.raises(NothingToFollowError):
        adherence.likeness(clip(0 * RAMP), clip(RAMP))


def test_a_part_counts_alone() -> None:
    """0, 40, 80, 120 against 0, 40, 120, 80."""
    left = np.zeros((1, 2, 4), bool)
    left[..., :2] = True
    swapped = clip(RAMP[:, [0, 1, 3, 2]])
    assert adherence.likeness(clip(RAMP), swapped, where=left).correlation == pytest.approx(1)
    assert adherence.likeness(clip(RAMP), swapped, where=~left).correlation == pytest.approx(-1)
    assert adherence.likeness(clip(RAMP), swapped).correlation == pytest.approx(0.8)
