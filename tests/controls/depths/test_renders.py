"""controls.depths.renders: EXR, sixteen bits and grey videos, taken as they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iclora.controls.depths import film_render, read_depths
from iclora.errors import MediaError, RequestError
from tests.media.exr_files import write_exr


def test_exr_holds_distances(tmp_path: Path) -> None:
    path = write_exr(tmp_path / "a.exr", {"Z": np.array([[1, 4], [1e10, np.inf]], np.float32)})
    assert read_depths(path).nearness.tolist() == [[[1.0, 0.25], [0.0, 0.0]]]
    assert read_depths(tmp_path, fps=6.0).fps == 6.0
    near = write_exr(tmp_path / "b.exr", {"Z": np.array([[1, 4]], np.float32)})
    assert read_depths(near, values="near").nearness.tolist() == [[[1.0, 4.0]]]


def test_pictures_hold_nearness_unless_told_otherwise(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1000, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert read_depths(tmp_path / "a.png").nearness.tolist() == [[[0.0, 1000.0, 65535.0]]]
    distances = read_depths(tmp_path / "a.png", values="distance").nearness
    assert np.allclose(distances, [[[0, 1e-3, 1 / 65535]]])  # 0 is what a depth camera does not know


def test_bad_input_is_told(tmp_path: Path) -> None:
    path = write_exr(tmp_path / "a.exr", {"Z": np.array([[1, np.nan]], np.float32)})
    with pytest.raises(MediaError, match="not finite; render its depth again, or say distance"):
        read_depths(path, values="near")
    with pytest.raises(RequestError, match="Values of depth cannot be 'metres'; say near or distance"):
        read_depths(path, values="metres")


def test_a_film_of_a_render_holds_nothing(tmp_path: Path) -> None:
    sky = np.full((2, 3), np.inf, np.float32)
    for number, distance in enumerate((sky, sky + 1, np.full((2, 3), 4, np.float32))):
        write_exr(tmp_path / f"{number}.exr", {"Z": distance})
    film = film_render(tmp_path, fps=6.0)
    assert (film.height, film.width, film.num_frames, film.fps) == (2, 3, 3, 6.0)
    assert [frame[0, 0] for frame in film.frames] == [0, 0, 0.25]
    assert np.array_equal(film.read().nearness, read_depths(tmp_path).nearness)
    assert film.start(2).read().nearness.shape == (2, 2, 3)
    (tmp_path / "2.exr").unlink()
    with pytest.raises(MediaError, match="holds no distance between 0 and 1e9"):
        film_render(tmp_path)
