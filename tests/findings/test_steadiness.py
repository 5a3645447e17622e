"""findings.steadiness: worked out by hand."""

import numpy as np
import pytest

from iclora.findings.steadiness import unsteadiness, unsteadiness_in_places

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


def in_places(frames: np.ndarray, shown: np.ndarray | None = None) -> dict[str, float]:
    """Looked at as large as they are."""
    seen = np.ones(len(frames), bool) if shown is None else shown
    return unsteadiness_in_places(frames, seen, lambda frame: (frame[..., 0], frame[..., 0]))


def test_places_that_flicker_are_counted_and_what_moves_is_not() -> None:
    """A quarter of the picture comes and goes by 20 levels; an edge that moves on leaves no place beyond."""
    frames = np.full((5, 8, 8, 3), 100, np.uint8)
    frames[1::2, :4, :4] = 120
    assert in_places(frames)["unsteady_places"] == 0.25
    frames[1::2, :4, :4] = 103  # as little as rounding and compression give
    assert in_places(frames)["unsteady_places"] == 0
    assert in_places(bars([200] * 5, [2, 3, 4, 5, 6]))["unsteady_places"] == 0
    cut = bars([200] * 9, [4] * 5 + [8] * 4)
    assert in_places(cut)["unsteady_places"] == 0


def lines_at(*columns: tuple[int, ...]) -> np.ndarray:
    """Upright lines of 10 pixels on pictures of 40x10, so many pixels from the left."""
    frames = np.zeros((len(columns), 10, 40, 3), np.uint8)
    for frame, places in zip(frames, columns, strict=True):
        frame[:, list(places)] = 255
    return frames


def test_lines_that_are_gone_for_a_frame() -> None:
    """Of two lines one is gone in the second frame of three: 10 of 20 pixels that stay, and 10 / 4 there."""
    found = in_places(lines_at((5, 25), (5,), (5, 25)))
    assert found["unsteady_lines"] == pytest.approx(10 / (20 + 10 / 4))
    assert in_places(lines_at((5, 25), (5, 25), (5, 25)))["unsteady_lines"] == 0
    assert in_places(lines_at((5,), (5, 25), (5,)))["unsteady_lines"] == 0  # may have moved there


def test_lines_that_move_are_not_gone() -> None:
    assert in_places(lines_at((5,), (7,), (9,), (11,)))["unsteady_lines"] == 0
    assert in_places(lines_at((5,), (12,), (19,), (26,)))["unsteady_lines"] == 0
    assert in_places(lines_at((5,), (6,), (5,), (6,)))["unsteady_lines"] == 0


def test_empty_frames_and_what_is_beside_them_do_not_count_in_places() -> None:
    frames = lines_at((5, 25), (), (5, 25), (5, 25))
    assert in_places(frames, np.array([True, False, True, True])) == {}
    assert in_places(frames)["unsteady_lines"] > 0


def test_of_a_long_clip_runs_are_looked_at() -> None:
    """At its start, in its middle and at its end; what flickers between them is not seen."""
    seen = []

    def shrink(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(int(frame[0, 0, 0]))
        return frame[..., 0], frame[..., 0]

    frames = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None, None], (100, 4, 4, 3))
    assert unsteadiness_in_places(frames, np.ones(100, bool), shrink)["unsteady_places"] == 0
    assert seen == [*range(9), *range(45, 54), *range(91, 100)]
