"""controls.point_tracks.value: what tracks are, on other canvases and clocks."""

import numpy as np
import pytest

from iclora.controls.point_tracks import Tracks, fit_tracks, moving_most, retime_tracks
from iclora.controls.point_tracks.value import extents
from iclora.errors import InputError, RequestError


def line(num_frames: int = 5, *, step: float = 10.0, fps: float | None = None) -> Tracks:
    """One point that goes right by `step` pixels a frame over 100x50."""
    points = np.zeros((1, num_frames, 2))
    points[0, :, 0] = step * np.arange(num_frames)
    return Tracks(points=points, visible=np.ones((1, num_frames), bool), height=50, width=100, fps=fps)


def test_counts() -> None:
    assert (line().num_tracks, line().num_frames) == (1, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": np.zeros((1, 2, 3))}, r"points have shape \(1, 2, 3\)"),
        ({"points": np.zeros((1, 2, 2), int)}, "type int64; give floats"),
        ({"visible": np.ones((2, 1), bool)}, r"visibility has shape \(2, 1\)"),
        ({"visible": np.ones((1, 2))}, "type float64; give booleans"),
        ({"visible": np.zeros((1, 2), bool)}, "hold no visible point; give at least one"),
        ({"height": 0}, "canvas of the tracks is 9x0"),
        ({"width": 99999}, "canvas of the tracks is 99999x9"),
        ({"fps": 0.0}, "rate of the tracks is 0.0"),
        (
            {"points": np.array([[[1.0, 1.0], [np.nan, 1.0]]])},
            r"Track 1, frame 1: \(nan, 1\) is no place; give",
        ),
        (
            {"points": np.array([[[1.0, 19.0], [1.0, 1.0]]])},
            r"frame 0: \(1, 19\) is far off the canvas of 9x9",
        ),
        (
            {"points": np.array([[[1.0, 1.0], [-10.0, 1.0]]])},
            "is far off the canvas of 9x9; is that its size",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_what_is_no_track_is_refused(changes: dict, message: str) -> None:
    right = {"points": np.zeros((1, 2, 2)), "visible": np.ones((1, 2), bool), "height": 9, "width": 9}
    with pytest.raises(InputError, match=message):
        Tracks(**{**right, **changes})


def test_hidden_places_may_be_anything() -> None:
    points = np.array([[[1.0, 1.0], [np.nan, np.inf]]])
    tracks = Tracks(points=points, visible=np.array([[True, False]]), height=9, width=9)
    assert tracks.num_frames == 2


def test_fit_covers_and_keeps_the_middle() -> None:
    """100x50 to 40x40: scale 0.8, of 80 columns the middle 40 stay, so x loses 20."""
    fitted = fit_tracks(line(), 40, 40)
    assert (fitted.height, fitted.width) == (40, 40)
    assert fitted.points[0, :, 0].tolist() == pytest.approx([-20, -12, -4, 4, 12])
    assert fitted.visible.all()


def test_fit_hides_what_comes_to_lie_far_off() -> None:
    """100x50 to 10x50: the left 45 columns are off; -45 is farther than one canvas, -5 is not."""
    fitted = fit_tracks(line(), 50, 10)
    assert fitted.visible[0].tolist() == [False, False, False, False, True]


def test_fit_refuses_what_leaves_nothing() -> None:
    with pytest.raises(RequestError, match="Nothing is left of tracks on 100x50 when cropped to 2x50"):
        fit_tracks(line(), 50, 2)
    with pytest.raises(RequestError, match="Cannot fit tracks to 0x5 pixels"):
        fit_tracks(line(), 5, 0)


def test_another_clock_moves_evenly() -> None:
    faster = retime_tracks(line(fps=10.0), 20.0)
    assert faster.fps == 20.0
    assert faster.points[0, :, 0].tolist() == [0, 5, 10, 15, 20, 25, 30, 35, 40, 40]
    slower = retime_tracks(line(fps=10.0), 5.0)
    assert slower.points[0, :, 0].tolist() == [0, 20]


def test_another_clock_does_not_go_along_hidden_places() -> None:
    tracks = line(fps=10.0)
    tracks.visible[0, 2:] = False
    tracks.points[0, 2:] = np.nan
    faster = retime_tracks(tracks, 20.0)
    assert faster.visible[0].tolist() == [True, True, True, False, False, False, False, False, False, False]
    assert faster.points[0, :3, 0].tolist() == [0, 5, 10]


def test_without_a_rate_a_place_is_a_frame() -> None:
    timed = retime_tracks(line(), 12.0)
    assert timed.fps == 12.0 and timed.num_frames == 5


@pytest.mark.parametrize(
    ("fps", "message"), [(0.0, "rate is 0.0; give"), (1e5, "have 50000 frames; ask for less")]
)
def test_clocks_that_are_none(fps: float, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        retime_tracks(line(fps=10.0), fps)


def many() -> Tracks:
    """Ways of 0, 30, 29 and 28 pixels; the second and the third side by side, the fourth far from them."""
    ways, starts = np.array([0.0, 30.0, 29.0, 28.0]), np.array([5.0, 10.0, 11.0, 60.0])
    points = np.full((4, 11, 2), 20.0)
    points[..., 1] = starts[:, None] + ways[:, None] * np.linspace(0, 1, 11)
    return Tracks(points=points, visible=np.ones((4, 11), bool), height=100, width=100)


def test_extents() -> None:
    tracks = many()
    tracks.visible[0] = False
    assert extents(tracks).tolist() == pytest.approx([0, 30, 29, 28])


@pytest.mark.parametrize(
    ("count", "starts"), [(1, [10]), (2, [10, 60]), (3, [10, 11, 60]), (9, [5, 10, 11, 60])]
)
def test_those_that_move_most_spread_over_the_picture(count: int, starts: list[int]) -> None:
    kept = moving_most(many(), count)
    assert kept.points[:, 0, 1].tolist() == starts


def test_keeping_none_is_refused() -> None:
    with pytest.raises(RequestError, match="Cannot keep 0 tracks"):
        moving_most(many(), 0)
