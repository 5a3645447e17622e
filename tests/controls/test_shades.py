"""controls.shades: strengths, strokes and normals of pictures whose answer is known."""

import math

import numpy as np
import pytest

from iclora.clip import Clip
from iclora.controls import line_art, normals, soft_edges


def clip_of(*frames: np.ndarray) -> Clip:
    return Clip(frames=np.stack([np.repeat(frame[..., None], 3, axis=2) for frame in frames]), fps=12.0)


def step(level: int) -> np.ndarray:
    frame = np.zeros((32, 32), np.uint8)
    frame[:, 16:] = level
    return frame


def test_soft_edges_are_as_strong_as_the_step_over_the_whole_clip() -> None:
    strong, weak = soft_edges(clip_of(step(200), step(100)), blur=2.0).frames[..., 0].astype(int)
    assert strong[8].argmax() in (15, 16) and strong.max() == 255
    assert weak.max() == pytest.approx(128, abs=2)
    assert (strong[:, :6] == 0).all()


def test_a_flat_grainy_clip_stays_dark() -> None:
    grain = np.random.default_rng(0).integers(127, 130, (32, 32), np.uint8)
    assert soft_edges(clip_of(grain), blur=2.0).frames.max() < 128
    assert line_art(clip_of(grain)).frames.max() < 64


def test_line_art_draws_dark_strokes_and_no_light_ones() -> None:
    frame = np.full((32, 48), 128, np.uint8)
    frame[:, 12:14], frame[:, 34:36] = 20, 240
    lines = line_art(clip_of(frame), width=2.0).frames[0, 16, :, 0]
    assert lines[12:14].min() > 200
    assert lines[34:36].max() == 0 and lines[22:26].max() < 10


@pytest.mark.parametrize(("rise", "axis"), [(2, 1), (-2, 1), (2, 0)])
def test_normals_of_a_slope(rise: int, axis: int) -> None:
    """2 levels a pixel on 85 rows at relief 1: slope 2 * 85 / 255 = 2/3."""
    ramp = (128 + rise * (np.arange(60) - 30)).astype(np.uint8)
    depth = np.resize(ramp, (85, 60)) if axis == 1 else np.resize(ramp, (85, 60)).T[:, :60]
    if axis == 0:
        depth = np.repeat(np.pad(ramp, (0, 25), mode="edge")[:, None], 60, axis=1)
    colour = normals(clip_of(depth)).frames[0, 30, 30].astype(int)
    length = math.hypot(1, 2 / 3)
    across = round((-math.copysign(2 / 3, rise) / length + 1) * 127.5)
    up = round((2 / 3 / length + 1) * 127.5)
    expected = (across, 128, None) if axis == 1 else (128, up, None)
    towards = round((1 / length + 1) * 127.5)
    assert colour.tolist() == pytest.approx([expected[0], expected[1], towards], abs=1)


def test_normals_of_a_plane_face_the_eye() -> None:
    plane = normals(clip_of(np.full((16, 16), 90, np.uint8))).frames
    assert (plane == (128, 128, 255)).all()
