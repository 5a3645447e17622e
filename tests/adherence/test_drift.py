"""adherence.drift: colours that go away, and pictures that only move."""

import numpy as np
import pytest

from iclora import adherence
from iclora.clip import Clip
from tests.adherence.textured import textured


def levels(*values: int) -> Clip:
    frames = np.array(values, np.uint8)[:, None, None, None]
    return Clip(frames=np.broadcast_to(frames, (len(values), 4, 6, 3)).copy(), fps=12.0)


def test_the_end_counts() -> None:
    """51 of 255 levels are 20 percent; the last quarter of 8 frames are 2, of 3 frames 1."""
    assert adherence.drift(levels(100, 100, 151)) == pytest.approx(20)
    assert adherence.drift(levels(100, 0, 0, 0, 0, 0, 100, 151)) == pytest.approx(10)
    assert adherence.drift(levels(100, 255, 100)) == 0.0
    assert adherence.drift(levels(100)) == 0.0


def test_motion_is_no_drift_and_fading_is() -> None:
    ring = textured(0)
    turned = Clip(
        frames=np.concatenate([np.roll(ring.frames, 5 * step, axis=2) for step in range(4)]), fps=12.0
    )
    assert adherence.drift(turned) == 0.0
    faded = turned.frames.astype(float)
    faded[3] = 128 + (faded[3] - 128) / 2
    assert adherence.drift(Clip(frames=faded.astype(np.uint8), fps=12.0)) > 2
