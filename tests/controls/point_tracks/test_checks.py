"""controls.point_tracks.checks: each finding with tracks that trigger it and tracks that do not."""

import numpy as np
import pytest

from iclora.controls.point_tracks import Tracks, check_still, check_tracks


def tracks_of(*paths: np.ndarray, hidden: tuple[int, ...] = ()) -> Tracks:
    points = np.stack(paths).astype(float)
    visible = np.ones(points.shape[:2], bool)
    visible[:, list(hidden)] = False
    return Tracks(points=points, visible=visible, height=100, width=100)


def path(xs: np.ndarray, y: float = 50.0) -> np.ndarray:
    return np.stack([xs, np.full(len(xs), y)], axis=1)


QUIET = path(np.linspace(10, 90, 30))


def test_nothing_to_say_of_an_even_track() -> None:
    assert check_tracks(tracks_of(QUIET)) == ()


@pytest.mark.parametrize("end", [-4.0, 100.0])
def test_off_the_canvas(end: float) -> None:
    (finding,) = check_tracks(tracks_of(QUIET, path(np.linspace(50, end, 30))))
    assert finding.text == "Off the canvas: track 2 at frame " + ("27." if end < 0 else "29.")
    assert "move them in, or end the track" in str(finding)


def test_a_point_that_is_hidden_off_the_canvas_is_fine() -> None:
    assert check_tracks(tracks_of(path(np.linspace(50, 100, 30)), hidden=(29,))) == ()


def test_a_sharp_turn_at_speed() -> None:
    """2 px a frame to the right and back: 6 px in three frames, above 2 of the short side."""
    there_and_back = path(np.concatenate([np.arange(10, 40, 2), np.arange(40, 10, -2)]))
    (finding,) = check_tracks(tracks_of(there_and_back))
    assert finding.text.startswith("Turning by more than 90 degrees at speed: track 1 at frame 1")


def test_a_slow_return_and_a_right_angle_are_no_sharp_turns() -> None:
    slow = path(50 + 5 * np.cos(np.linspace(0, 2 * np.pi, 60)))
    corner = np.concatenate(
        [path(np.arange(10, 40, 2.0)), np.stack([np.full(15, 40.0), np.arange(50, 80, 2)], 1)]
    )
    assert check_tracks(tracks_of(slow)) == ()
    assert check_tracks(tracks_of(corner)) == ()


def test_a_jump() -> None:
    xs = np.linspace(10, 40, 30)
    xs[15:] += 20
    (finding,) = check_tracks(tracks_of(path(xs)))
    assert finding.text == "Moving more than 12% of the short side in one frame: track 1 at frame 15."
    assert check_tracks(tracks_of(path(xs), hidden=(15,))) == ()


def test_no_track_moves() -> None:
    standing = path(np.full(30, 50.0))
    assert [finding.text for finding in check_tracks(tracks_of(standing))] == ["No track moves."]
    assert check_tracks(tracks_of(standing, QUIET)) == ()


def test_what_to_do_about_standing_tracks_is_up_to_who_asks() -> None:
    standing = tracks_of(path(np.full(30, 50.0)))
    assert str(check_still(standing, "cut here")) == (
        "No track moves. Standing dots ask for a standing picture; cut here."
    )
    assert check_still(tracks_of(QUIET), "cut here") is None


def test_a_list_of_keypoints_read_as_places() -> None:
    (finding,) = check_tracks(tracks_of(path(np.linspace(10, 30, 4))))
    assert finding.text == "The tracks last 4 frames in all." and "--keypoints" in finding.advice


def test_many_tracks_are_counted() -> None:
    leaving = path(np.linspace(50, 110, 30))
    (finding,) = check_tracks(tracks_of(*[leaving] * 5))
    assert finding.text.endswith("track 3 at frame 25, and 2 more.")
