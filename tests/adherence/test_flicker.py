"""adherence.flicker: clips that blink and clips that move."""

import numpy as np
import pytest

from iclora import adherence
from iclora.clip import Clip
from iclora.errors import RequestError
from tests.adherence.textured import textured


def test_flicker_is_the_mean_step_where_nothing_moves() -> None:
    """Grey levels 100, 151, 100 on a film at rest: every step is 51 of 255, so 20 percent."""
    levels = np.array([100, 151, 100], np.uint8)[:, None, None, None]
    blinking = Clip(frames=np.broadcast_to(levels, (3, 48, 64, 3)).copy(), fps=12.0)
    assert adherence.flicker(blinking, flow_of=textured(0, 0, 0)) == pytest.approx(20.0)
    assert adherence.flicker(textured(0, 0, 0)) == 0.0
    assert adherence.flicker(textured(0)) == 0.0


def test_motion_is_no_flicker() -> None:
    moving = textured(0, 2, 4, 6)
    still = np.abs(np.diff(moving.frames.astype(int), axis=0)).mean() / 2.55
    assert adherence.flicker(moving) < 0.2 * still


def test_flicker_wants_clips_of_one_form() -> None:
    with pytest.raises(RequestError, match="The clip has 1 frames of 64x48 and the film it was made from 2"):
        adherence.flicker(textured(0), flow_of=textured(0, 0))
