"""media.value_reader: numbers of pictures, sequences and videos."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from iclora import media
from iclora.clip import Clip
from iclora.errors import MediaError, RequestError
from tests.media.exr_files import write_exr


def ramp() -> np.ndarray:
    return (np.arange(12 * 20).reshape(12, 20) * 257).astype(np.uint16)


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    values, fps = media.read_values(tmp_path / "a.png")
    assert np.array_equal(values, ramp()[None].astype(np.float32)) and fps == 24.0
    cv2.imwrite(str(tmp_path / "b.tif"), ramp().astype(np.float32) / 7)
    assert np.array_equal(media.read_values(tmp_path / "b.tif")[0][0], ramp().astype(np.float32) / 7)


def test_a_folder_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        write_exr(tmp_path / f"z_{number}.exr", {"Z": np.full((2, 3), number, np.float32)})
    seen: list[tuple[int, int | None]] = []
    values, fps = media.read_values(tmp_path, fps=12.0, progress=lambda *step: seen.append(step))
    assert list(values[:, 0, 0]) == [1, 2, 10] and fps == 12.0 and seen[-1] == (3, 3)
    assert len(media.read_values(tmp_path, max_frames=2)[0]) == 2


@pytest.mark.parametrize("max_frames", [0, -1])
def test_a_number_of_frames_that_is_none(tmp_path: Path, max_frames: int) -> None:
    """One below 0 would leave out the last ones."""
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    with pytest.raises(RequestError, match=f"Cannot read {max_frames} frames; ask for 1 or more."):
        media.film_values(tmp_path, max_frames=max_frames)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none(tmp_path: Path, fps: float) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    with pytest.raises(RequestError, match=f"The frame rate is {fps}"):
        media.film_values(tmp_path / "a.png", fps=fps)


def test_a_grey_video(tmp_path: Path) -> None:
    frames = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (0, 128, 255)])
    path = media.save(Clip(frames=frames, fps=8.0), tmp_path / "a.mp4")
    values, fps = media.read_values(path)
    assert values.shape == (3, 32, 32) and fps == 8.0
    assert np.allclose(values[:, 5, 5], [0, 128, 255], atol=3)


def test_grey_in_three_channels_and_colours(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6, 3), 77, np.uint8)).save(tmp_path / "a.png")
    assert (media.read_values(tmp_path / "a.png")[0] == 77).all()
    coloured = np.zeros((32, 32, 3), np.uint8)
    coloured[..., 0] = 200
    Image.fromarray(coloured).save(tmp_path / "b.png")
    media.save(Clip(frames=coloured[None], fps=8.0), tmp_path / "b.mp4")
    for name in ("b.png", "b.mp4"):
        with pytest.raises(MediaError, match=f"{name} is coloured, not a grey picture of depth"):
            media.read_values(tmp_path / name)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    (tmp_path / "e.png").write_bytes(b"")
    for name in ("a.png", "e.png"):
        with pytest.raises(MediaError, match=f"Cannot read .*{name} as a picture"):
            media.read_values(tmp_path / name)
    with pytest.raises(MediaError, match="There is no file"):
        media.read_values(tmp_path / "none.exr")
    for number, shape in enumerate([(2, 3), (3, 2)]):
        folder = tmp_path / "sizes"
        folder.mkdir(exist_ok=True)
        write_exr(folder / f"{number}.exr", {"Z": np.ones(shape, np.float32)})
    with pytest.raises(MediaError, match=r"1\.exr is of another size than 0\.exr"):
        media.read_values(tmp_path / "sizes")
    Image.fromarray(ramp()).save(tmp_path / "sizes" / "2.png")
    with pytest.raises(MediaError, match=r"several kinds \(\.exr, \.png\)"):
        media.read_values(tmp_path / "sizes")


def test_values_are_read_as_they_are_needed(tmp_path: Path) -> None:
    for number in range(3):
        write_exr(tmp_path / f"{number}.exr", {"Z": np.full((2, 3), number, np.float32)})
    values = media.film_values(tmp_path, fps=6.0)
    (tmp_path / "2.exr").write_bytes(b"broken since")
    assert (values.num_frames, values.fps) == (3, 6.0)
    for _ in range(2):
        frames = iter(values.frames)
        assert [next(frames)[0, 0], next(frames)[0, 0]] == [0, 1]
        with pytest.raises(MediaError, match=r"2\.exr"):
            next(frames)


def test_a_grey_video_is_a_film_of_values(tmp_path: Path) -> None:
    frames = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (0, 128, 255)])
    path = media.save(Clip(frames=frames, fps=8.0), tmp_path / "a.mp4")
    values = media.film_values(path, max_frames=2)
    assert values.num_frames == 2
    assert np.array_equal(np.stack(list(values.frames)), media.read_values(path)[0][:2])
