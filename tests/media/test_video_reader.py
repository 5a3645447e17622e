import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from iclora import media
from iclora.clip import Audio, Clip, Film
from iclora.errors import MediaError
from iclora.media import video_reader


def levels(clip: Clip) -> list[int]:
    """The level of each flat grey frame in steps of 20: 1, 2, ..."""
    return [round(float(frame.mean()) / 20) for frame in clip.frames]


def turn(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write the linear part (a, b, c, d) of the display matrix into the track header of an mp4."""
    content = bytearray(path.read_bytes())
    # 'tkhd', then version and flags 4, times and ids 20, reserved 8, layer to reserved 8, then the matrix.
    start = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.fixture
def corner_video(tmp_path: Path) -> Path:
    """A 64x32 video, white in its upper left quarter, black elsewhere."""
    frames = np.zeros((2, 32, 64, 3), np.uint8)
    frames[:, :16, :32] = 255
    return media.save(Clip(frames=frames, fps=8.0), tmp_path / "corner.mp4")


@pytest.mark.parametrize(
    ("matrix", "shape", "white_corner"),
    [
        ((1, 0, 0, 1), (32, 64), (0, 0)),
        ((0, 1, -1, 0), (64, 32), (0, 1)),  # a quarter turn clockwise: upper left goes to upper right
        ((-1, 0, 0, -1), (32, 64), (1, 1)),
        ((0, -1, 1, 0), (64, 32), (1, 0)),
        ((-1, 0, 0, 1), (32, 64), (0, 1)),  # a mirror
    ],
)
def test_rotation_metadata_is_honoured(
    matrix: tuple[int, int, int, int],
    shape: tuple[int, int],
    white_corner: tuple[int, int],
    corner_video: Path,
) -> None:
    turn(corner_video, matrix)
    clip = media.read(corner_video)
    assert clip.frames.shape[1:3] == shape
    row = 4 if white_corner[0] == 0 else shape[0] - 5
    column = 4 if white_corner[1] == 0 else shape[1] - 5
    assert clip.frames[0, row, column].min() > 240
    assert clip.frames[0, shape[0] - 1 - row, shape[1] - 1 - column].max() < 15


def test_an_odd_angle_is_refused(corner_video: Path) -> None:
    turn(corner_video, (1, 1, -1, 1))
    with pytest.raises(MediaError, match="no quarter turn"):
        media.read(corner_video)


def test_an_even_clock_is_left_alone(write_video: Callable[..., Path]) -> None:
    clip = media.read(write_video([0, 33, 67, 100, 133]), fps=30.0)
    assert levels(clip) == [1, 2, 3, 4, 5]
    assert clip.fps == 30.0


def test_a_variable_rate_is_put_on_a_clock(write_video: Callable[..., Path]) -> None:
    clip = media.read(write_video([0, 100, 500, 600]), fps=10.0)
    assert levels(clip) == [1, 2, 2, 2, 2, 3, 4]


def test_a_variable_rate_takes_the_average_by_default(write_video: Callable[..., Path]) -> None:
    clip = media.read(write_video([0, 100, 500, 600]))  # four frames in 0.7 s
    assert clip.fps == pytest.approx(4 / 0.7)
    assert levels(clip) == [1, 2, 2, 3]


@pytest.mark.parametrize("opened", [media.read, media.film])
@pytest.mark.parametrize("times_ms", [[0, 20, 40, 500, 600, 700], [0, 400, 420, 440, 460, 480, 500]])
def test_the_beginning_of_an_uneven_video_is_that_of_the_whole(
    write_video: Callable[..., Path], times_ms: list[int], opened: Callable[..., Clip | Film]
) -> None:
    path = write_video(times_ms)
    whole = media.read(path)
    for max_frames in (1, 2, 3):
        part = media.hold(opened(path, max_frames=max_frames))
        assert part.fps == pytest.approx(whole.fps)
        assert levels(part) == levels(whole)[:max_frames]


def test_what_is_even_is_not_gone_through(
    filmed_clips: Path, write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an even video with frames out of order, the first packets tell; of an uneven one all are needed."""
    asked: list[int] = []
    rate = video_reader._own_rate

    def counted(starts: np.ndarray, *rest: Any) -> tuple[float, float]:
        asked.append(len(starts))
        return rate(starts, *rest)

    monkeypatch.setattr(video_reader, "_own_rate", counted)
    media.read(filmed_clips / "carphone_pristine.mp4", max_frames=2)
    assert asked == [4]
    asked.clear()
    media.read(write_video([0, 20, 40, 500, 600, 700]), max_frames=1)
    assert asked[0] == 6


def test_reading_at_half_the_rate(write_video: Callable[..., Path]) -> None:
    clip = media.read(write_video([0, 100, 200, 300, 400, 500]), fps=5.0)
    assert levels(clip) == [1, 3, 5]


@pytest.mark.parametrize("max_frames", [1, 2, 4])
def test_max_frames_stops_early(max_frames: int, filmed_clips: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    whole = media.read(filmed_clips / "carphone_pristine.mp4")
    clip = media.read(
        filmed_clips / "carphone_pristine.mp4",
        max_frames=max_frames,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert np.array_equal(clip.frames, whole.frames[:max_frames])
    assert seen[0] == (1, 120)  # what the file says; then what was needed of it
    assert seen[-1][0] == seen[-1][1] <= max_frames + 3


def test_a_wrong_declared_rate_is_seen_through(write_video: Callable[..., Path]) -> None:
    path = write_video([0, 100, 200, 300, 400, 500])
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 1000
    assert media.read(path).fps == pytest.approx(10.0)
    assert levels(media.read(path)) == [1, 2, 3, 4, 5, 6]
    assert levels(media.read(path, max_frames=2)) == [1, 2]


def test_a_video_that_starts_late_starts_at_its_first_frame(write_video: Callable[..., Path]) -> None:
    clip = media.read(write_video([1000, 1100, 1200, 1300]), fps=10.0, max_frames=3)
    assert levels(clip) == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "shape", "fps"),
    [
        ("carphone_pristine.mp4", (120, 144, 176, 3), 30000 / 1001),
        ("bikes.mp4", (250, 272, 640, 3), 25.0),
    ],
)
def test_filmed_clips(name: str, shape: tuple[int, ...], fps: float, filmed_clips: Path) -> None:
    clip = media.read(filmed_clips / name)
    assert clip.frames.shape == shape
    assert clip.fps == pytest.approx(fps)
    assert clip.audio is None


def test_sound_is_read_only_where_asked(filmed_clips: Path) -> None:
    path = filmed_clips / "bigbuckbunny.mp4"
    assert media.read(path, max_frames=3).audio is None
    audio = media.read(path, max_frames=25, audio=True).audio
    assert audio is not None
    assert (audio.samples.shape, audio.sample_rate) == ((6, 48000), 48000)


@pytest.mark.parametrize(
    ("video_ms", "sound_ms", "click_ms"),
    [(0, 0, 300), (0, 200, 500), (200, 0, 100), (1000, 1000, 300), (0, 2000, None), (5000, 0, None)],
)
def test_the_sound_starts_with_the_first_frame(
    video_ms: int, sound_ms: int, click_ms: int | None, tmp_path: Path
) -> None:
    """The sound, a click 300 ms after its start and silence else, and the pictures begin at given times."""
    path, samples = tmp_path / "late.mkv", np.zeros((1, 8000), np.int16)
    samples[0, 2400:2440] = 20000
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("ffv1", rate=10), container.add_stream("pcm_s16le", rate=8000)
        video.width, video.height, video.pix_fmt = 32, 16, "bgr0"
        sound.layout = "mono"
        video.codec_context.time_base = Fraction(1, 1000)
        for index in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), format="rgb24")
            picture = picture.reformat(format="bgr0")
            picture.pts, picture.time_base = video_ms + 100 * index, Fraction(1, 1000)
            container.mux(video.encode(picture))
        heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = 8000, sound_ms * 8, Fraction(1, 8000)
        container.mux([*sound.encode(heard), *video.encode(None), *sound.encode(None)])
    audio = media.read(path, audio=True).audio
    alone = media.read_sound(path, duration_seconds=1.0)
    assert (audio is None) == (alone is None)
    if audio is not None and alone is not None:
        assert alone.sample_rate == audio.sample_rate and np.array_equal(alone.samples, audio.samples)
    loud = np.flatnonzero(np.abs(audio.samples[0]) > 0.3) if audio is not None else np.zeros(0)
    assert (len(loud) == 0) == (click_ms is None)
    if click_ms is not None:
        assert loud[0] == pytest.approx(click_ms * 8, abs=16)


