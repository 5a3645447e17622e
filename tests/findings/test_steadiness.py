"""findings.steadiness: worked out by hand."""

import numpy as np
import pytest

from iclora.findings.steadiness import unsteadiness

SHOWN = np.ones(5, bool)


def bars(levels: list[int], widths: list[int]) -> np.ndarray:
    """White bars on black, so bright and so wide, on pictures of 10x10."""
    frames = np.zeros((len(levels), 10, 10, 3), np.uint8)
    for frame, level, width in zip(frames, levels, widths, strict=True):
        frame[:, :width] = level
    return frames


def test_a_steady_clip() -> None:
    assert set(unsteadiness(bars([200] * 5, [4] * 5), SHOWN).values()) == {0.0}


def test_what_grows_steadily_is_steady() -> None:
    assert unsteadiness(bars([200] * 5, [2, 3, 4, 5, 6]), SHOWN)["unsteadiness"] == pytest.approx(0)


def test_levels_that_come_and_go() -> None:
    """100 and 200 in turn: each lies 100 from its neighbours; the mean of five is 160."""
    found = unsteadiness(bars([200, 100, 200, 100, 200], [4] * 5), SHOWN)
    assert found["unsteadiness"] == found["unsteady_level"] == pytest.approx(100 / 160)
    assert found["unsteady_amount"] == 0


def test_amounts_that_come_and_go() -> None:
    found = unsteadiness(bars([200] * 5, [4, 2, 4, 2, 4]), SHOWN)
    assert found["unsteadiness"] == found["unsteady_amount"] == pytest.approx(2 / 3.2)
    assert found["unsteady_level"] == 0


def test_a_cut_and_frames_that_show_nothing_do_not_count() -> None:
    cut = bars([200] * 9, [4] * 5 + [8] * 4)
    assert unsteadiness(cut, np.ones(9, bool))["unsteadiness"] == 0
    empty = bars([200, 200, 200, 0, 200], [4] * 5)
    assert unsteadiness(empty, SHOWN & (np.arange(5) != 3))["unsteadiness"] == 0


def test_too_short_a_clip() -> None:
    assert unsteadiness(bars([200, 100], [4, 4]), np.ones(2, bool)) == {}
