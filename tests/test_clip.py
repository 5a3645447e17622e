import dataclasses
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

import iclora
from iclora.clip import Audio, Clip, Film
from iclora.errors import InputError


def test_sizes_and_duration() -> None:
    clip = Clip(frames=np.zeros((48, 3, 5, 3), np.uint8), fps=24.0)
    assert (clip.num_frames, clip.height, clip.width, clip.duration_seconds) == (48, 3, 5, 2.0)
    assert clip.audio is None


def test_audio_duration() -> None:
    assert Audio(samples=np.zeros((2, 24000), np.float32), sample_rate=48000).duration_seconds == 0.5


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ((2, 3, 5), np.uint8, r"shape \(2, 3, 5\)"),
        ((2, 3, 5, 4), np.uint8, r"shape \(2, 3, 5, 4\)"),
        ((2, 3, 5, 3), np.float32, "type float32"),
        ((0, 3, 5, 3), np.uint8, "give at least one frame"),
        ((2, 0, 5, 3), np.uint8, r"shape \(2, 0, 5, 3\)"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_frames_that_are_no_pictures_are_refused(shape: tuple[int, ...], dtype: type, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Clip(frames=np.zeros(shape, dtype), fps=24.0)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(InputError, match="frame rate is .*above 0"):
        Clip(frames=np.zeros((1, 2, 2, 3), np.uint8), fps=fps)


@pytest.mark.parametrize(
    "samples", [np.zeros(4, np.float32), np.zeros((1, 4), np.float64), np.zeros((0, 4), np.float32)]
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_samples_that_are_no_sound_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match="give float32"):
        Audio(samples=samples, sample_rate=48000)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        Audio(samples=np.full((1, 4), value, np.float32), sample_rate=48000)


def test_the_test_run_checks_shapes() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        Clip(frames=np.zeros((2, 3, 5), np.uint8), fps=24.0)


def test_a_sample_rate_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="sample rate is 0"):
        Audio(samples=np.zeros((1, 4), np.float32), sample_rate=0)


def test_a_clip_does_not_change() -> None:
    clip = Clip(frames=np.zeros((1, 2, 2, 3), np.uint8), fps=24.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        clip.fps = 25.0  # type: ignore[misc]


def test_save_writes_the_file(tmp_path: Path) -> None:
    frames = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    path = Clip(frames=frames, fps=24.0).save(tmp_path / "one.png")
    assert np.array_equal(iclora.read(path).frames, frames)


def test_the_start_of_a_film() -> None:
    levels = np.arange(4, dtype=np.uint8)
    film = Film(
        frames=[np.full((2, 3, 3), k, np.uint8) for k in levels], height=2, width=3, num_frames=4, fps=8.0
    )
    start = film.start(3)
    assert start.num_frames == 3 and start.fps == 8.0
    for _ in range(2):
        assert [int(frame[0, 0, 0]) for frame in start.frames] == [0, 1, 2]
    assert start.read().frames.shape == (3, 2, 3, 3)
