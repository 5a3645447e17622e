"""Controls of rendered clips: what the world knows, drawn where it is."""

import numpy as np
import pytest

from iclora.clip import Clip
from iclora.controls.point_tracks import Tracks
from iclora.controls.poses import Poses
from iclora.errors import RequestError
from iclora.geometry import LatentFactors
from iclora.plan.laying import Canvas
from toyworld import drawings
from toyworld.drawings import drawn, exact_controls, found
from toyworld.render import Scenes, render

SIZE = 96
CANVAS = Canvas(
    height=SIZE, width=SIZE, num_frames=9, fps=16.0, factors=LatentFactors(time=8, height=16, width=16)
)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    """A figure with things around it, and flat shapes."""
    return render([8_000_001, 8_000_008], height=SIZE, width=SIZE, num_frames=9, fps=16.0)


def test_scenes_give_what_they_hold(scenes: Scenes) -> None:
    world, shapes = (exact_controls(scenes, place) for place in range(2))
    assert sorted(world) == ["canny", "depth", "pose", "tracks"]
    assert sorted(shapes) == ["canny", "depth", "tracks"]


def test_depth_is_white_where_it_is_near(scenes: Scenes) -> None:
    picture = drawn("depth", exact_controls(scenes, 0)["depth"], CANVAS, downscale=1, dials={})
    distance = scenes.depth[0].numpy()
    assert picture.shape == (9, SIZE, SIZE, 3)
    sky = np.isinf(distance)
    assert sky.any() and picture[sky].max() == 0
    assert picture[distance < np.quantile(distance, 0.02)].min() > 230


def test_points_stand_where_the_picture_has_them(scenes: Scenes) -> None:
    known = exact_controls(scenes, 0)
    poses, tracks = known["pose"], known["tracks"]
    assert isinstance(poses, Poses) and isinstance(tracks, Tracks)
    joints, seen = scenes.skeletons[0].numpy()[..., :2], scenes.skeletons[0].numpy()[..., 2] > 0
    np.testing.assert_allclose(poses.body[..., :2][seen], joints[seen] + 0.5)
    assert (poses.body[~seen] == 0).all()
    visible = scenes.tracks[0].numpy()[..., 2] == 1
    place = scenes.tracks[0].numpy()[visible][0, :2] + 0.5
    nearest = np.linalg.norm(tracks.points[tracks.visible] - place, axis=-1).min()
    assert nearest == pytest.approx(0, abs=1e-4)
    picture = drawn("pose", poses, CANVAS, downscale=1, dials={})
    nose_x, nose_y, score = poses.body[0, 0, 0]
    assert score > 0 and picture[0, int(nose_y), int(nose_x)].max() == 255


def test_hidden_objects_make_no_trail(scenes: Scenes) -> None:
    tracks = exact_controls(scenes, 0)["tracks"]
    assert isinstance(tracks, Tracks)
    hidden = scenes.tracks[0].numpy()[..., 2] == 0.5
    for x, y in scenes.tracks[0].numpy()[hidden][:, :2]:
        assert np.linalg.norm(tracks.points[tracks.visible] - (x + 0.5, y + 0.5), axis=-1).min() > 1e-3


def test_references_are_smaller_and_lines_as_thick_as_said(scenes: Scenes) -> None:
    clip = exact_controls(scenes, 1)["canny"]
    thin, thick = (drawn("canny", clip, CANVAS, downscale=2, dials={"thickness": px}) for px in (1, 3))
    assert thin.shape == thick.shape == (9, SIZE // 2, SIZE // 2, 3)
    assert thick.mean() > 2 * thin.mean() > 0


def test_what_is_found_is_near_what_is_known(scenes: Scenes) -> None:
    known = exact_controls(scenes, 0)
    exact = drawn("depth", known["depth"], CANVAS, downscale=1, dials={}).astype(float)
    guess = found("depth", known["canny"], CANVAS, downscale=1, dials={}, device="cpu")  # type: ignore[arg-type]
    assert guess is not None and not np.array_equal(guess, exact)
    assert np.corrcoef(exact.ravel(), guess.ravel().astype(float))[0, 1] > 0.7


def test_nobody_is_found_where_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip(frames=np.full((9, SIZE, SIZE, 3), 90, np.uint8), fps=16.0)
    assert found("pose", clip, CANVAS, downscale=1, dials={}, device="cpu") is None
    with pytest.raises(RequestError, match="Nobody is found"):
        drawings.drawn("pose", clip, CANVAS, downscale=1, dials={"estimator": "tiny"})
