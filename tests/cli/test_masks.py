"""cli.masks: which part of a result a mask means."""

from pathlib import Path

import numpy as np
import pytest

from iclora import media
from iclora.cli.masks import mask_levels, read_where, where_of
from iclora.clip import Clip

RESULT = Clip(frames=np.zeros((3, 4, 8, 3), np.uint8), fps=8.0)


def test_masks_of_other_sizes_and_lengths() -> None:
    still = where_of([np.array([[1.0, 0.0]], np.float32)], RESULT)
    assert still.shape == (3, 4, 8) and still[:, :, :4].all() and not still[:, :, 4:].any()
    moving = where_of([np.array([[level]], np.float32) for level in (1.0, 0.4)], RESULT)
    assert moving.all(axis=(1, 2)).tolist() == [True, False, False]


def test_a_file_is_brought_to_the_clock_of_the_result(tmp_path: Path) -> None:
    """A mask at 4 per second, a result at 8: the nearest frame, the later one where two are as near."""
    frames = np.zeros((3, 16, 16, 3), np.uint8)
    frames[::2] = 255
    path = media.save(Clip(frames=frames, fps=4.0), tmp_path / "mask.gif")
    levels = [float(one.mean()) for one in mask_levels(path, fps=8.0, num_frames=5)]
    assert levels == pytest.approx([1, 0, 0, 1, 1])
    assert read_where(path, RESULT).all(axis=(1, 2)).tolist() == [True, False, False]
