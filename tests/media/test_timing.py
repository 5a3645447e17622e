import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iclora import media
from iclora.clip import Audio, Clip
from iclora.errors import RequestError
from iclora.media.timing import frames_on_show, is_even, trim_audio


def numbered(num_frames: int, fps: float, audio: Audio | None = None) -> Clip:
    """A clip whose frame k is filled with k."""
    frames = (
        np.zeros((num_frames, 2, 2, 3), np.uint8) + np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
    )
    return Clip(frames=frames, fps=fps, audio=audio)


def numbers(clip: Clip) -> list[int]:
    return [int(value) for value in clip.frames[:, 0, 0, 0]]


@pytest.mark.parametrize(
    ("source", "source_fps", "fps", "num_frames", "expected"),
    [
        (6, 24.0, 24.0, 6, [0, 1, 2, 3, 4, 5]),
        (6, 24.0, 12.0, 3, [0, 2, 4]),
        (3, 12.0, 24.0, 6, [0, 1, 1, 2, 2, 2]),
        (3, 10.0, 30.0, 7, [0, 0, 1, 1, 1, 2, 2]),
        (2, 24.0, 24.0, 5, [0, 1, 1, 1, 1]),
        (1, 24.0, 8.0, 3, [0, 0, 0]),
        (6, 25.0, 24.0, 5, [0, 1, 2, 3, 4]),
    ],
)
def test_resample_takes_the_nearest_frame(
    source: int, source_fps: float, fps: float, num_frames: int, expected: list[int]
) -> None:
    result = media.resample(numbered(source, source_fps), fps=fps, num_frames=num_frames)
    assert numbers(result) == expected
    assert result.fps == fps


def test_resample_cuts_the_sound() -> None:
    audio = Audio(samples=np.arange(1000, dtype=np.float32)[None] / 1000, sample_rate=100)
    result = media.resample(numbered(10, 10.0, audio), fps=10.0, num_frames=5)
    assert result.audio is not None
    assert np.array_equal(result.audio.samples, audio.samples[:, :50])


@given(st.integers(1, 40), st.floats(1, 120), st.floats(1, 120), st.integers(1, 60))
def test_resampled_time_never_lags(source: int, source_fps: float, fps: float, num_frames: int) -> None:
    chosen = np.asarray(numbers(media.resample(numbered(source, source_fps), fps=fps, num_frames=num_frames)))
    wanted = np.minimum(np.arange(num_frames) / fps, (source - 1) / source_fps)
    assert np.all(np.abs(chosen / source_fps - wanted) <= 0.5 / source_fps + 1e-6)


@pytest.mark.parametrize("fps", [0.0, -24.0, float("nan")])
def test_resample_refuses_a_rate_that_is_none(fps: float) -> None:
    with pytest.raises(RequestError, match="frame rate is .*above 0"):
        media.resample(numbered(2, 24.0), fps=fps, num_frames=2)


def test_resample_refuses_no_frames() -> None:
    with pytest.raises(RequestError, match="clip of 0 frames; ask for 1 or more"):
        media.resample(numbered(2, 24.0), fps=24.0, num_frames=0)


def test_evenness_allows_for_rounded_timestamps() -> None:
    assert is_even(np.array([0.0, 0.033, 0.067, 0.100]), 30.0)
    assert not is_even(np.array([0.0, 0.033, 0.067, 0.200]), 30.0)


def test_a_long_hold_is_shown_until_it_ends() -> None:
    shown = frames_on_show(np.array([0.0, 1.0, 1.1]), np.arange(12) / 10)
    assert list(shown) == [0] * 10 + [1, 2]


def test_a_frame_a_little_late_is_not_shifted_by_a_tick() -> None:
    assert list(frames_on_show(np.array([0.0, 0.101, 0.199]), np.array([0.0, 0.1, 0.2]))) == [0, 1, 2]


def test_short_sound_stays_whole() -> None:
    audio = Audio(samples=np.zeros((2, 10), np.float32), sample_rate=10)
    assert trim_audio(audio, 5.0).samples.shape == (2, 10)
