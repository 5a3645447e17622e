from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from iclora import media
from iclora.clip import Audio, Clip
from iclora.errors import OutputError


def smooth(num_frames: int = 6, height: int = 48, width: int = 64, fps: float = 8.0) -> Clip:
    """A colour gradient that moves to the right."""
    moments, y, x = np.indices((num_frames, height, width))
    x = x + 4 * moments
    frames = np.stack([100 + x, 50 + 2 * y, 200 - x - y], axis=-1)
    return Clip(frames=frames.clip(0, 255).astype(np.uint8), fps=fps)


def tone(seconds: float, *, channels: int = 2, sample_rate: int = 48000) -> Audio:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = 0.5 * np.sin(2 * np.pi * 440 * time)
    return Audio(samples=np.repeat(wave[None], channels, axis=0).astype(np.float32), sample_rate=sample_rate)


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_a_video_comes_back(suffix: str, tmp_path: Path) -> None:
    clip = smooth()
    back = media.read(media.save(clip, tmp_path / f"a.{suffix}"))
    assert back.frames.shape == clip.frames.shape
    assert back.fps == clip.fps
    assert np.abs(back.frames.astype(int) - clip.frames).mean() < 3


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 30, 60), (0, 0, 0)])
def test_colours_come_back(colour: tuple[int, int, int], tmp_path: Path) -> None:
    clip = Clip(frames=np.zeros((3, 32, 32, 3), np.uint8) + np.array(colour, np.uint8), fps=8.0)
    back = media.read(media.save(clip, tmp_path / "a.mp4"))
    assert np.abs(back.frames.astype(int) - clip.frames).max() <= 4


@pytest.mark.parametrize("fps", [24.0, 25.0, 30000 / 1001, 24000 / 1001, 12.5])
@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_the_rate_comes_back(suffix: str, fps: float, tmp_path: Path) -> None:
    back = media.read(media.save(smooth(fps=fps), tmp_path / f"a.{suffix}"))
    assert back.fps == pytest.approx(fps, rel=1e-3)
    assert back.num_frames == 6


def test_mp4_is_what_browsers_play(tmp_path: Path) -> None:
    with av.open(str(media.save(smooth(), tmp_path / "a.mp4"))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif"])
def test_the_same_clip_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3).integers(0, 256, (10, 9, 16, 3), dtype=np.uint8)
    clip = media.resize(Clip(frames=random, fps=24.0), 90, 160)
    if name != "a.gif":
        clip = replace(clip, audio=tone(0.4))
    first = media.save(clip, tmp_path / name).read_bytes()
    for _ in range(4):
        assert media.save(clip, tmp_path / name, overwrite=True).read_bytes() == first


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    frames = np.full((2, 15, 21, 3), 90, np.uint8)
    back = media.read(media.save(Clip(frames=frames, fps=8.0), tmp_path / "a.mp4"))
    assert back.frames.shape == (2, 16, 22, 3)
    assert np.abs(back.frames.astype(int) - 90).max() <= 2


@pytest.mark.parametrize(
    ("suffix", "sample_rate"), [("mp4", 44100), ("mp4", 7000), ("webm", 48000), ("webm", 44100)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_comes_back(suffix: str, sample_rate: int, channels: int, tmp_path: Path) -> None:
    clip = replace(smooth(num_frames=8), audio=tone(1.0, channels=channels, sample_rate=sample_rate))
    back = media.read(media.save(clip, tmp_path / f"a.{suffix}"), audio=True).audio
    assert back is not None and back.samples.shape[0] == channels
    assert back.duration_seconds == pytest.approx(1.0, abs=0.05)
    middle = back.samples[0, back.sample_rate // 4 : back.sample_rate // 2]
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * back.sample_rate / len(middle) == pytest.approx(440, abs=6)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


def test_sound_stays_in_step(tmp_path: Path) -> None:
    click = np.zeros((1, 48000), np.float32)
    click[0, 24000:24200] = 0.8
    clip = replace(smooth(num_frames=8), audio=Audio(samples=click, sample_rate=48000))
    back = media.read(media.save(clip, tmp_path / "a.mp4"), audio=True).audio
    assert back is not None
    assert np.argmax(np.abs(back.samples[0]) > 0.3) == pytest.approx(24000, abs=480)


def test_five_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="sound of 5 channels; possible are 1, 2, 6, 8"):
        media.save(replace(smooth(), audio=tone(0.1, channels=5)), tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("suffix", "encoder"), [("mp4", "libx264"), ("webm", "libvpx-vp9"), ("gif", "gif")])
def test_a_size_the_encoder_refuses(suffix: str, encoder: str, tmp_path: Path) -> None:
    clip = Clip(frames=np.zeros((1, 1, 70000, 3), np.uint8), fps=8.0)
    with pytest.raises(OutputError, match=f"{encoder} cannot write 70000x1 pixels at 8 frames per second"):
        media.save(clip, tmp_path / f"a.{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["mp4", "webm", "gif"])
def test_a_frame_an_hour_is_no_video(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="every 3600 seconds is too slow for a video; write a folder"):
        media.save(smooth(fps=1 / 3600), tmp_path / f"a.{suffix}")
    slow = media.read(media.save(smooth(num_frames=3, fps=1 / 600), tmp_path / f"b.{suffix}"))
    assert slow.fps == pytest.approx(1 / 600, rel=0.02)


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_sound_without_a_sample_is_no_sound(suffix: str, tmp_path: Path) -> None:
    clip = replace(smooth(), audio=tone(0.0))
    assert media.read(media.save(clip, tmp_path / f"a.{suffix}"), audio=True).audio is None


def test_a_gif_keeps_frames_length_and_colours(tmp_path: Path) -> None:
    levels = np.array([0, 80, 80, 160, 240, 20], np.uint8)
    clip = Clip(frames=np.zeros((6, 16, 16, 3), np.uint8) + levels[:, None, None, None], fps=24.0)
    path = media.save(clip, tmp_path / "a.gif")
    back = media.read(path)
    assert back.num_frames == 6
    assert back.fps == pytest.approx(24.0, rel=0.05)
    assert np.abs(back.frames.astype(int) - clip.frames).max() <= 4
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0


def test_a_gif_cannot_be_faster_than_its_clock(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at most 100 frames per second, not 120"):
        media.save(smooth(fps=120.0), tmp_path / "a.gif")
