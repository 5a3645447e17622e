"""controls.point_tracks.following: corners on what moves, followed while they can be."""

from pathlib import Path

import numpy as np
import pytest

from iclora import media
from iclora.clip import Clip, Film
from iclora.controls.point_tracks import find_tracks, follow_points, follow_video, following
from iclora.errors import InputError, RequestError

STEP = (2.0, 1.0)


def moving_patch(num_frames: int = 20, *, step: tuple[float, float] = STEP) -> Clip:
    """A patch of fixed noise that moves over fixed noise."""
    random = np.random.default_rng(0)
    ground, patch = random.integers(60, 120, (96, 128)), random.integers(0, 255, (24, 24))
    ground, patch = (np.kron(noise[::4, ::4], np.ones((4, 4))) for noise in (ground, patch))
    frames = np.repeat(ground[None], num_frames, axis=0)
    for index in range(num_frames):
        x, y = round(20 + step[0] * index), round(30 + step[1] * index)
        frames[index, y : y + 24, x : x + 24] = patch
    return Clip(frames=np.repeat(frames[..., None], 3, axis=3).astype(np.uint8), fps=8.0)


def test_tracks_are_on_what_moves_and_go_with_it() -> None:
    tracks = follow_video(moving_patch(), num_tracks=4)
    assert tracks.num_tracks == 4 and tracks.fps == 8.0 and (tracks.height, tracks.width) == (96, 128)
    on_patch = 0
    for places, visible in zip(tracks.points, tracks.visible, strict=True):
        steps = np.diff(places[visible], axis=0)
        on_patch += bool(np.abs(np.median(steps, axis=0) - STEP).max() < 0.3)
    assert on_patch >= 3  # corners on its outline may cling to the ground


def test_a_visible_point_has_been_seen_without_gap() -> None:
    tracks = follow_video(moving_patch())
    changes = np.abs(np.diff(tracks.visible.astype(int), axis=1)).sum(axis=1)
    assert (changes <= 2).all() and tracks.visible.any(axis=1).all()
    assert (tracks.visible.sum(axis=1) >= 6).all()


@pytest.mark.parametrize("num_frames", [1, 8])
def test_where_nothing_moves_corners_stand_all_over(num_frames: int) -> None:
    tracks = follow_video(moving_patch(num_frames, step=(0, 0)), num_tracks=8)
    assert tracks.num_tracks == 8
    assert np.ptp(tracks.points, axis=1).max() < 0.1
    assert np.ptp(tracks.points[:, 0, 0]) > 50


def test_at_a_cut_every_track_ends_and_others_begin() -> None:
    clip = moving_patch(16)
    other = np.random.default_rng(1).integers(0, 255, (24, 32)).repeat(4, axis=0).repeat(4, axis=1)
    frames = clip.frames.copy()
    for index in range(8, 16):
        frames[index] = np.roll(other, 2 * index, axis=1)[..., None]
    tracks = follow_video(Clip(frames=frames, fps=8.0))
    assert not (tracks.visible[:, 7] & tracks.visible[:, 8]).any()
    assert tracks.visible[:, 7].any() and tracks.visible[:, 8].any()


def test_given_points_are_followed_until_they_leave() -> None:
    clip = moving_patch(20)
    tracks = follow_points(clip, np.array([[32.0, 42.0], [500.0, 3.0]]))
    expected = np.array([32.0, 42.0]) + np.array(STEP) * np.arange(20)[:, None]
    assert np.abs(tracks.points[0] - expected).max() < 0.5
    assert tracks.visible[0].all() and not tracks.visible[1].any()
    leaving = Clip(frames=np.stack([np.roll(clip.frames[0], 12 * i, axis=1) for i in range(12)]), fps=8.0)
    assert not follow_points(leaving, np.array([[32.0, 42.0]])).visible[0, 9:].any()


def test_no_start_inside_is_refused() -> None:
    with pytest.raises(InputError, match="hold no visible point"):
        follow_points(moving_patch(2), np.array([[500.0, 3.0]]))


@pytest.mark.parametrize(("height", "width"), [(5, 100), (16, 100), (20, 600), (16, 300), (1, 1)])
def test_small_and_narrow_pictures(height: int, width: int) -> None:
    """Flow on fewer than 32 rows writes where it must not."""
    narrow = media.resize(moving_patch(12), height, width, fit="stretch")
    tracks = find_tracks(narrow, num_tracks=4)
    assert tracks is None or (tracks.height, tracks.width) == (height, width)
    assert (tracks is None) == (height == 1)


def test_a_flat_clip_has_nothing_to_follow() -> None:
    flat = Clip(frames=np.full((3, 16, 16, 3), 90, np.uint8), fps=8.0)
    assert find_tracks(flat) is None
    with pytest.raises(
        RequestError, match="nothing in this clip that a point could follow .* draw tracks in"
    ):
        follow_video(flat)


@pytest.mark.parametrize("number", [0, -1, 1.5])
@pytest.mark.usefixtures("unchecked_shapes")
def test_how_many_is_a_whole_number(number: float) -> None:
    with pytest.raises(RequestError, match=f"Cannot take {number} tracks; ask for a whole number from 1 up"):
        follow_video(moving_patch(1), num_tracks=number)  # type: ignore[arg-type]


def test_progress_counts_every_frame() -> None:
    seen: list[tuple[int, int | None]] = []
    follow_video(moving_patch(2), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_a_filmed_face(filmed_clips: Path) -> None:
    """The head of carphone moves before a resting car: at least half the tracks last 3 of 4 frames."""
    clip = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=48)
    tracks = follow_video(clip)
    assert tracks.num_tracks == 16
    assert (tracks.visible.mean(axis=1) >= 0.75).sum() >= 8


def test_of_a_long_clip_the_best_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for five tracks only, those on the patch that moves are still the ones taken."""
    monkeypatch.setattr(following, "_MAX_PLACES", 100)
    tracks = follow_video(moving_patch(20), num_tracks=3)
    ways = np.ptp(np.where(tracks.visible[..., None], tracks.points, np.nan), axis=1)
    assert tracks.num_tracks == 3 and (np.nanmax(ways, axis=1) > 8).all()


def test_too_many_frames_are_refused_before_the_work() -> None:
    film = Film(frames=[], height=8, width=8, num_frames=40_001, fps=60.0)
    with pytest.raises(RequestError, match="Cannot take tracks of 40001 frames; at most 40000 are accepted"):
        follow_video(film)
