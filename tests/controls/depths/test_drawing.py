"""controls.depths.drawing: one scale for the whole clip."""

import numpy as np
import pytest

from iclora.controls.depths import Depths, depth_range, draw_depths
from iclora.errors import RequestError


def depths_of(*values: float, size: tuple[int, int] = (2, 2)) -> Depths:
    """One flat frame for each value."""
    return Depths(nearness=np.stack([np.full(size, value, np.float32) for value in values]), fps=8.0)


def test_one_scale_for_the_whole_clip() -> None:
    drawn = draw_depths(depths_of(-1, 0, 3), near=100, far=0)
    assert drawn.frames[:, 0, 0, 0].tolist() == [0, 64, 255] and drawn.fps == 8.0


def test_percentiles_cut_off_what_is_rare() -> None:
    nearness = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    nearness[0, 0, 100] = 1000
    depths = Depths(nearness=nearness, fps=8.0)
    assert depth_range(depths, near=90, far=10) == (10.0, 90.0)
    frame = draw_depths(depths, near=90, far=10).frames[0, 0, :, 0]
    assert (frame[:11] == 0).all() and (frame[90:] == 255).all() and frame[50] in (127, 128)


def test_long_clips_are_sampled_in_every_column() -> None:
    nearness = np.zeros((3, 2000, 2000), np.float32)
    nearness[:, :, 1000:] = 1
    nearness[:, 0, 0], nearness[:, 0, 1] = -9, 9
    assert depth_range(Depths(nearness=nearness, fps=8.0)) == (0.0, 1.0)


def test_what_is_rare_but_all_there_is() -> None:
    nearness = np.zeros((1, 100, 100), np.float32)
    nearness[0, 0, 0] = 2
    assert depth_range(Depths(nearness=nearness, fps=8.0)) == (0.0, 2.0)


def test_sizes() -> None:
    assert draw_depths(depths_of(0, 1)).frames.shape == (2, 2, 2, 3)
    assert draw_depths(depths_of(0, 1), size=(6, 4)).frames.shape == (2, 6, 4, 3)
    drawn = draw_depths(depths_of(0, 1, size=(10, 15)), size=(5, 7))
    assert drawn.frames.shape == (2, 5, 7, 3)
    assert (drawn.frames[0] == 0).all() and (drawn.frames[1] == 255).all()


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"near": 10, "far": 20}, "The percentiles are far 20 and near 10"),
        ({"near": 101}, "must lie in 0..100"),
        ({"far": -1}, "must lie in 0..100"),
        ({"near": float("nan")}, "must lie in 0..100"),
        ({"convention": "grey"}, "There is no depth convention 'grey'"),
    ],
)
def test_dials_out_of_range_are_named(dials: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        draw_depths(depths_of(0, 1), **dials)


def test_no_depth_at_all_is_refused() -> None:
    with pytest.raises(RequestError, match="Everything in the clip is equally near"):
        draw_depths(depths_of(2, 2))
