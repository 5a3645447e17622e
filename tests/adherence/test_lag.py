"""adherence.lag: clips that come late by a known number of frames."""

import numpy as np
import pytest

from iclora import adherence
from tests.adherence.textured import textured


@pytest.mark.parametrize("lag", [-2, 0, 1, 3])
def test_lag_is_the_shift_of_a_late_clip(lag: int) -> None:
    places = [round(9 * np.sin(frame / 3)) for frame in range(30)]
    assert adherence.lag_frames(
        textured(*places[5:25]), textured(*places[5 - lag : 25 - lag])
    ) == pytest.approx(lag, abs=0.3)


def test_lag_of_what_rests_is_nil() -> None:
    assert adherence.lag_frames(textured(0, 0, 0), textured(0, 0, 0)) == 0.0
    assert adherence.lag_frames(textured(0), textured(0)) == 0.0


def test_a_clip_does_not_lag_behind_itself() -> None:
    """Though it moves more at its end than at its start."""
    clip = textured(0, 0, 1, 3, 6, 10, 15, 21)
    assert adherence.lag_frames(clip, clip) == pytest.approx(0, abs=1e-6)