def test_a_video_without_sound_gives_none(corner_video: Path, tmp_path: Path) -> None:
    assert media.read(corner_video, audio=True).audio is None
    assert media.read_sound(corner_video, duration_seconds=1.0) is None
    pictures = media.save(media.read(corner_video), tmp_path / "pictures")
    assert media.read_sound(pictures, duration_seconds=1.0) is None


@pytest.mark.parametrize("keep", [0.3, 0.0])
def test_a_cut_off_file_is_refused(keep: float, corner_video: Path) -> None:
    content = corner_video.read_bytes()
    corner_video.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(MediaError, match=r"Cannot read .*corner.mp4 as a video \(.*\); give a whole file"):
        media.read(corner_video)


def test_text_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(MediaError, match="as a video"):
        media.read(tmp_path / "a.mp4")


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "bgr0"
        container.start_encoding()
    with pytest.raises(MediaError, match="empty.mkv is a video without a single frame"):
        media.read(path)


def test_sound_alone_is_refused(tmp_path: Path, corner_video: Path) -> None:
    clip = media.read(corner_video)
    sound = Audio(samples=np.zeros((1, 24000), np.float32), sample_rate=48000)
    media.save(replace(clip, audio=sound), tmp_path / "both.mp4")
    with av.open(str(tmp_path / "both.mp4")) as source, av.open(str(tmp_path / "sound.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(MediaError, match="sound.mp4 holds no pictures"):
        media.read(tmp_path / "sound.mp4")
