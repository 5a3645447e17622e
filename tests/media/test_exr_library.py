"""media.exr_library: what only the OpenEXR package reads, in files that it writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora.errors import MediaError
from iclora.media.exr_reader import read_exr

openexr: Any = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install 'iclora[exr]'")


def ramp(dtype: type = np.float32) -> np.ndarray:
    """Numbers that are all different, and that 16 bits hold."""
    return (np.arange(37 * 50).reshape(37, 50) / 2 + 1).astype(dtype)


def written(path: Path, channels: dict[str, np.ndarray], **header: Any) -> bytes:
    kind = {"compression": openexr.PIZ_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File({**kind, **header}, channels).write(str(path))
    return path.read_bytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint32])
def test_piz_brings_every_number_back(tmp_path: Path, dtype: type) -> None:
    channels = {"Z": ramp(dtype), "R": ramp(np.float16) * np.float16(0.5), "A": np.ones((37, 50), np.float16)}
    content = written(tmp_path / "a.exr", channels)
    assert np.array_equal(read_exr(content, "a.exr"), ramp(dtype).astype(np.float32))


def test_tiles_and_several_parts(tmp_path: Path) -> None:
    tiles = {"type": openexr.tiledimage, "tiles": openexr.TileDescription()}
    content = written(tmp_path / "t.exr", {"Z": ramp()}, **tiles)
    assert np.array_equal(read_exr(content, "t.exr"), ramp())
    kinds = [{"type": openexr.scanlineimage, "compression": openexr.PIZ_COMPRESSION} for _ in range(2)]
    parts = [
        openexr.Part(kinds[0], {"R": np.zeros((37, 50), np.float32)}, "beauty"),
        openexr.Part(kinds[1], {"Z": ramp()}, "depth"),
    ]
    openexr.File(parts).write(str(tmp_path / "m.exr"))
    assert np.array_equal(read_exr((tmp_path / "m.exr").read_bytes(), "m.exr"), ramp())


def test_what_lies_outside_the_stored_window_is_infinite(tmp_path: Path) -> None:
    windows = {
        "dataWindow": (np.array([2, 1], np.int32), np.array([51, 37], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([59, 39], np.int32)),
    }
    read = read_exr(written(tmp_path / "a.exr", {"Z": ramp()}, **windows), "a.exr")
    assert read.shape == (40, 60) and np.isfinite(read).sum() == 37 * 50
    assert np.array_equal(read[1:38, 2:52], ramp())


def test_what_is_damaged_or_no_depth_is_told(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.exr", {"Z": ramp()})
    with pytest.raises(MediaError, match=r"a\.exr is a damaged EXR picture"):
        read_exr(whole[:-200], "a.exr")
    colours = written(tmp_path / "c.exr", {"A": ramp(), "B": ramp()})
    with pytest.raises(MediaError, match="has no channel for depth, only A, B; write it as Z"):
        read_exr(colours, "c.exr")
