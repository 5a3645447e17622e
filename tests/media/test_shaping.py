import numpy as np
import pytest

from iclora import media
from iclora.clip import Clip
from iclora.errors import RequestError


def halves(height: int = 4, width: int = 8) -> Clip:
    """Left half black, right half white."""
    frames = np.zeros((2, height, width, 3), np.uint8)
    frames[:, :, width // 2 :] = 255
    return Clip(frames=frames, fps=8.0)


def test_cover_crops_the_middle() -> None:
    result = media.resize(halves(), 4, 4)
    assert result.frames.shape == (2, 4, 4, 3)
    assert np.array_equal(result.frames[0, 0, :, 0], [0, 0, 255, 255])
    assert result.fps == 8.0


def test_cover_crops_rows_of_a_tall_frame() -> None:
    rows = np.arange(8, dtype=np.uint8)[None, :, None, None]
    clip = Clip(frames=np.zeros((1, 8, 4, 3), np.uint8) + rows, fps=8.0)
    assert list(media.resize(clip, 4, 4).frames[0, :, 0, 0]) == [2, 3, 4, 5]


def test_contain_pads_with_black() -> None:
    clip = Clip(frames=np.full((1, 4, 8, 3), 200, np.uint8), fps=8.0)
    result = media.resize(clip, 8, 8, fit="contain")
    assert list(result.frames[0, :, 0, 0]) == [0, 0, 200, 200, 200, 200, 0, 0]


def test_stretch_ignores_the_aspect_ratio() -> None:
    assert media.resize(halves(), 3, 5, fit="stretch").frames.shape == (2, 3, 5, 3)


def test_shrinking_averages_areas() -> None:
    frames = np.array([0, 100, 50, 150], np.uint8).reshape(1, 2, 2, 1).repeat(3, axis=-1)
    assert media.resize(Clip(frames=frames, fps=8.0), 1, 1).frames.tolist() == [[[[75, 75, 75]]]]


@pytest.mark.parametrize("fit", ["cover", "contain", "stretch"])
def test_one_axis_up_one_axis_down(fit: str) -> None:
    assert media.resize(halves(16, 4), 8, 12, fit=fit).frames.shape == (2, 8, 12, 3)


def test_the_same_size_changes_nothing() -> None:
    clip = halves()
    assert np.array_equal(media.resize(clip, 4, 8).frames, clip.frames)


def test_an_extreme_aspect_ratio_keeps_a_pixel() -> None:
    assert media.resize(halves(1, 100), 50, 1).frames.shape == (2, 50, 1, 3)


def test_a_size_of_zero_is_refused() -> None:
    with pytest.raises(RequestError, match="0x4 pixels; both sides must be from 1 to 16384"):
        media.resize(halves(), 4, 0)


@pytest.mark.usefixtures("unchecked_shapes")
def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(RequestError, match="Unknown fit 'fill'; choose cover, contain or stretch"):
        media.resize(halves(), 4, 4, fit="fill")
