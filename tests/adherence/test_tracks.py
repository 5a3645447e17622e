"""adherence.tracks: points that go known ways, on a canvas whose shorter side is 100."""

from dataclasses import replace

import numpy as np
import pytest

from iclora import adherence
from iclora.clip import Clip
from iclora.controls.point_tracks import Tracks
from iclora.errors import NothingToFollowError, RequestError
from tests.adherence.textured import textured


def tracks_of(*ways: list[tuple[float, float]], hidden: tuple[tuple[int, int], ...] = ()) -> Tracks:
    points = np.array(ways, np.float64)
    visible = np.ones(points.shape[:2], bool)
    for track, frame in hidden:
        visible[track, frame] = False
    return Tracks(points=points, visible=visible, height=100, width=150, fps=8.0)


WAY = [(10.0, 50.0), (20.0, 50.0), (30.0, 50.0)]


def test_the_same_way_follows_fully() -> None:
    score = adherence.tracks(tracks_of(WAY), tracks_of(WAY))
    assert (score.error, score.survival, score.within) == (0.0, 1.0, 1.0)
    assert score.frame_within == (None, 1.0, 1.0)


def test_what_stands_still() -> None:
    """10 and 20 pixels away of 100: a mean of 0.15, none within 0.05."""
    score = adherence.tracks(tracks_of(WAY), tracks_of([WAY[0]] * 3))
    assert score.error == pytest.approx(0.15) and score.still_error == pytest.approx(0.15)
    assert score.within == 0.0 and score.survival == 1.0
    assert adherence.tracks(tracks_of(WAY), tracks_of([WAY[0]] * 3), near=0.1).within == 0.5


def test_a_lost_point_stands_where_it_was_seen_last() -> None:
    lost = tracks_of([WAY[0], WAY[1], (999.0, 999.0)][:2] + [(0.0, 0.0)], hidden=((0, 2),))
    score = adherence.tracks(tracks_of(WAY), lost)
    assert score.error == pytest.approx(0.05)  # 0 in frame 1, 10 pixels in frame 2
    assert score.survival == 0.5 and score.within == 0.5


def test_places_off_the_canvas_and_first_places_do_not_count() -> None:
    leaving = [(10.0, 50.0), (10.0, 60.0), (10.0, 120.0)]
    score = adherence.tracks(tracks_of(leaving), tracks_of([(10.0, 50.0)] * 3))
    assert score.error == pytest.approx(0.1) and score.frame_within == (None, 0.0, None)
    with pytest.raises(NothingToFollowError, match="goes anywhere"):
        adherence.tracks(tracks_of(WAY[:1]), tracks_of(WAY[:1]))


def test_a_part_counts_alone() -> None:
    away = [(10.0, 50.0), (20.0, 50.0), (90.0, 50.0)]
    left = np.zeros((3, 100, 150), bool)
    left[:, :, :25] = True
    assert adherence.tracks(tracks_of(WAY), tracks_of(away), where=left).within == 1.0
    assert adherence.tracks(tracks_of(WAY), tracks_of(away), where=~left).within == 0.0


def moving() -> tuple[Tracks, Clip]:
    """Noise that goes 2 pixels to the right a frame, and two points of it, the other from frame 3 on."""
    clip = textured(*range(0, 16, 2))
    frames = np.arange(8)
    ways = [[(20.0 + 2 * frame, 24.0) for frame in frames], [(30.0 + 2 * frame, 20.0) for frame in frames]]
    tracks = Tracks(points=np.array(ways), visible=np.ones((2, 8), bool), height=48, width=64, fps=12.0)
    tracks.visible[1, :3] = False
    return tracks, clip


def test_points_are_followed_again_from_where_their_tracks_begin() -> None:
    tracks, clip = moving()
    again = adherence.follow_again(tracks, clip)
    assert (again.visible == tracks.visible).all()
    assert np.abs(again.points - tracks.points)[tracks.visible].max() < 0.5
    score = adherence.tracks(tracks, again)
    assert score.within == 1.0 and score.error < 0.01 and score.still_error > 0.1


def test_points_that_should_move_in_a_still_do_not() -> None:
    tracks, clip = moving()
    still = replace(clip, frames=np.repeat(clip.frames[:1], 8, axis=0))
    score = adherence.tracks(tracks, adherence.follow_again(tracks, still))
    assert score.error == pytest.approx(score.still_error) and score.survival == 1.0


def test_what_does_not_fit_together_is_refused() -> None:
    tracks, clip = moving()
    with pytest.raises(RequestError, match="bring the tracks to the result first"):
        adherence.follow_again(tracks, replace(clip, frames=clip.frames[:3]))
    with pytest.raises(RequestError, match="follow_again"):
        adherence.tracks(tracks, tracks_of(WAY))
    with pytest.raises(RequestError, match="near is -1"):
        adherence.tracks(tracks, tracks, near=-1.0)
