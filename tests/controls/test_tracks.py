"""controls.tracks: a filmed clip in, trails of what moves out."""

import numpy as np
import pytest

from iclora.clip import Audio, Clip, Film
from iclora.controls import CONTROLS, draw_tracks, follow_video, tracks
from iclora.errors import RequestError
from tests.micro import moving_square


def test_table_names_tracks() -> None:
    assert CONTROLS["tracks"] is tracks


def test_the_trails_of_the_clips_own_tracks() -> None:
    clip = moving_square(height=192, width=256)
    assert tracks(clip).frames.any()
    assert np.array_equal(tracks(clip, count=3).frames, draw_tracks(follow_video(clip, num_tracks=3)).frames)


def test_rate_sound_and_input_are_kept() -> None:
    audio = Audio(samples=np.zeros((1, 10), np.float32), sample_rate=16000)
    clip = Clip(frames=moving_square(height=192, width=256).frames, fps=12.5, audio=audio)
    before = clip.frames.copy()
    trails = tracks(clip)
    assert trails.fps == 12.5 and trails.audio is audio and trails.frames.any()
    assert np.array_equal(clip.frames, before)


def test_nothing_to_follow_is_black() -> None:
    assert not tracks(Clip(frames=np.full((2, 8, 8, 3), 50, np.uint8), fps=8.0)).frames.any()


def test_numbers_out_of_range_are_named() -> None:
    with pytest.raises(RequestError, match="Cannot take 0 tracks"):
        tracks(moving_square(), count=0)


def test_a_film_gives_what_its_clip_gives() -> None:
    clip = moving_square(height=192, width=256, num_frames=20)
    film = Film(frames=clip.frames, height=192, width=256, num_frames=20, fps=clip.fps)
    drawn = tracks(film, count=3)
    assert isinstance(drawn, Film) and np.array_equal(drawn.read().frames, tracks(clip, count=3).frames)
    flat = Film(frames=[np.full((16, 16, 3), 90, np.uint8)] * 3, height=16, width=16, num_frames=3, fps=8.0)
    assert not tracks(flat).read().frames.any()
