"""controls.point_tracks.files: JSON and npz on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora.controls.point_tracks import Tracks, read_tracks, save_tracks
from iclora.errors import InputError, OutputError

# Three points over four frames: point k is at (10 k + f, 20 + f), and the last is hidden in frame 2.
K, F = np.mgrid[:3, :4]
POINTS = np.stack([10.0 * K + F, 20.0 + F], axis=2)
VISIBLE = ~((K == 2) & (F == 2))
CANVAS = (40, 50)


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "points.npz", **arrays)
    return folder / "points.npz"


def check(tracks: Tracks) -> None:
    assert np.array_equal(tracks.visible, VISIBLE)
    assert tracks.points[VISIBLE] == pytest.approx(POINTS[VISIBLE])
    assert (tracks.height, tracks.width) == CANVAS


LAYOUTS: dict[str, dict[str, Any]] = {
    "cotracker": {"tracks": POINTS.transpose(1, 0, 2), "visibility": VISIBLE.T},
    "its batch of one": {"pred_tracks": POINTS.transpose(1, 0, 2)[None], "pred_visibility": VISIBLE.T[None]},
    "with a last axis": {"tracks": POINTS.transpose(1, 0, 2), "visibility": VISIBLE.T[..., None]},
    "probabilities": {"tracks": POINTS.transpose(1, 0, 2).astype(np.float32), "visibility": VISIBLE.T * 0.9},
    "tapir": {"tracks": POINTS, "visibles": VISIBLE},
    "tap-vid": {"points": POINTS / np.array([50, 40]), "occluded": ~VISIBLE},
    "more in it": {"tracks": POINTS, "visibles": VISIBLE, "video": np.zeros((4, 2, 2, 3), np.uint8)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_point_trackers(tmp_path: Path, layout: str) -> None:
    check(read_tracks(saved(tmp_path, **LAYOUTS[layout]), canvas=CANVAS))


def test_size_and_rate_beside_them(tmp_path: Path) -> None:
    tracks = read_tracks(saved(tmp_path, **LAYOUTS["tapir"], height=40, width=50, fps=12.5))
    check(tracks)
    assert tracks.fps == 12.5


def test_without_visibility_all_are_visible(tmp_path: Path) -> None:
    tracks = read_tracks(saved(tmp_path, tracks=POINTS.transpose(1, 0, 2)), canvas=CANVAS)
    assert tracks.visible.all() and np.array_equal(tracks.points, POINTS)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"coords": POINTS}, "It holds coords; wanted are tracks"),
        ({}, "It holds nothing; wanted are tracks"),
        ({"tracks": POINTS[..., 0]}, r"'tracks' has shape \(3, 4\) and type float64; wanted are"),
        ({"tracks": np.zeros((2, 3, 4, 2))}, r"'tracks' has shape \(2, 3, 4, 2\)"),
        ({"tracks": np.zeros((0, 4, 2))}, r"'tracks' has shape \(0, 4, 2\)"),
        ({"tracks": POINTS.astype(str)}, "'tracks' has shape .* and type <U32"),
        (
            {"tracks": POINTS, "visibles": VISIBLE.T},
            r"'visibles' has shape \(4, 3\) and type bool, but 'tracks'",
        ),
        ({"tracks": POINTS, "visibility": VISIBLE[:, :2]}, r"'visibility' has shape \(3, 2\)"),
        ({"tracks": POINTS, "visibles": VISIBLE & False}, "hold no visible point"),
        ({"tracks": POINTS * np.nan}, r"frame 0: \(nan, nan\) is no place; give finite numbers, or mark"),
        ({"tracks": POINTS * 99}, "is far off the canvas of 50x40; is that its size"),
        ({"tracks": POINTS, "fps": np.ones(2)}, r"'fps' has shape \(2,\) and type float64; give one number"),
        (
            {"tracks": np.array([{}], dtype=object)},
            "It is no readable .npz of plain arrays; save it with numpy",
        ),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_tracks(path, canvas=CANVAS)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x93NUMPY", b"no archive"])
def test_damaged_archives(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="a.npz: It is no readable .npz of plain arrays"):
        read_tracks(tmp_path / "a.npz")


def test_a_bare_array_is_no_archive(tmp_path: Path) -> None:
    with open(tmp_path / "a.npz", "wb") as file:
        np.save(file, POINTS)
    with pytest.raises(InputError, match="a.npz: It is one bare array; save it with"):
        read_tracks(tmp_path / "a.npz")


def test_no_canvas_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="how large the picture was .*--canvas WxH"):
        read_tracks(saved(tmp_path, tracks=POINTS))


@pytest.mark.parametrize("editor", [False, True])
def test_json_on_disk(tmp_path: Path, editor: bool) -> None:
    tracks = Tracks(points=POINTS, visible=np.ones((3, 4), bool), height=40, width=50)
    path = save_tracks(tracks, tmp_path / "a.json", editor=editor)
    assert np.array_equal(read_tracks(path, canvas=CANVAS).points, POINTS)
    with pytest.raises(OutputError, match="exists"):
        save_tracks(tracks, path)
    with pytest.raises(OutputError, match="give a name that ends in .json"):
        save_tracks(tracks, tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.json", None, "There is no file .*none.json; give the tracks as"),
        ("a.txt", b"[]", "a.txt is no file of tracks; give a .json or an .npz"),
        ("a.json", b"\xff\xfe\x00", "a.json is not JSON but binary"),
        ("a.json", b"[", "a.json: It is not JSON"),
        ("folder.json", "folder", "Cannot read .*folder.json"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes | str | None, message: str) -> None:
    if content == "folder":
        (tmp_path / name).mkdir()
    elif isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_tracks(tmp_path / name)
