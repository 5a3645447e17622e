from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iclora import media
from iclora.clip import Clip
from iclora.errors import MediaError
from iclora.media.picture_reader import natural_order
from tests.media.exr_files import write_exr


def flat(level: int, size: tuple[int, int] = (6, 4)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def levels(clip: Clip) -> list[int]:
    return [int(value) for value in clip.frames[:, 0, 0, 0]]


def test_a_still_is_one_frame(tmp_path: Path) -> None:
    flat(7).save(tmp_path / "a.png")
    clip = media.read(tmp_path / "a.png")
    assert (clip.frames.shape, clip.fps) == ((1, 4, 6, 3), 24.0)
    assert media.read(tmp_path / "a.png", fps=8.0).fps == 8.0


def test_the_camera_orientation_of_a_photo_is_honoured(tmp_path: Path) -> None:
    image = flat(0)
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn clockwise
    image.save(tmp_path / "a.png", exif=exif)
    clip = media.read(tmp_path / "a.png")
    assert clip.frames.shape == (1, 6, 4, 3)
    assert clip.frames[0, 0, 3, 0] == 255


def test_transparent_parts_become_black(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (200, 100, 50, 0)).save(tmp_path / "a.png")
    assert media.read(tmp_path / "a.png").frames.max() == 0


def test_sixteen_bit_grey_keeps_its_upper_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert media.read(tmp_path / "a.png").frames[0, 0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_even_animation(suffix: str, tmp_path: Path) -> None:
    images = [flat(level) for level in (0, 120, 240)]
    images[0].save(
        tmp_path / f"a.{suffix}", save_all=True, append_images=images[1:], duration=100, lossless=True
    )
    clip = media.read(tmp_path / f"a.{suffix}")
    assert clip.fps == pytest.approx(10.0)
    assert levels(clip) == [0, 120, 240]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_uneven_animation_keeps_its_durations(suffix: str, tmp_path: Path) -> None:
    images = [flat(level) for level in (0, 120, 240)]
    images[0].save(
        tmp_path / f"a.{suffix}",
        save_all=True,
        append_images=images[1:],
        duration=[100, 400, 100],
        lossless=True,
    )
    assert levels(media.read(tmp_path / f"a.{suffix}", fps=10.0)) == [0, 120, 120, 120, 120, 240]
    assert levels(media.read(tmp_path / f"a.{suffix}", fps=10.0, max_frames=2)) == [0, 120]


def test_an_animation_without_durations_plays_at_ten_a_second(tmp_path: Path) -> None:
    flat(0).save(tmp_path / "a.gif", save_all=True, append_images=[flat(99)], duration=0)
    assert media.read(tmp_path / "a.gif").fps == pytest.approx(10.0)


def test_an_even_animation_at_another_rate(tmp_path: Path) -> None:
    images = [flat(level) for level in (0, 60, 120, 180)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100)
    assert levels(media.read(tmp_path / "a.gif", fps=5.0)) == [0, 120]


def test_a_directory_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        flat(number).save(tmp_path / f"frame_{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    flat(99).save(tmp_path / ".hidden.png")
    seen: list[tuple[int, int | None]] = []
    clip = media.read(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert levels(clip) == [1, 2, 10]
    assert clip.fps == 24.0
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert levels(media.read(tmp_path, max_frames=2, fps=8.0)) == [1, 2]


def test_a_directory_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="holds no pictures; put files of these kinds"):
        media.read(tmp_path)


def test_exr_is_said_to_be_a_render(tmp_path: Path) -> None:
    """One alone, and a folder of them."""
    path = write_exr(tmp_path / "a.exr", {"Z": np.ones((16, 16), np.float32)})
    for given in (path, tmp_path):
        with pytest.raises(MediaError, match=r"depth alone: say that it is a render \(--render"):
            media.film(given)


def test_pictures_of_two_sizes_are_refused(tmp_path: Path) -> None:
    flat(1).save(tmp_path / "a1.png")
    flat(1, (8, 8)).save(tmp_path / "a2.png")
    with pytest.raises(MediaError, match="a2.png has 8x8 pixels, but a1.png has 6x4"):
        media.read(tmp_path)


def test_a_pattern_starts_at_its_lowest_number(tmp_path: Path) -> None:
    for number in (7, 8, 9):
        flat(number).save(tmp_path / f"name_{number:04d}.png")
    flat(99).save(tmp_path / "name_9.png")
    assert levels(media.read(tmp_path / "name_%04d.png")) == [7, 8, 9]


def test_a_gap_in_a_pattern_is_refused(tmp_path: Path) -> None:
    for number in (1, 2, 5):
        flat(number).save(tmp_path / f"n{number}.png")
    with pytest.raises(MediaError, match="has number 2 but not 3, and goes on at 5"):
        media.read(tmp_path / "n%d.png")


@pytest.mark.parametrize("pattern", ["n%04d.png", "missing/n%04d.png"])
def test_a_pattern_that_nothing_fits_is_refused(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="No file fits the pattern"):
        media.read(tmp_path / pattern)


@pytest.mark.parametrize("keep", [0, 20, 60])
def test_a_damaged_picture_is_refused(keep: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:keep])
    with pytest.raises(MediaError, match=r"Cannot read .*a.png as a picture"):
        media.read(tmp_path / "a.png")
    with pytest.raises(MediaError, match="replace or remove it"):
        media.read(tmp_path)


def test_signs_that_are_no_numbers_are_letters() -> None:
    names = ["a²1.png", "a10.png", "a2.png"]
    assert sorted(names, key=lambda name: natural_order(Path(name))) == ["a2.png", "a10.png", "a²1.png"]
