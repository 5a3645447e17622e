"""adherence.canny: hand-made lines and steps whose agreement is known."""

import cv2
import numpy as np
import pytest

from iclora import adherence
from iclora.adherence import canny
from iclora.clip import Clip
from iclora.errors import RequestError

SIZE = 48


def lines_at(*columns: int, thickness: int = 1, num_frames: int = 2) -> Clip:
    frames = np.zeros((num_frames, SIZE, SIZE, 3), np.uint8)
    for column in columns:
        frames[:, :, column - thickness // 2 : column + thickness // 2 + 1] = 255
    return Clip(frames=frames, fps=24.0)


def steps_at(*columns: int, num_frames: int = 2, scale: int = 1) -> Clip:
    """Grey 40, and 160 between each pair of columns: an edge at every column named."""
    frames = np.full((num_frames, SIZE * scale, SIZE * scale, 3), 40, np.uint8)
    for start, end in zip(columns[::2], [*columns[1::2], SIZE], strict=False):
        frames[:, :, start * scale : end * scale] = 160
    return Clip(frames=frames, fps=24.0)


@pytest.mark.parametrize("shift", [0, 1, -1])
def test_edges_on_the_lines_agree(shift: int) -> None:
    score = canny(lines_at(24), steps_at(24 + shift))
    assert (score.precision, score.recall, score.f1) == (1.0, 1.0, 1.0)
    assert score.frame_f1 == (1.0, 1.0)


def test_edges_beyond_the_tolerance_do_not() -> None:
    assert canny(lines_at(24), steps_at(30)).f1 == 0.0
    assert canny(lines_at(24), steps_at(30), tolerance_px=8.0).f1 == 1.0


def test_a_missing_line_costs_recall_and_an_extra_one_precision() -> None:
    missing = canny(lines_at(12, 36), steps_at(36))
    assert (missing.precision, missing.recall) == (1.0, 0.5)
    assert missing.f1 == pytest.approx(2 / 3)
    extra = canny(lines_at(36), steps_at(12, 36))
    assert (extra.precision, extra.recall) == (0.5, 1.0)


def test_thick_lines_are_compared_by_their_middle() -> None:
    """A 9-pixel line is no wider a target than a thin one: an edge 5 pixels beside its middle is off."""
    assert canny(lines_at(24, thickness=9), steps_at(24)).precision == 1.0
    assert canny(lines_at(24, thickness=9), steps_at(29)).precision < 0.2


def test_a_larger_result_is_brought_to_the_control() -> None:
    assert canny(lines_at(24), steps_at(24, scale=4)).f1 == 1.0


def test_frames_are_compared_one_by_one() -> None:
    frames = np.concatenate([steps_at(24, num_frames=1).frames, steps_at(8, num_frames=1).frames])
    score = canny(lines_at(24), Clip(frames=frames, fps=24.0))
    assert score.frame_f1 == (1.0, 0.0)
    assert score.f1 == 0.5


def test_blank_result_scores_nothing_and_blank_frames_in_both_agree() -> None:
    blank = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    assert canny(lines_at(24), Clip(frames=np.repeat(blank, 2, axis=0), fps=24.0)).f1 == 0.0
    control = Clip(frames=np.concatenate([lines_at(24, num_frames=1).frames, blank]), fps=24.0)
    result = Clip(frames=np.concatenate([steps_at(24, num_frames=1).frames, blank]), fps=24.0)
    assert canny(control, result).frame_f1 == (1.0, 1.0)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(RequestError, match="The control has 2 frames and the result 3"):
        canny(lines_at(24), steps_at(24, num_frames=3))
    wide = Clip(frames=np.zeros((2, SIZE, 2 * SIZE, 3), np.uint8), fps=24.0)
    with pytest.raises(RequestError, match="48x48 and the result 96x48: different aspect ratios"):
        canny(lines_at(24), wide)
    with pytest.raises(RequestError, match="The control has no line"):
        canny(lines_at(), steps_at(24))
    with pytest.raises(RequestError, match="The tolerance is -1.0 pixels"):
        canny(lines_at(24), steps_at(24), tolerance_px=-1.0)


def textured(*shifts: int) -> Clip:
    """A picture of soft noise, moved to the right by so many pixels in each frame."""
    noise = np.random.default_rng(0).normal(0, 1, (48, 120, 3))
    picture = (128 + 500 * cv2.GaussianBlur(noise, (0, 0), 3)).clip(0, 255).astype(np.uint8)
    return Clip(frames=np.stack([picture[:, 30 - shift : 94 - shift] for shift in shifts]), fps=12.0)


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


@pytest.mark.parametrize("lag", [-2, 0, 1, 3])
def test_lag_is_the_shift_of_a_late_clip(lag: int) -> None:
    places = [round(9 * np.sin(frame / 3)) for frame in range(30)]
    assert adherence.lag_frames(
        textured(*places[5:25]), textured(*places[5 - lag : 25 - lag])
    ) == pytest.approx(lag, abs=0.3)


def test_lag_of_what_rests_is_nil() -> None:
    assert adherence.lag_frames(textured(0, 0, 0), textured(0, 0, 0)) == 0.0
    assert adherence.lag_frames(textured(0), textured(0)) == 0.0


def test_flicker_wants_clips_of_one_form() -> None:
    with pytest.raises(RequestError, match="The clip has 1 frames of 64x48 and the film it was made from 2"):
        adherence.flicker(textured(0), flow_of=textured(0, 0))
