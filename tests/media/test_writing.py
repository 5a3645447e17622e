from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iclora import media
from iclora.clip import Clip
from iclora.errors import OutputError

RANDOM = Clip(frames=np.random.default_rng(1).integers(0, 256, (3, 16, 24, 3), dtype=np.uint8), fps=8.0)


@pytest.mark.parametrize("path", ["sequence", "with.dot/"])
def test_a_picture_sequence_is_exact(path: str, tmp_path: Path) -> None:
    written = media.save(RANDOM, f"{tmp_path}/{path}")
    assert sorted(file.name for file in written.iterdir()) == [f"frame_000{index}.png" for index in range(3)]
    assert np.array_equal(media.read(written).frames, RANDOM.frames)


def test_only_frames_of_a_result_are_replaced(tmp_path: Path) -> None:
    folder = media.save(RANDOM, tmp_path / "frames")
    media.save(Clip(frames=RANDOM.frames[:1], fps=8.0), folder, overwrite=True)
    assert [file.name for file in folder.iterdir()] == ["frame_0000.png"]
    for name in ("notes.txt", "frame_0001.jpg"):
        (folder / name).write_text("mine")
        with pytest.raises(OutputError, match=f"frames holds {name}, which is no frame of a result"):
            media.save(RANDOM, folder, overwrite=True)
        assert (folder / name).read_text() == "mine"
        (folder / name).unlink()
    (folder / "frame_0001.png").mkdir()
    with pytest.raises(OutputError, match="frames holds frame_0001.png"):
        media.save(RANDOM, folder, overwrite=True)


def test_one_frame_as_a_picture(tmp_path: Path) -> None:
    still = Clip(frames=RANDOM.frames[:1], fps=8.0)
    assert np.array_equal(media.read(media.save(still, tmp_path / "still.png")).frames, still.frames)


def test_several_frames_are_no_picture(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"one picture, but the clip has 3 frames.*many/\) or a video"):
        media.save(RANDOM, tmp_path / "many.png")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="unknown kind .avi; use .mp4, .webm, .gif, .png"):
        media.check_output(tmp_path / "out.avi", overwrite=False)


def test_check_output_writes_nothing(tmp_path: Path) -> None:
    assert media.check_output(str(tmp_path / "out.MP4"), overwrite=False) == tmp_path / "out.MP4"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a"])
def test_progress_counts_every_frame(name: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    media.save(RANDOM, tmp_path / name, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_save_image(tmp_path: Path) -> None:
    image = RANDOM.frames[0]
    path = media.save_image(image, tmp_path / "a.png")
    assert np.array_equal(media.read(path).frames[0], image)
    with pytest.raises(OutputError, match="a.png exists"):
        media.save_image(image, path)
    with Image.open(media.save_image(image, tmp_path / "a.jpg")) as picture:
        assert (picture.format, picture.size) == ("JPEG", (24, 16))


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_save_image_refuses_what_the_kind_cannot_hold(suffix: str, kind: str, tmp_path: Path) -> None:
    wide = np.zeros((1, 70000, 3), np.uint8)
    with pytest.raises(
        OutputError, match=f"{kind} cannot hold 70000x1 pixels .* choose another size or .png"
    ):
        media.save_image(wide, tmp_path / f"a.{suffix}")
    assert list(tmp_path.iterdir()) == []
    assert media.read(media.save_image(wide, tmp_path / "a.png")).width == 70000


def test_save_image_refuses_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="as a picture; use .png, .jpg, .jpeg, .webp"):
        media.save_image(RANDOM.frames[0], tmp_path / "a.mp4")
