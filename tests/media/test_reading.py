from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import iclora
from iclora import media
from iclora.clip import Clip
from iclora.errors import MediaError, RequestError
from tests.micro import moving_square


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="There is no file .*nothing.mp4; give a video"):
        media.read(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("name", ["n" * 300, "n\0.mp4"])
def test_a_name_no_file_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="There is no file"):
        media.read(tmp_path / name)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("inf")])
def test_a_rate_that_is_none(fps: float, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="frame rate is"):
        media.read(tmp_path, fps=fps)


def test_no_frames_at_all(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="Cannot read 0 frames"):
        media.read(tmp_path, max_frames=0)


def test_the_front_door_reads() -> None:
    assert iclora.read is media.read


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), name=st.sampled_from(["a.mp4", "a.gif", "a.png", "a.webm", "a.jpg"]))
def test_any_bytes_are_read_or_refused_with_our_error(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    try:
        clip = media.read(tmp_path / name)
    except MediaError as error:
        assert name in str(error)
    else:
        assert clip.num_frames >= 1


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    num_frames=st.integers(1, 9),
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    suffix=st.sampled_from(["", ".mp4", ".gif"]),
)
def test_what_is_written_is_read(
    num_frames: int, height: int, width: int, suffix: str, tmp_path: Path
) -> None:
    clip = Clip(frames=np.full((num_frames, height, width, 3), 120, np.uint8), fps=10.0)
    back = media.read(media.save(clip, tmp_path / f"clip{suffix}", overwrite=True))
    assert back.num_frames == num_frames
    even = suffix == ".mp4"
    assert back.height == height + even * (height % 2) and back.width == width + even * (width % 2)


@pytest.mark.parametrize("options", [{}, {"fps": 10.0}, {"max_frames": 4}, {"fps": 30.0, "max_frames": 7}])
@pytest.mark.parametrize("name", ["film.mp4", "pictures", "moving.gif", "still.png"])
def test_a_film_holds_what_is_read(name: str, options: dict, tmp_path: Path) -> None:
    clip = moving_square(num_frames=1 if name == "still.png" else 9)
    path = media.save(clip, tmp_path / name)
    read, opened = media.read(path, **options), media.film(path, **options)
    assert (opened.num_frames, opened.fps) == (read.num_frames, read.fps)
    assert (opened.height, opened.width) == (48, 64)
    for _ in range(2):
        assert np.array_equal(np.stack(list(opened.frames)), read.frames)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_film_is_written_like_its_clip(suffix: str, tmp_path: Path) -> None:
    source = media.save(moving_square(), tmp_path / "source.mp4")
    opened = media.resize(media.resample(media.film(source), fps=8.0, num_frames=7), 32, 40)
    held = media.resize(media.resample(media.read(source), fps=8.0, num_frames=7), 32, 40)
    paths = [media.save(one, tmp_path / f"{index}{suffix}") for index, one in enumerate((opened, held))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert media.read(paths[0]).num_frames == 7


def test_a_film_of_pictures_that_differ_says_so_when_it_is_gone_through(tmp_path: Path) -> None:
    for index, size in enumerate((8, 9)):
        media.save_image(np.zeros((size, 8, 3), np.uint8), tmp_path / f"{index}.png")
    opened = media.film(tmp_path)
    with pytest.raises(MediaError, match="a sequence needs pictures of one size"):
        opened.read()
