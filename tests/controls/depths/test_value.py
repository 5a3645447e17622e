"""controls.depths.value: nearness, and distances turned into it."""

import numpy as np
import pytest

from iclora.controls.depths import Depths, from_distances
from iclora.errors import MediaError, RequestError


def test_near_is_large_and_the_sky_is_0() -> None:
    distances = np.array([[[2.0, 4.0, np.inf], [np.nan, 1e10, 0.0]]], np.float32)
    depths = from_distances(distances, fps=8.0)
    assert np.array_equal(depths.nearness, np.array([[[0.5, 0.25, 0], [0, 0, 0]]], np.float32))
    assert depths.fps == 8.0 and depths.num_frames == 1


def test_a_render_of_nothing_but_sky_is_refused() -> None:
    with pytest.raises(MediaError, match="holds no distance between 0 and 1e9"):
        from_distances(np.full((1, 2, 2), np.inf, np.float32), fps=8.0)


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(RequestError, match="not finite"):
        Depths(nearness=np.full((1, 2, 2), np.nan, np.float32), fps=8.0)
    with pytest.raises(RequestError, match=r"has the shape \(0, 2, 2\)"):
        Depths(nearness=np.zeros((0, 2, 2), np.float32), fps=8.0)
