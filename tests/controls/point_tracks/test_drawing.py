"""controls.point_tracks.drawing: equal to the official node, on any canvas."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import media
from iclora.controls.point_tracks import Tracks, draw_tracks, even_spline
from iclora.errors import RequestError

GOLDEN = Path(os.environ.get("ICLORA_GOLDEN", Path(__file__).parents[2] / "data" / "golden"))
CASES: dict[str, Any] = json.loads((GOLDEN / "tracks.json").read_text())


def standing(*places: tuple[float, float], num_frames: int = 1, size: int = 108) -> Tracks:
    """Points that stand still on a square canvas; 108 is a tenth of the inner one."""
    points = np.repeat(np.array(places, float)[:, None], num_frames, axis=1)
    return Tracks(points=points, visible=np.ones(points.shape[:2], bool), height=size, width=size)


def meetings(tracks: Tracks, frame: int) -> np.ndarray:
    """Pixels near places where two tracks were at the same time: which one is seen is left open."""
    rows, columns = np.mgrid[: tracks.height, : tracks.width]
    reach = 2 * 8 * min(tracks.height, tracks.width) / 1080 + 1
    open_pixels = np.zeros((tracks.height, tracks.width), bool)
    for moment in range(max(0, frame - 50), frame + 1):
        for number, one in enumerate(tracks.points[:, moment]):
            for other in tracks.points[number + 1 :, moment]:
                if np.hypot(*(one - other)) <= reach:
                    x, y = (one + other) / 2
                    open_pixels |= np.hypot(rows - y, columns - x) <= reach
    return open_pixels


@pytest.mark.parametrize("name", CASES)
def test_golden_pictures(name: str) -> None:
    case = CASES[name]
    curves = [[(point["x"], point["y"]) for point in points] for points in case["control_points"]]
    points = np.stack([even_spline(np.array(curve, float), case["samples"]) for curve in curves])
    visible = np.ones(points.shape[:2], bool)
    tracks = Tracks(points=points, visible=visible, height=case["height"], width=case["width"])
    frames = draw_tracks(tracks).frames
    assert len(frames) == case["samples"]
    for frame in case["frames"]:
        expected = media.read(GOLDEN / f"tracks_{name}_{frame:03d}.png").frames[0]
        settled = ~meetings(tracks, frame)
        assert expected.any()
        assert np.array_equal(frames[frame][settled], expected[settled])


def test_a_head_is_a_blue_disc_of_radius_8_of_1080() -> None:
    """On 1080 pixels nothing is scaled: d^2 <= 64 about the centre."""
    frame = draw_tracks(standing((500.0, 300.0), size=1080)).frames[0]
    rows, columns = np.mgrid[:1080, :1080]
    inside = (rows - 300) ** 2 + (columns - 500) ** 2 <= 64
    assert (frame[inside] == (0, 0, 255)).all() and not frame[~inside].any()


def test_colours_from_head_to_tail() -> None:
    """A fast point leaves discs apart: 51 of them, from blue over cyan and green to red, then none."""
    points = np.stack([20.0 * np.arange(60), np.full(60, 500.0)], axis=1)[None]
    tracks = Tracks(points=points, visible=np.ones((1, 60), bool), height=1080, width=1200)
    row = draw_tracks(tracks).frames[59, 500]
    assert row[20 * 59].tolist() == [0, 0, 255]
    assert row[20 * 34].tolist() == [0, 255, 128]  # age 25: half way between green and cyan
    assert row[20 * 9].tolist() == [255, 0, 0]  # age 50
    assert not row[20 * 8 - 8 : 20 * 8 + 8].any()


def test_newest_on_top_and_later_tracks_over_earlier_ones() -> None:
    frame = draw_tracks(standing((50.0, 50.0), (50.0, 50.0), num_frames=5)).frames[4]
    assert frame[50, 50].tolist() == [0, 0, 255]
    points = np.array([[[30.0, 50.0], [50.0, 50.0]], [[50.0, 50.0], [80.0, 50.0]]])
    tracks = Tracks(points=points, visible=np.ones((2, 2), bool), height=108, width=108)
    assert draw_tracks(tracks).frames[1, 50, 50].tolist() == [0, 0, 255]  # not the older one's 250


def test_a_hidden_point_draws_nothing_and_its_trail_ages() -> None:
    visible = np.zeros((1, 70), bool)
    visible[0, 5:10] = True
    points = np.full((1, 70, 2), 50.0)
    points[0, 20:] = np.nan  # hidden places are not looked at
    frames = draw_tracks(Tracks(points=points, visible=visible, height=540, width=540)).frames
    lit = frames.reshape(70, -1).any(axis=1)
    assert np.flatnonzero(lit).tolist() == list(range(5, 60))  # seen last in 9, and until 50 frames later


@pytest.mark.parametrize("place", [(-3.0, 50.0), (50.0, 110.0), (-100.0, -100.0), (200.0, 60.0)])
def test_points_beyond_the_border(place: tuple[float, float]) -> None:
    """8 inner pixels are 0.8 here: nothing of these is inside, and nothing comes back on the other side."""
    assert not draw_tracks(standing(place)).frames.any()


def test_a_point_on_the_border_is_cut() -> None:
    frame = draw_tracks(standing((0.0, 540.0), size=1080)).frames[0]
    assert frame[540, :9].any() and not frame[:, 9:].any()


@pytest.mark.parametrize(("height", "width"), [(200, 200), (96, 600), (1216, 704), (2160, 1200)])
def test_any_canvas(height: int, width: int) -> None:
    points = np.array([[[width / 2, height / 2]]])
    frame = draw_tracks(
        Tracks(points=points, visible=np.ones((1, 1), bool), height=height, width=width)
    ).frames[0]
    rows, columns = np.nonzero(frame[..., 2] > 100)
    assert abs(rows.mean() - height / 2) < 1 and abs(columns.mean() - width / 2) < 1
    # A disc of radius 8 on a short side of 1080.
    assert len(rows) == pytest.approx(np.pi * (8 * min(height, width) / 1080) ** 2, rel=0.3, abs=2)


def test_the_rate_is_said_or_the_tracks_own_or_24() -> None:
    tracks = standing((5.0, 5.0))
    assert draw_tracks(tracks).fps == 24.0
    assert draw_tracks(tracks, fps=16.0).fps == 16.0


def test_progress_counts_every_frame() -> None:
    seen: list[tuple[int, int | None]] = []
    draw_tracks(standing((5.0, 5.0), num_frames=2), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_a_strip_is_refused() -> None:
    tracks = Tracks(points=np.ones((1, 1, 2)), visible=np.ones((1, 1), bool), height=8, width=129)
    with pytest.raises(RequestError, match="Cannot draw tracks on 129x8; the long side may be at most 16"):
        draw_tracks(tracks)
