"""media.room: frames that memory cannot hold are refused before they are made."""

from pathlib import Path

import numpy as np
import pytest

from iclora import controls, media
from iclora.clip import Clip, Film, Frames
from iclora.controls import Depths, Poses, Tracks
from iclora.errors import RequestError
from iclora.media import room

STILL = Clip(frames=np.zeros((1, 8, 8, 3), np.uint8), fps=8.0)


def test_what_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:       3 kB\n")
    assert room.free_bytes() == 3 * 1024
    room.check_room(1, 32, 32)
    with pytest.raises(
        RequestError, match=r"2 frames of 32x32 take 5.72e-06 GiB of memory, and 2.86e-06 GiB are"
    ):
        room.check_room(2, 32, 32)
    (tmp_path / "meminfo").unlink()
    total = room.free_bytes()
    assert total is not None and total > 2**28
    monkeypatch.setattr(room.os, "sysconf", lambda name: int(name))
    assert room.free_bytes() is None
    room.check_room(10**9, 10**4, 10**4)


def test_clips_that_are_too_long_or_too_large() -> None:
    with pytest.raises(RequestError, match=r"1000000000000 frames of 8x8 take 1.79e\+05 GiB of memory"):
        media.resample(STILL, fps=8.0, num_frames=10**12)
    film = Film(frames=Frames(lambda: iter(STILL.frames)), height=8, width=8, num_frames=1, fps=8.0)
    with pytest.raises(RequestError, match="1000000000000 frames"):
        media.resample(film, fps=8.0, num_frames=10**12)
    assert media.resample(film, fps=8.0, num_frames=10**5).num_frames == 10**5
    for clip in (STILL, film):
        with pytest.raises(
            RequestError, match="Cannot resize to 20000x8 pixels; both sides must be from 1 to 16384"
        ):
            media.resize(clip, 8, 20000)
    long = Clip(frames=np.zeros((30_000, 1, 1, 3), np.uint8), fps=8.0)
    with pytest.raises(RequestError, match="30000 frames of 16384x16384 take"):
        media.resize(long, 16384, 16384)


def test_what_controls_draw() -> None:
    points = np.zeros((100_000, 1, 130, 3), np.float32)
    points[..., 2] = 1
    poses = Poses(points=points, height=16384, width=16384, fps=8.0)
    with pytest.raises(RequestError, match="100000 frames of 16384x16384 take"):
        controls.draw_poses(poses)
    tracks = Tracks(
        points=np.zeros((1, 10_000, 2), np.float32),
        visible=np.ones((1, 10_000), bool),
        height=16384,
        width=16384,
    )
    with pytest.raises(RequestError, match="10000 frames of 16384x16384 take"):
        controls.draw_tracks(tracks)
    nearness = np.arange(200_000, dtype=np.float32).reshape(-1, 1, 2)
    with pytest.raises(RequestError, match="100000 frames of 16384x16384 take"):
        controls.draw_depths(Depths(nearness=nearness, fps=8.0), size=(16384, 16384))


@pytest.mark.parametrize("fps", [float("nan"), 0.0, 1e9])
def test_rates_that_are_none(fps: float) -> None:
    with pytest.raises(RequestError, match="give frames per second above 0 and at most 10000, such as 24"):
        media.resample(STILL, fps=fps, num_frames=2)


def test_a_film_is_held_where_it_is_small(film_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = media.film(film_path)
    clip = media.hold_small(film)
    assert isinstance(clip, Clip) and media.hold(clip) is clip
    assert np.array_equal(clip.frames, media.read(film_path).frames)
    monkeypatch.setattr(room, "HELD_BYTES", 9 * 64 * 48 * 3 - 1)
    assert media.hold_small(film) is film
    monkeypatch.setattr(room, "free_bytes", lambda: 1000)
    with pytest.raises(RequestError, match="9 frames of 64x48 take"):
        media.hold(film)
