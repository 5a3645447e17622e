"""controls.lines: thinning keeps the middle and the connections, shrinking keeps lines white."""

import numpy as np
import pytest

from iclora.clip import Clip
from iclora.controls.lines import is_lines, redraw_lines, resize_lines, thicken, thin
from iclora.errors import RequestError


def test_thin_leaves_the_middle_row_of_a_bar() -> None:
    bar = np.zeros((11, 21), np.uint8)
    bar[3:8, 3:18] = 200
    middle = thin(bar)
    assert np.unique(middle).tolist() == [0, 255]
    assert np.flatnonzero(middle.any(axis=1)).tolist() == [5]
    assert middle[5, 6:15].all()


def test_thin_keeps_one_pixel_lines_and_ignores_the_dark_half() -> None:
    lines = np.zeros((9, 9), np.uint8)
    lines[4] = 128
    lines[0] = 127
    expected = np.zeros((9, 9), np.uint8)
    expected[4] = 255
    assert np.array_equal(thin(lines), expected)


def test_thin_keeps_a_ring_closed() -> None:
    ring = np.zeros((15, 15), np.uint8)
    ring[2:13, 2:13] = 255
    ring[5:10, 5:10] = 0
    middle = thin(ring) > 0
    assert middle[7, 3:5].sum() == 1 and middle[7, 10:12].sum() == 1
    assert not middle[7, 7]
    assert middle.sum() < (ring > 0).sum() / 2


def clip_of_columns(width: int) -> Clip:
    frames = np.zeros((2, 20, 30, 3), np.uint8)
    frames[:, :, 10 : 10 + width] = 255
    return Clip(frames=frames, fps=8.0)


@pytest.mark.parametrize(("width", "columns"), [(1, [9, 10, 11]), (2, 3)])
def test_thin_lines_are_redrawn_thicker(width: int, columns: list[int] | int) -> None:
    drawn = redraw_lines(clip_of_columns(width), 3)
    found = np.flatnonzero(drawn.frames[1, 10, :, 0])
    assert found.tolist() == columns if isinstance(columns, list) else len(found) == columns
    assert np.unique(drawn.frames).tolist() == [0, 255]


@pytest.mark.parametrize("width", [3, 4, 7])
def test_lines_that_are_thick_enough_stay(width: int) -> None:
    clip = clip_of_columns(width)
    assert redraw_lines(clip, 3) is clip


def test_thicken_draws_with_a_round_brush() -> None:
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 255
    cross = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert np.array_equal(thicken(dot, 3) > 0, np.pad(cross, 1))
    assert np.array_equal(thicken(dot, 1), dot)


def line_clip(height: int, width: int, column: int) -> Clip:
    frames = np.zeros((2, height, width, 3), np.uint8)
    frames[:, :, column] = 255
    return Clip(frames=frames, fps=24.0)


def test_resize_lines_keeps_them_white_and_one_pixel_wide() -> None:
    small = resize_lines(line_clip(64, 64, 40), 16, 16).frames
    assert small.shape == (2, 16, 16, 3)
    assert np.flatnonzero(small[0, 8, :, 0]).tolist() == [10]
    assert small[0, 8, 10, 0] == 255


def test_resize_lines_covers_and_keeps_the_middle() -> None:
    """128x64 to 16x16: scale 4, columns 32..95 are kept, so column 40 lands on (40 - 32) / 4 = 2."""
    small = resize_lines(line_clip(64, 128, 40), 16, 16).frames
    assert np.flatnonzero(small[0, 8, :, 0]).tolist() == [2]


def test_resize_lines_refuses_to_enlarge() -> None:
    with pytest.raises(RequestError, match="Lines of 8x8 cannot be enlarged to 16x16"):
        resize_lines(line_clip(8, 8, 4), 16, 16)


def test_lines_are_told_from_other_pictures() -> None:
    lines = line_clip(64, 64, 20)
    assert is_lines(lines)
    assert is_lines(Clip(frames=np.zeros((1, 8, 8, 3), np.uint8), fps=24.0))
    coloured, broad, grey, light = (lines.frames.copy() for _ in range(4))
    coloured[:, :, 20] = (255, 0, 0)
    broad[:, 10:40, 10:40] = 255
    grey[:, :20] = 100
    light[:, :, :40] = 255
    for frames in (coloured, broad, grey, light):
        assert not is_lines(Clip(frames=frames, fps=24.0))
