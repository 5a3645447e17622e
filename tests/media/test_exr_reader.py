"""media.exr_reader: depth in OpenEXR pictures."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from iclora.errors import MediaError, MissingDependencyError
from iclora.media.exr_reader import read_exr
from tests.media.exr_files import NONE, PIZ, RLE, ZIP, ZIPS, write_exr


def ramp(height: int = 37, width: int = 21, dtype: type = np.float32) -> np.ndarray:
    """Numbers that are all different, with an even stretch."""
    values = np.arange(height * width, dtype=np.float32).reshape(height, width) / 8 + 1
    values[5:9] = 2.5
    return values.astype(dtype)


@pytest.mark.parametrize("compression", [NONE, RLE, ZIPS, ZIP])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint32])
def test_every_number_comes_back(tmp_path: Path, compression: int, dtype: type) -> None:
    values = ramp(dtype=dtype)
    others = {"A": np.ones((37, 21), np.float16), "R": ramp(dtype=np.float16) * np.float16(0.5)}
    path = write_exr(tmp_path / "a.exr", {"Z": values, **others}, compression=compression)
    assert np.array_equal(read_exr(path.read_bytes(), "a.exr"), values.astype(np.float32))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("R", "G", "B", "Z"), "Z"),
        (("ViewLayer.Combined.R", "ViewLayer.Depth.Z"), "ViewLayer.Depth.Z"),
        (("R", "depth"), "depth"),
        (("A", "Y"), "Y"),
        (("A", "Depth.V"), "Depth.V"),
        (("A", "B", "G", "R"), "R"),
        (("distance",), "distance"),
    ],
)
def test_the_channel_of_depth_is_chosen(tmp_path: Path, names: tuple[str, ...], chosen: str) -> None:
    channels = {name: np.full((2, 3), index, np.float32) for index, name in enumerate(names)}
    path = write_exr(tmp_path / "a.exr", channels)
    assert (read_exr(path.read_bytes(), "a") == names.index(chosen)).all()


def test_what_lies_outside_the_stored_window_is_infinite(tmp_path: Path) -> None:
    inside = write_exr(tmp_path / "a.exr", {"Z": ramp(2, 3)}, at=(1, 2), shown=(5, 6))
    read = read_exr(inside.read_bytes(), "a")
    assert read.shape == (6, 5) and np.isfinite(read).sum() == 6
    assert np.array_equal(read[2:4, 1:4], ramp(2, 3))
    beyond = write_exr(tmp_path / "b.exr", {"Z": ramp(4, 5)}, at=(-1, -2), shown=(2, 2))
    assert np.array_equal(read_exr(beyond.read_bytes(), "b"), ramp(4, 5)[2:4, 1:3])


@pytest.mark.parametrize("compression", ["none", "rle", "zip1", "zip16"])
def test_files_of_another_writer(tmp_path: Path, compression: str) -> None:
    values = ramp(40, 24)
    path = tmp_path / "a.exr"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("exr", options={"compression": compression})
        stream.width, stream.height, stream.pix_fmt = 24, 40, "grayf32le"
        frame = av.VideoFrame(24, 40, "grayf32le")
        padded = np.zeros((40, frame.planes[0].line_size // 4), np.float32)
        padded[:, :24] = values
        frame.planes[0].update(padded)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert np.array_equal(read_exr(path.read_bytes(), "a.exr"), values)


def test_what_is_not_read_is_told(tmp_path: Path) -> None:
    whole = write_exr(tmp_path / "a.exr", {"Z": ramp()}).read_bytes()
    for content in (b"", b"PNG?" * 9, whole[:60], whole[:-40]):
        with pytest.raises(MediaError, match=r"a\.exr is a damaged EXR picture"):
            read_exr(content, "a.exr")
    colours = write_exr(tmp_path / "c.exr", {"A": ramp(), "B": ramp()}).read_bytes()
    with pytest.raises(MediaError, match="has no channel for depth, only A, B; write it as Z"):
        read_exr(colours, "c.exr")


def test_other_kinds_name_what_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    piz = write_exr(tmp_path / "p.exr", {"Z": ramp()}, compression=PIZ).read_bytes()
    with pytest.raises(
        MissingDependencyError, match=r"compressed with PIZ; to read .*'iclora\[exr\]'\), or save"
    ):
        read_exr(piz, "p.exr")
    tiled = write_exr(tmp_path / "t.exr", {"Z": ramp()}, version=2 | 0x200).read_bytes()
    with pytest.raises(MissingDependencyError, match="has tiles, several parts or deep pixels; to read that"):
        read_exr(tiled, "t.exr")
