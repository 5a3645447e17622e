"""adherence.canny: hand-made lines and steps whose agreement is known."""

import numpy as np
import pytest

from iclora.adherence import canny
from iclora.clip import Clip
from iclora.errors import NothingToFollowError, RequestError

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


def test_a_part_counts_alone_and_is_compared_with_all() -> None:
    """One line of two is followed: the left half fully, the right not at all."""
    left = np.zeros((2, SIZE, SIZE), bool)
    left[:, :, : SIZE // 2] = True
    assert canny(lines_at(12, 36), steps_at(12), where=left).f1 == 1.0
    assert canny(lines_at(12, 36), steps_at(12), where=~left).f1 == 0.0
    # An edge beyond the border of the part is still a neighbour of a line within it.
    narrow = np.zeros((2, SIZE, SIZE), bool)
    narrow[:, :, 12] = True
    assert canny(lines_at(12), steps_at(14), where=narrow).recall == 1.0
    with pytest.raises(NothingToFollowError, match="has no line there"):
        canny(lines_at(12), steps_at(12), where=~left)
    with pytest.raises(RequestError, match="The mask has the shape"):
        canny(lines_at(12), steps_at(12), where=left[:1])
